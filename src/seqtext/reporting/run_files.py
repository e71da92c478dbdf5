"""Read and check the files of runs and sweeps, which may be damaged or untrusted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from seqtext import metrics_file
from seqtext.errors import UserError, format_reason
from seqtext.files import build_damaged_file_error, read_json, read_yaml
from seqtext.validation import find_type_error

REQUIRED_KEYS = ("dataset", "model", "monitor", "val", "test", "seconds", "parameters", "settings")
STATUSES = ("finished", "failed", "pruned")  # of jobs in sweep.json and outcome.json
PROBABILITY = "probability_"


@dataclass(frozen=True)
class LoadedPredictions:
    """Predictions of a run on its validation or test part, read from its folder.

    rows: [N] row numbers in the source, sorted
    labels, predicted: [N] class numbers
    probabilities: [N, C]
    threshold: for two classes, the minimum probability at which class 1 was predicted
    custom: settings of the metrics that the run added, which may be untrusted
    is_ordinal: whether the model is one of ordered classes
    """

    rows: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    threshold: float = 0.5
    custom: Mapping[str, Any] = field(default_factory=dict)
    is_ordinal: bool = False


def read_run_metrics(path: Path) -> dict[str, Any]:
    """Read a metrics.json.

    Raises:
        UserError: if it is damaged, of another program, or unreadable.
    """
    return _read(partial(metrics_file.read_metrics, required=REQUIRED_KEYS), path)


def read_hydra(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read the choices of configuration groups, except Hydra's own, and the typed overrides.

    Raises:
        UserError: if it is damaged.
    """
    hydra = _get_section(read_options(path), "hydra", path)
    chosen = _get_section(_get_section(hydra, "runtime", path), "choices", path)
    if not chosen:  # Hydra always writes some: the file is truncated
        raise build_damaged_file_error(path, "its choices are missing")
    typed = _get_section(hydra, "overrides", path).get("task") or []
    if find_type_error(typed, list[str]):
        raise build_damaged_file_error(path, "its overrides are not a list of texts")
    plain = {k: v for k, v in chosen.items() if isinstance(k, str) and _is_plain(v)}
    choices = {k: str(v) for k, v in plain.items() if v and not k.startswith("hydra/")}
    return choices, tuple(typed)


def read_sweep(path: Path) -> dict[str, Any]:
    """Read a sweep.json: the command, and jobs with folder, status and reason.

    Raises:
        UserError: if it is damaged.
    """
    sweep = _read(read_json, path)
    jobs = sweep.get("jobs", [])
    if not isinstance(sweep.get("command", ""), str) or find_type_error(jobs, list[dict]):
        raise build_damaged_file_error(path, "its command or its jobs are missing")
    for job in jobs:
        if not isinstance(job.get("folder"), str) or "\0" in job["folder"]:
            raise build_damaged_file_error(path, "a job of it has no folder")
        check_status(path, job)
    return sweep


def read_outcome(path: Path) -> dict[str, Any]:
    """Read an outcome.json: status and reason of a job that did not finish.

    Raises:
        UserError: if it is damaged.
    """
    outcome = _read(read_json, path)
    check_status(path, outcome)
    return outcome


def check_status(path: Path, outcome: Mapping[str, Any]) -> None:
    """Raise a `UserError` if status or reason is invalid."""
    if outcome.get("status") not in STATUSES:
        raise build_damaged_file_error(path, f"a job's status is none of {', '.join(STATUSES)}")
    if not isinstance(outcome.get("reason"), str | None):
        raise build_damaged_file_error(path, "a job's reason is not a text")


