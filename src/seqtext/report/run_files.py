"""Read and check the files of runs and sweeps, which may be damaged or come from a stranger."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from seqtext.files import read_json
from seqtext.options import UserError

FACTS = ("dataset", "model", "monitor", "val", "test", "seconds", "parameters", "settings")
STATUSES = ("finished", "failed", "pruned")  # of a job, in sweep.json and outcome.json
PROBABILITY = "probability_"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some 40 times as fast, where it is built
DEEPEST = 200  # levels of YAML, of which this program writes ten at most
YAML_ERRORS = (
    *(yaml.YAMLError, ValueError, LookupError, TypeError),
    *(AttributeError, ArithmeticError, RecursionError),  # of tags that do not fit their values
)


@dataclass(frozen=True)
class Said:
    """What a run said of its test part; N rows, in the order of their numbers.

    rows: [N] numbers in the source
    labels, predicted: [N] classes
    probabilities: [N, C]
    threshold: of two classes, the probability of class 1 from which on it was predicted
    """

    rows: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    threshold: float = 0.5


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a metrics.json; values that may be unknown may be missing or null.

    Raises:
        UserError: if it is damaged, or another program's.
    """
    metrics = _read(path)
    if missing := [fact for fact in FACTS if fact not in metrics]:
        raise UserError(f"{path} is no result of a run: it says nothing of {', '.join(missing)}.")
    for name, (is_right, expected) in CHECKS.items():
        value = metrics.get(name)
        may_be_null = name not in FACTS
        if not (value is None and may_be_null) and not is_right(value):
            raise _wrong(path, f"its {name} is not {expected}")
    return metrics


