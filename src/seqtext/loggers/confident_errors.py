"""Format the texts of the most confident errors as Markdown."""

import re

from seqtext.data.raw_dataset import RawDataset
from seqtext.display import make_printable, name_classes, shorten
from seqtext.metrics.predictions import Predictions

MAX_ERRORS = 25
EXCERPT_LENGTH = 600  # characters shown of a text
OTHER_MARKUP = re.compile(r"[&<|~]")
LINE_BREAK = re.compile(r"<br ?/?>")  # in texts from HTML pages
BACKSLASHED = re.compile(r"([\\`*_{}\[\]()#+.!>-])")  # characters that Markdown can escape


def format_confident_errors(predictions: Predictions, rows: RawDataset) -> str:
    """Format the texts of the most confident errors, worst first."""
    names = list(map(_escape_markdown, name_classes(predictions.class_names)))
    paragraphs = []
    for position in predictions.find_most_confident_errors(MAX_ERRORS):
        row = int(predictions.rows[position])
        taken_for = predictions.predicted[position]
        paragraphs.append(
            f"**{names[predictions.labels[position]]}**, predicted as **{names[taken_for]}** with "
            f"probability {predictions.probabilities[position, taken_for]:.4f} "
            f"(row {rows.numbers[row] + 1})\n\n> {_format_excerpt(rows.texts[row].as_py())}"
        )
    return "\n\n".join(paragraphs) or "There are no errors."


def _format_excerpt(text: str) -> str:
    return _escape_markdown(shorten(LINE_BREAK.sub(" ", text), EXCERPT_LENGTH))


def _escape_markdown(text: str) -> str:
    """Escape a text for Markdown, so that it has no formatting, links, tables or HTML."""
    escaped = BACKSLASHED.sub(r"\\\1", make_printable(text))
    return OTHER_MARKUP.sub(lambda found: f"&#{ord(found[0])};", escaped)
