"""Print explanations: coloured words on a terminal, else the strongest words with numbers.

Colour-blind readers can distinguish blue and orange, which are visible on light and dark
backgrounds.
"""

import re

import numpy as np
from rich.console import Console
from rich.text import Text

from seqtext.display import build_console, make_printable
from seqtext.inference.attribution import ATTENTION, Explanation, iter_segments

FOR, AGAINST = "#3d8fd1", "#e07b00"
LEVELS = (
    (0.6, "bold reverse"),
    (0.3, "bold"),
    (0.1, ""),
)  # minimum share of the strongest weight, style
UNKNOWN_WORD = "dim italic"
UNREAD = "dim"  # what the model does not read, such as truncated words
MAX_NAMED = 10


def scale_weights(explanation: Explanation) -> np.ndarray:
    """Return [W] absolute weights as fractions of the strongest word's."""
    sizes = np.abs(explanation.weights)
    return sizes / max(sizes.max(initial=0), np.finfo(float).tiny)


def find_strongest(explanation: Explanation, count: int = MAX_NAMED) -> list[int]:
    """Return the positions of the words with the largest weights, without zero weights."""
    order = np.argsort(-np.abs(explanation.weights), kind="stable")[:count]
    return [int(n) for n in order if explanation.weights[n]]


def format_weight(explanation: Explanation, position: int) -> str:
    """Format the weight of a word."""
    return f"{explanation.weights[position]:{'.3f' if explanation.method == ATTENTION else '+.2f'}}"


class ExplanationPrinter:
    """Prints explanations in colours with a legend on a terminal, else as plain lines.

    Args:
        console: console to print to; None: standard output, in colours unless NO_COLOR is set
    """

    def __init__(self, console: Console | None = None):
        self.console = console or build_console()
        self.is_coloured = self.console.is_terminal and not self.console.no_color
        self._needs_legend = self.is_coloured

    def show(self, explanation: Explanation) -> None:
        """Print one explanation without buffering."""
        if not self.is_coloured:
            print(format_plain(explanation), file=self.console.file, flush=True)
            return
        if self._needs_legend:
            self.console.print(build_legend(explanation.method))
            self._needs_legend = False
        self.console.print(format_coloured(explanation))


def build_legend(method: str) -> Text:
    """Build the legend of the colours."""
    if method == ATTENTION:
        parts = (" attention ", f"{FOR} bold reverse"), (" a little ", FOR)
        return Text.assemble(*parts, ("unknown word", UNKNOWN_WORD))
    parts = (" for the class ", f"{FOR} bold reverse"), (" against it ", f"{AGAINST} bold reverse")
    return Text.assemble(*parts, f" ({method}) ", ("unknown word", UNKNOWN_WORD))


def format_coloured(explanation: Explanation) -> Text:
    """Format class and probability, then the coloured words."""
    text = Text(make_printable(explanation.class_name), "bold")
    text = Text.assemble(text, f"  {explanation.probability:.4f}\n")
    strengths = scale_weights(explanation)
    for part, n in iter_segments(explanation):
        style = "" if part.isspace() else UNREAD
        if n is not None:
            style = _choose_style(explanation, n, strengths[n])
        text.append(make_printable(squeeze_white_space(part)), style)
    return text.append("\n" if explanation.words else " (no words)\n")


def squeeze_white_space(text: str) -> str:
    """Replace each run of white space by one space, so that a text is one line."""
    return re.sub(r"\s+", " ", text)


def _choose_style(explanation: Explanation, position: int, strength: float) -> str:
    unknown = "" if explanation.known[position] else "italic"
    for least, style in LEVELS:
        if strength >= least:
            colour = FOR if explanation.weights[position] > 0 else AGAINST
            return f"{colour} {style} {unknown}"
    return unknown and UNKNOWN_WORD


def format_plain(explanation: Explanation) -> str:
    """Format the line of a prediction, and the strongest words below it."""
    words = make_printable(squeeze_white_space(explanation.text).strip())
    name = make_printable(explanation.class_name)
    named = [
        f"{make_printable(explanation.words[n])} {format_weight(explanation, n)}"
        for n in find_strongest(explanation)
    ]
    is_attention = explanation.method == ATTENTION
    method = ATTENTION if is_attention else f"{explanation.method}, for (+) and against (-) {name}"
    return f"{name}\t{explanation.probability:.4f}\t{words}\n  {method}: {', '.join(named) or '-'}"
