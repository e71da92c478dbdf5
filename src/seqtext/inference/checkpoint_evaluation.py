"""Evaluate a checkpoint on the test part of its run, or on another data set."""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from seqtext.config.instantiate import build_from_config, build_without_target
from seqtext.config.paths import Paths
from seqtext.config.settings import CONTROL_OPTIONS, apply_overrides
from seqtext.config.stored_settings import replace_untrusted_paths
from seqtext.config.trust import allow_any_class
from seqtext.data.labels import normalize_label
from seqtext.data.preprocessing import load_parts, load_rows
from seqtext.data.raw_dataset import RawDataset
from seqtext.data.split import PARTS, Split
from seqtext.datasets.base import TextDataModule
from seqtext.display import count_noun, print_line
from seqtext.errors import UserError
from seqtext.files import write_json
from seqtext.identity import FOLDER_OPTIONS
from seqtext.inference.evaluation import (
    UNKNOWN,
    LabeledEvaluation,
    build_metrics_if_allowed,
    show_scores,
)
from seqtext.inference.load_model import LoadedModel, find_checkpoint, load_model
from seqtext.inference.predictor import Predictor
from seqtext.metrics.predictions import Predictions
from seqtext.metrics.result_warnings import find_warnings
from seqtext.run_dir import RunDir
from seqtext.training.provenance import collect_provenance, start_git_query

log = logging.getLogger(__name__)

OF_CHECKPOINT = ("dataset.cleaning", "dataset.stopwords")
CHANGEABLE = ("dataset", "dataset.*", *FOLDER_OPTIONS, "name", "plugins")
BLOCK_ROWS = 100_000


class EvaluationRows(NamedTuple):
    """Rows to evaluate.

    selected: [N] positions in `rows`
    description: description for messages, such as "the test part of imdb", or "imdb" for all rows
    """

    rows: RawDataset
    selected: np.ndarray
    description: str
    warnings: list[str]


def evaluate_checkpoint(config: DictConfig, overrides: Sequence[str], run_dir: RunDir) -> None:
    """Score a checkpoint, and write scores, predictions and figures into a folder of its own.

    Vocabulary, cleaning and threshold are those of the checkpoint; nothing is fitted. Without
    another data set, the rows are the test part of its run. Of another one, they are the test part
    that the source defines, or else all rows.

    Args:
        config: configuration composed with the overrides
        overrides: overrides typed on the command line
        run_dir: folder to write to

    Raises:
        UserError: if the checkpoint or the data cannot be used, or another option is overridden.
    """
    start_git_query()
    keys = _check_overrides(overrides)
    path = find_checkpoint(config.checkpoint, "checkpoint")
    loaded_model = load_model(path)
    settings = copy.deepcopy(dict(loaded_model.config))
    replace_untrusted_paths(settings, config)
    settings = apply_overrides(list(overrides), config, settings)
    run_dir.lock(resume=False)
    try:
        with allow_any_class("dataset" in keys):
            data = _build_datamodule(settings, loaded_model)
        rows = _select_rows(data, settings, loaded_model)
        predictor = Predictor(loaded_model)
        predictions, notes = _predict(predictor, rows, data)
        warnings = [*rows.warnings, *notes, *find_warnings(rows.description, predictions)]
        _write(run_dir, predictions, rows, {"checkpoint": str(path), "warnings": warnings})
        for warning in (*rows.warnings, *notes):
            log.warning("%s", warning)
        predictor.warn_of_unknown_texts()
        count = count_noun(len(predictions.labels), "row")
        show_scores(predictions, f"{count} of {rows.description}", rows.description)
        print_line(f"Scores, predictions and figures are in {run_dir.path}")
    finally:
        run_dir.unlock()


