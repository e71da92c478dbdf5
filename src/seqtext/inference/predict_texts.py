"""Predict texts of the command line or standard input, and print one line for each."""

import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa

from seqtext.display import make_printable, print_line
from seqtext.errors import UserError
from seqtext.inference.prediction_sets import PredictionSets
from seqtext.inference.predictor import TextPredictor


def predict_texts(
    predictor: TextPredictor, texts: Iterable[str], sets: PredictionSets | None = None
) -> None:
    """Print class, probability and text, separated by tabs, without waiting for more texts.

    Args:
        sets: prediction sets to print before the text; None: none
    """
    for text in texts:
        logits = predictor.predict_logits(pa.array([text], pa.string()))
        (number,) = predictor.predict_classes(logits)
        probability = predictor.probabilities(logits)[0, number]
        name = make_printable(predictor.class_names[number])  # without tabs
        cells = [name, f"{probability:.4f}"]
        if sets is not None:
            chosen = zip(predictor.class_names, sets.build(logits)[0], strict=True)
            cells.append(make_printable(", ".join(each for each, is_in in chosen if is_in)))
        print_line("\t".join([*cells, " ".join(text.split())]))
    predictor.warn_of_unknown_texts()


def iterate_texts(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts of the command line, or the lines of standard input if there are none.

    Bytes that are not UTF-8 are replaced in texts of the command line.

    Raises:
        UserError: as `read_stream_lines`.
    """
    if texts:
        return (text.encode(errors="replace").decode() for text in texts)
    return read_stream_lines(sys.stdin.buffer)


def read_stream_lines(stream: BinaryIO) -> Iterator[str]:
    """Yield the lines of standard input without waiting for its end.

    Raises:
        UserError: if it cannot be read, or a line is not UTF-8.
    """
    number = 0
    try:
        for number, line in enumerate(iter(stream.readline, b""), 1):
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(f"Standard input, line {number}, is not UTF-8 text.") from error
    except OSError as error:  # e.g. a folder
        raise UserError(f"Standard input cannot be read: {error.strerror}.") from error
