"""Predict or score the rows of a file in blocks."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import pyarrow as pa
from torch import Tensor

from seqtext.data.compression import find_compression
from seqtext.data.formats import refuse_other_separator
from seqtext.data.table_reader import TableReader, join_texts
from seqtext.display import count_noun, print_line
from seqtext.errors import UserError
from seqtext.files import check_is_file
from seqtext.inference.evaluation import (
    LabeledEvaluation,
    build_metrics_if_allowed,
    show_scores,
    write_scores,
)
from seqtext.inference.predict_options import PredictOptions
from seqtext.inference.prediction_sets import PredictionSets, describe_sets
from seqtext.inference.predictor import TextPredictor
from seqtext.inference.table_writer import TableWriter, open_writer

log = logging.getLogger(__name__)


def predict_file(
    predictor: TextPredictor, options: PredictOptions, sets: PredictionSets | None = None
) -> None:
    """Predict the rows of ``input=``, or score them, or both.

    Args:
        sets: prediction sets to write and score as well; None: none

    Raises:
        UserError: if the file cannot be read, or neither output= nor label= is given.
    """
    source = open_input(options)
    target = options.output
    if not target and not options.label:
        raise UserError("output= is missing: name the file to write, or score with label=.")
    if target and target.is_dir():
        raise UserError(f"output={target} is a folder: name a file.")
    if target and target.exists() and target.samefile(source.path):
        raise UserError(f"output={target} is the input: name another file.")
    trained_on = () if options.text else predictor.text_columns  # those of models may differ
    columns = find_text_columns(options.text, trained_on, source)
    truth = None
    if options.label:
        if source.names:  # an empty file has none
            source.find_positions([options.label])  # raises if it is missing
        truth = LabeledEvaluation(
            options.label,
            predictor.class_names,
            source.path,
            predictor.drop_labels,
        )
    try:
        with open_writer(target) if target else nullcontext() as output:
            count = _predict_blocks(predictor, source, columns, truth, output, sets)
            predictions = None  # computed before the output is renamed
            if truth:
                classes = len(predictor.class_names)
                custom = build_metrics_if_allowed(predictor.metric_options, classes)
                found = truth.predictions(predictor.threshold, predictor.is_ordinal)
                predictions = replace(found, custom=custom)
    except UnicodeEncodeError as error:  # JSON can encode unpaired surrogates
        half = ascii(error.object[error.start])
        raise UserError(f"{source.path} holds {half}, no whole character: fix it.") from error
    if target:
        print_line(f"{count_noun(count, 'row is', 'rows are')} labelled in {target}")
    predictor.warn_of_unknown_texts()
    if truth and predictions:
        for note in truth.notes():
            log.warning("%s", note)
        title = f"{count_noun(len(predictions.labels), 'row')} of {source.path.name}"
        show_scores(predictions, title)
        of_sets = sets.evaluate(predictions) if sets else None
        if of_sets:
            print_line(describe_sets(of_sets))
        if target:
            folder = build_scores_path(target)
            write_scores(predictions, folder, title, truth.notes(), of_sets)
            print_line(f"Scores and figures are in {folder}")


def open_input(options: PredictOptions) -> TableReader:
    """Open the input file of the command line.

    Raises:
        UserError: if it does not exist, or its format is unknown.
    """
    path = cast(Path, options.input)
    check_is_file(path, "input")
    return TableReader(
        path,
        options.header,
        options.separator,
        options.encoding,
        options.quoting,
        options.escapechar,
        prefix="",
    )


def find_text_columns(
    wanted: str | None, trained_on: Sequence[str], source: TableReader
) -> list[str]:
    """Return the columns to read texts from.

    Args:
        wanted: value of ``text=``: a name, or several separated by commas
        trained_on: text columns of the model's data set

    Raises:
        UserError: if no such column exists; the message lists the existing ones.
    """
    names = source.names
    if wanted:
        if wanted in names:
            return [wanted]
        listed = wanted.removeprefix("[").removesuffix("]").split(",")
        several = [name.strip() for name in listed]
        if names:  # an empty file has none
            source.find_positions(several)  # raises if one is missing
        return several
    for columns in (list(trained_on), ["text"]):
        if set(columns) <= set(names) or not names:
            return columns
    refuse_other_separator(names, source.path)
    known = ", ".join(map(repr, names))[:500]
    raise UserError(
        f"{source.path} has no column {' or '.join(dict.fromkeys([*trained_on, 'text']))}: set "
        f"text= to one of its columns {known}."
    )


def build_scores_path(target: Path) -> Path:
    """Return the path of the folder for scores beside an output file."""
    inner = target.with_suffix("") if find_compression(target) else target
    return inner.with_name(f"{inner.stem}-scores")


def _predict_blocks(
    predictor: TextPredictor,
    source: TableReader,
    columns: Sequence[str],
    truth: LabeledEvaluation | None,
    output: TableWriter | None,
    sets: PredictionSets | None,
) -> int:
    """Predict all rows, write or score them, and return the number of rows."""
    count = 0
    label = "predicted_label" if "label" in source.names else "label"
    for block in source.blocks():
        wanted = [*columns, truth.column] if truth else columns
        parts = source.select_strings(block, wanted, count)
        logits = predictor.predict_logits(join_texts(parts[: len(columns)]))
        count += len(logits)
        if truth:
            truth.add(parts[-1], logits)
        if output:
            added = build_prediction_columns(predictor, logits, label)
            output.write(block, added | (sets.build_columns(logits) if sets else {}))
    return count


def build_prediction_columns(
    predictor: TextPredictor, logits: Tensor, label: str
) -> dict[str, pa.Array]:
    """Build the new columns: the class, under the name `label`, and probabilities."""
    names = pa.array(predictor.class_names)
    columns = {label: names.take(pa.array(predictor.predict_classes(logits)))}
    shares = predictor.probabilities(logits)
    for name, column in zip(predictor.class_names, shares.T, strict=True):
        columns[f"probability_{name}"] = pa.array(column)
    return columns