def _check_overrides(overrides: Sequence[str]) -> set[str]:
    """Return the overridden options and groups; refuse those that the checkpoint determines."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    for override in parsed:
        key = override.key_or_group
        is_of_data = key.partition(".")[0] == "dataset" and key not in OF_CHECKPOINT
        if not is_of_data and key not in (*CHANGEABLE, *CONTROL_OPTIONS):
            raise UserError(
                f"{str(override.input_line).lstrip('+')} cannot be changed with mode=test: the "
                f"checkpoint has its own settings; only {', '.join(CHANGEABLE)} may differ."
            )
    return {override.key_or_group for override in parsed}


def _build_datamodule(settings: Mapping[str, Any], loaded_model: LoadedModel) -> TextDataModule:
    options = settings.get("dataset")
    if not isinstance(options, dict):
        raise UserError("dataset: the checkpoint has no options of its data set; give dataset=….")
    own = {option: None for option in ("cleaning", "stopwords") if option in options}
    paths = build_without_target("paths", Paths, settings["paths"])
    data: TextDataModule = build_from_config("dataset", options | own, cache=paths.cache_dir)
    data.data_dir = paths.data_dir
    data.cleaning = loaded_model.cleaning
    return data


def _select_rows(
    data: TextDataModule, settings: Mapping[str, Any], loaded_model: LoadedModel
) -> EvaluationRows:
    source = data.locate_rows()
    rows = load_rows(data.cache, *source)
    warnings = list(rows.warnings)
    for note in rows.notes:
        log.info("  %s", note)
    split, trained_on = (loaded_model.config.get(group) for group in ("split", "dataset"))
    if data.fingerprint(rows) == loaded_model.fingerprints.get("data"):
        if not isinstance(split, dict):
            raise UserError("The checkpoint has no options of split: its test part is unknown.")
        data.split = build_without_target("split", Split, split)
        parts = load_parts(data.cache, *source, data.build_preprocessing_config())
        return EvaluationRows(rows, parts["test"], f"the test part of {data.name}", warnings)
    if isinstance(trained_on, dict) and _is_same_source(settings["dataset"], trained_on):
        warnings.append(
            f"The model was trained on other files of {data.name}, or with other options of "
            f"dataset: the rows that are evaluated may contain some that it was trained on."
        )
    is_test = None if rows.official is None else np.asarray(rows.official) == PARTS.index("test")
    if is_test is not None and is_test.any():
        selected, description = np.flatnonzero(is_test), f"the official test part of {data.name}"
    else:
        selected, description = np.arange(len(rows)), data.name
    return EvaluationRows(rows, selected, description, warnings)


def _is_same_source(options: Mapping[str, Any], trained_on: Mapping[str, Any]) -> bool:
    """Return whether two data sets have the same class and, for tables, the same path."""
    return all(options.get(name) == trained_on.get(name) for name in ("_target_", "path"))


def _predict(
    predictor: Predictor, rows: EvaluationRows, data: TextDataModule
) -> tuple[Predictions, list[str]]:
    """Return the predictions, and notes on how labels were interpreted.

    Raises:
        UserError: if the data set has a class that the model does not know.
    """
    source = Path(data.source)
    truth = LabeledEvaluation("label", predictor.class_names, source, predictor.drop_labels)
    names = rows.rows.class_names
    labels = np.asarray(rows.rows.labels)[rows.selected]
    used = [names[number] for number in np.unique(labels)]
    if unknown := [n for n in used if truth.find_class_number(normalize_label(n)) == UNKNOWN]:
        raise UserError(
            f"{data.source} has the class {unknown[0]!r}, and the model knows only "
            f"{', '.join(map(repr, predictor.class_names))}: give data with these classes, or "
            f"leave the others out with dataset.drop_labels."
        )
    for start in range(0, len(labels), BLOCK_ROWS):
        positions = pa.array(rows.selected[start : start + BLOCK_ROWS])
        texts = rows.rows.texts.take(positions).combine_chunks()
        of_block = pa.array(names).take(pa.array(labels[start : start + BLOCK_ROWS]))
        truth.add(of_block, predictor.predict_logits(texts))
    found = truth.predictions(predictor.threshold, predictor.is_ordinal)
    custom = build_metrics_if_allowed(predictor.metric_options, len(predictor.class_names))
    return replace(found, rows=rows.selected[found.rows], custom=custom), truth.notes()


def _write(
    run_dir: RunDir, predictions: Predictions, rows: EvaluationRows, facts: Mapping[str, Any]
) -> None:
    from seqtext.figures.files import write_figures
    from seqtext.figures.predictions import get_prediction_plots

    predictions.write(run_dir.predictions("test"), rows.rows.numbers)
    write_figures(get_prediction_plots(predictions, rows.description), run_dir.figures)
    entries = {
        **facts,
        "data": rows.description,
        "rows": len(predictions.labels),
        "threshold": predictions.threshold,
        "provenance": collect_provenance(),
    }
    write_json(run_dir.path / "scores.json", entries | predictions.compute_metrics())
