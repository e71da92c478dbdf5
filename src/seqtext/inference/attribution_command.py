"""Run predict.py with explain=true: explain texts in the terminal or on an HTML page."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.progress import track

from seqtext.data.table_reader import join_texts
from seqtext.display import build_console, print_line
from seqtext.errors import UserError
from seqtext.files import write_text
from seqtext.inference.attribution import Explanation, explain
from seqtext.inference.attribution_page import render_explanations
from seqtext.inference.attribution_terminal import ExplanationPrinter
from seqtext.inference.predict_file import find_text_columns, open_input
from seqtext.inference.predict_options import PredictOptions
from seqtext.inference.predict_texts import iterate_texts
from seqtext.inference.predictor import Predictor

MAX_TEXTS = 1000  # maximum rows of a file, and texts on a page
TEXTS_PER_BLOCK = 64  # texts


def explain_texts(predictor: Predictor, options: PredictOptions) -> None:
    """Explain the texts of the command line, a file or standard input.

    Raises:
        UserError: if texts cannot be read, the page cannot be written, or captum is missing.
    """
    texts, show = _read_texts(predictor, options), ExplanationPrinter().show
    if not options.input and not options.output:
        for text in texts:  # one at a time, without waiting for a block
            show(*explain(predictor, pa.array([text])))
        return
    first = list(islice(texts, MAX_TEXTS + 1))
    explained = _explain_in_blocks(predictor, first[:MAX_TEXTS])
    if options.output:
        explained = _show_progress(explained, min(len(first), MAX_TEXTS))
        _write(options.output, list(explained), options)
    else:
        for explanation in explained:
            show(explanation)
    if len(first) > MAX_TEXTS:
        print(f"Only the first {MAX_TEXTS:,} texts are explained: there are more.")


def _read_texts(predictor: Predictor, options: PredictOptions) -> Iterator[str]:
    if options.input:
        source = open_input(options)
        columns = find_text_columns(options.text, predictor.text_columns, source)
        blocks = (source.select_strings(block, columns) for block in source.blocks())
        return chain.from_iterable(join_texts(parts).to_pylist() for parts in blocks)
    return iterate_texts(options.texts)


def _explain_in_blocks(predictor: Predictor, texts: list[str]) -> Iterator[Explanation]:
    for start in range(0, len(texts), TEXTS_PER_BLOCK):
        yield from explain(predictor, pa.array(texts[start : start + TEXTS_PER_BLOCK], pa.string()))


def _show_progress(explained: Iterator[Explanation], count: int) -> Iterator[Explanation]:
    """Show a progress bar on a terminal: a long text takes tens of milliseconds."""
    console = build_console(stderr=True)
    hidden = not console.is_terminal or count <= TEXTS_PER_BLOCK
    options: dict[str, Any] = {"console": console, "transient": True, "disable": hidden}
    yield from track(explained, "Explaining", total=count, **options)


def _write(path: Path, explanations: list[Explanation], options: PredictOptions) -> None:
    if not explanations:
        raise UserError("There is no text to explain.")
    count = f"{len(explanations):,} text{'s' if len(explanations) > 1 else ''}"
    of_file = f" of {options.input.name}" if options.input else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render_explanations(explanations, f"{count}{of_file}, run={options.run}"))
    print_line(f"Explained in {path}: {count}")