def read_hydra(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read the choices of configuration groups, without Hydra's own, and the typed overrides.

    Raises:
        UserError: if it is damaged.
    """
    hydra = _section(read_yaml(path), "hydra", path)
    chosen = _section(_section(hydra, "runtime", path), "choices", path)
    typed = _section(hydra, "overrides", path).get("task") or []
    if not _is_list_of(typed, str):
        raise _wrong(path, "its overrides are not a list of texts")
    plain = {k: v for k, v in chosen.items() if isinstance(k, str) and _is_plain(v)}
    choices = {k: str(v) for k, v in plain.items() if v and not k.startswith("hydra/")}
    return choices, tuple(typed)


def read_sweep(path: Path) -> dict[str, Any]:
    """Read a sweep.json: its command, and jobs with folder, status and reason.

    Raises:
        UserError: if it is damaged.
    """
    sweep = _read(path)
    jobs = sweep.get("jobs", [])
    if not isinstance(sweep.get("command", ""), str) or not _is_list_of(jobs, dict):
        raise _wrong(path, "its command or its jobs are missing")
    for job in jobs:
        if not isinstance(job.get("folder"), str) or "\0" in job["folder"]:
            raise _wrong(path, "a job of it has no folder")
        check_outcome(path, job)
    return sweep


def read_outcome(path: Path) -> dict[str, Any]:
    """Read an outcome.json: the status and the reason of a job that did not finish.

    Raises:
        UserError: if it is damaged.
    """
    outcome = _read(path)
    check_outcome(path, outcome)
    return outcome


def check_outcome(path: Path, outcome: Mapping[str, Any]) -> None:
    """Raise a `UserError` unless status and reason are what a sweep writes."""
    if outcome.get("status") not in STATUSES:
        raise _wrong(path, f"a job's status is none of {', '.join(STATUSES)}")
    if not isinstance(outcome.get("reason"), str | None):
        raise _wrong(path, "a job's reason is not a text")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Raises:
        UserError: if it is damaged.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        content = [] if _is_nested_too_deeply(text) else yaml.load(text, Loader)
    except YAML_ERRORS as error:
        raise _wrong(path, "it is not YAML") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _wrong(path, "it holds no options")
    return content


def read_predictions(path: Path, metrics: Mapping[str, Any]) -> Said | None:
    """Read a part's predictions of the run with these metrics; None if there is no such file.

    Raises:
        UserError: if the file is damaged, or not of this run.
    """
    if not path.exists():
        return None
    try:
        table = pd.read_parquet(path)
    except MemoryError:
        raise
    except Exception as error:  # pyarrow raises of every kind on damaged bytes
        raise _wrong(path, "it is not Parquet") from error
    names = tuple(n.removeprefix(PROBABILITY) for n in table if str(n).startswith(PROBABILITY))
    if missing := [n for n in ("row", "label", "prediction") if n not in table]:
        raise _wrong(path, f"it has no column {', '.join(missing)}")
    if len(names) < 2 or not table.columns.is_unique:
        raise _wrong(path, "it has no probabilities of two or more classes")
    part = (metrics.get("rows") or {}).get(path.stem)
    if part is not None and (set(part) != set(names) or sum(part.values()) != len(table)):
        raise _wrong(path, "its rows or classes are not those of the run")
    rows = table["row"].to_numpy()
    if not len(rows) or rows.dtype.kind not in "iu" or len(np.unique(rows)) < len(rows):
        raise _wrong(path, "its row numbers are missing or repeated")
    table = table.sort_values("row")
    threshold = metrics.get("threshold")
    return Said(
        table["row"].to_numpy(),
        _class_numbers(table["label"], names, path),
        _class_numbers(table["prediction"], names, path),
        _probabilities(table[[PROBABILITY + name for name in names]], path),
        names,
        0.5 if threshold is None else threshold,
    )


def _is_nested_too_deeply(text: bytes) -> bool:
    """Whether YAML is nested so deeply that its reader, written in C, would end the program."""
    openings = sum(map(text.count, (b"[", b"{", b"-", b"?")))
    if openings < DEEPEST and b" " * DEEPEST not in text:
        return False  # as good as always; events take as long as loading
    depth = 0
    for event in yaml.parse(text, Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return True
    return False


def _class_numbers(column: pd.Series, names: Sequence[str], path: Path) -> np.ndarray:
    """[N] numbers of the classes that a column names."""
    try:
        numbers = column.map({name: number for number, name in enumerate(names)}).to_numpy(float)
    except (TypeError, ValueError) as error:
        raise _wrong(path, f"its column {column.name} holds no classes") from error
    if np.isnan(numbers).any():
        raise _wrong(path, f"its column {column.name} holds what is no class")
    return numbers.astype(np.int64)


def _probabilities(table: pd.DataFrame, path: Path) -> np.ndarray:
    """[N, C]"""
    try:
        values = table.to_numpy(float)
    except (TypeError, ValueError) as error:
        raise _wrong(path, "its probabilities are no numbers") from error
    if not ((values >= 0) & (values <= 1)).all():  # nan is neither
        raise _wrong(path, "its probabilities do not lie between 0 and 1")
    return values


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _section(content: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    section = content.get(name) or {}
    if not isinstance(section, dict):
        raise _wrong(path, f"its {name} holds no options")
    return section


def _wrong(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged ({what}): delete it, and run that again.")


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be read: {error.strerror or error}.")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | None)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 1 << 63


def _is_known_or_null(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _is_scores(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_known_or_null, value.values()))


def _is_curves(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(curve, list) and all(map(_is_known_or_null, curve)) for curve in value.values()
    )


def _is_rows(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(part, dict) and all(_is_whole(n) and n >= 0 for n in part.values())
        for part in value.values()
    )


def _is_settings(value: Any) -> bool:
    """Nested options; what tells repetitions apart is a whole number or unknown."""
    if not isinstance(value, dict):
        return False
    split = value.get("split") or {}
    repeated = [value.get("seed")]
    if not isinstance(split, dict):
        return False
    repeated += [split.get("seed"), split.get("fold")]
    dataset = value.get("dataset")
    return isinstance(dataset, dict | None) and all(n is None or _is_whole(n) for n in repeated)


def _is_fingerprints(value: Any) -> bool:
    """Digests of the data and of the word vectors; more may stand beside them."""
    digests = ("data", "vectors")
    return isinstance(value, dict) and all(isinstance(value.get(n), str | None) for n in digests)


def _is_share(value: Any) -> bool:
    return value is None or (_is_number(value) and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dataset": (_is_text, "a text"),
    "model": (_is_text, "a text"),
    "monitor": (_is_text, "a text"),
    "source": (_is_text, "a text"),
    "val": (_is_scores, "a set of scores"),
    "test": (_is_scores, "a set of scores"),
    "seconds": (_is_scores, "a set of numbers"),
    "parameters": (_is_known_or_null, "a number"),
    "epochs": (_is_known_or_null, "a number"),
    "threshold": (_is_share, "a number"),
    "curves": (_is_curves, "a set of lists of numbers"),
    "rows": (_is_rows, "a number of rows per part and class"),
    "settings": (_is_settings, "a set of options"),
    "fingerprints": (_is_fingerprints, "a set of digests"),
    "warnings": (lambda value: _is_list_of(value, str), "a list of texts"),
}
