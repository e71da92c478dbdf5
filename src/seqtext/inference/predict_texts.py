"""Texts of the command line and of standard input: a line of answer for each."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from seqtext.display import make_printable, print_line
from seqtext.errors import UserError
from seqtext.inference.export import export
from seqtext.inference.load_model import find_checkpoint, load_model
from seqtext.inference.predictor import Predictor


def predict_texts(predictor: Predictor, texts: Sequence[str]) -> None:
    """Print the predictions of all texts."""
    print_predictions(predictor, texts)
    predictor.warn_of_unknown_texts()


def predict_lines(predictor: Predictor, stream: BinaryIO) -> None:
    """Print the prediction of each line as it comes.

    Raises:
        UserError: as `read_lines`.
    """
    for line in read_lines(stream):
        print_predictions(predictor, [line])
    predictor.warn_of_unknown_texts()


def print_predictions(predictor: Predictor, texts: Sequence[str]) -> None:
    """Print class, its probability and the text, a line each, separated by tabs, unbuffered."""
    # A shell passes any bytes; what is not UTF-8 is replaced.
    readable = [text.encode(errors="replace").decode() for text in texts]
    logits = predictor.predict_logits(pa.array(readable, pa.string()))
    probabilities, classes = predictor.probabilities(logits), predictor.predict_classes(logits)
    for text, row, number in zip(readable, probabilities, classes, strict=True):
        name = make_printable(predictor.class_names[number])  # a tab ends a column
        print_line(f"{name}\t{row[number]:.4f}\t{' '.join(text.split())}")


def read_lines(stream: BinaryIO) -> Iterator[str]:
    """Yield the lines of standard input as they come.

    Raises:
        UserError: if it cannot be read, or a line is not UTF-8.
    """
    for number, line in enumerate(iter(partial(_read_line, stream), b""), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UserError(f"Standard input, line {number}, is not UTF-8 text.") from error


def _read_line(stream: BinaryIO) -> bytes:
    try:
        return stream.readline()
    except OSError as error:  # it may be a folder
        raise UserError(f"Standard input cannot be read: {error.strerror}.") from error


def export_run(run: str, folder: Path) -> None:
    """Export a run's model, and print the files with their sizes."""
    for path in export(load_model(find_checkpoint(run)), folder):
        print_line(f"{path}: {path.stat().st_size / 1e6:,.2f} MB")