def read_options(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Raises:
        UserError: if it is damaged or unreadable.
    """
    return _read(read_yaml, path)


def read_predictions(path: Path, metrics: Mapping[str, Any]) -> LoadedPredictions | None:
    """Read predictions of the run with these metrics; None if the file does not exist.

    Raises:
        UserError: if the file is damaged or belongs to another run.
    """
    if not path.exists():
        return None
    try:
        table = pd.read_parquet(path)
    except MemoryError:
        raise
    except Exception as error:  # pyarrow raises many types for damaged files
        raise build_damaged_file_error(path, "it is not Parquet") from error
    names = tuple(n.removeprefix(PROBABILITY) for n in table if str(n).startswith(PROBABILITY))
    if missing := [n for n in ("row", "label", "prediction") if n not in table]:
        raise build_damaged_file_error(path, f"it has no column {', '.join(missing)}")
    if len(names) < 2 or not table.columns.is_unique:
        raise build_damaged_file_error(path, "it has no probabilities of two or more classes")
    part = (metrics.get("rows") or {}).get(path.stem)
    if part is not None and (set(part) != set(names) or sum(part.values()) != len(table)):
        raise build_damaged_file_error(path, "its rows or classes are not those of the run")
    rows = table["row"].to_numpy()
    if not len(rows) or rows.dtype.kind not in "iu" or len(np.unique(rows)) < len(rows):
        raise build_damaged_file_error(path, "its row numbers are missing or repeated")
    table = table.sort_values("row")
    threshold = metrics.get("threshold")
    custom = metrics["settings"].get("metrics")
    return LoadedPredictions(
        table["row"].to_numpy(),
        _encode_classes(table["label"], names, path),
        _encode_classes(table["prediction"], names, path),
        _extract_probabilities(table[[PROBABILITY + name for name in names]], path),
        names,
        0.5 if threshold is None else threshold,
        custom if isinstance(custom, Mapping) else {},
        metrics["settings"].get("target") == "ordinal" and len(names) > 2,
    )


def average_predictions(
    predictions: Sequence[LoadedPredictions], weights: Sequence[float] | None = None
) -> LoadedPredictions:
    """Average the probabilities, and the thresholds, of predictions of the same rows.

    Args:
        weights: weight of each; None: equal weights
    """
    each = [one.probabilities for one in predictions]
    probabilities = np.average(each, axis=0, weights=weights)
    threshold = fmean([one.threshold for one in predictions], weights)
    is_ordinal = all(one.is_ordinal for one in predictions)
    if probabilities.shape[1] == 2:  # as `seqtext.metrics.scores.predict_classes`, without torch
        predicted = (probabilities[:, 1] >= threshold).astype(np.int64)
    elif is_ordinal:
        predicted = (probabilities.cumsum(axis=1)[:, :-1] < 0.5).sum(axis=1)
    else:
        predicted = probabilities.argmax(axis=1)
    custom = {
        name: options for one in reversed(predictions) for name, options in one.custom.items()
    }
    return replace(
        predictions[0],
        predicted=predicted,
        probabilities=probabilities,
        threshold=threshold,
        custom=custom,
        is_ordinal=is_ordinal,
    )


def _encode_classes(column: pd.Series, names: Sequence[str], path: Path) -> np.ndarray:
    """Return the class numbers [N] of a column of class names."""
    try:
        numbers = column.map({name: number for number, name in enumerate(names)}).to_numpy(float)
    except (TypeError, ValueError) as error:
        raise build_damaged_file_error(
            path, f"its column {column.name} holds no classes"
        ) from error
    if np.isnan(numbers).any():
        raise build_damaged_file_error(path, f"its column {column.name} contains an unknown class")
    return numbers.astype(np.int64)


def _extract_probabilities(table: pd.DataFrame, path: Path) -> np.ndarray:
    """Return and check the probabilities [N, C] of a table."""
    try:
        values = table.to_numpy(float)
    except (TypeError, ValueError) as error:
        raise build_damaged_file_error(path, "its probabilities are no numbers") from error
    if not ((values >= 0) & (values <= 1)).all():  # also refuses NaN
        raise build_damaged_file_error(path, "its probabilities are not between 0 and 1")
    return values


def _read(reader: Callable[[Path], dict[str, Any]], path: Path) -> dict[str, Any]:
    try:
        return reader(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {format_reason(error.strerror or error)}."
        ) from error


def _get_section(content: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    section = content.get(name) or {}
    if not isinstance(section, dict):
        raise build_damaged_file_error(path, f"its {name} holds no options")
    return section


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | None)
