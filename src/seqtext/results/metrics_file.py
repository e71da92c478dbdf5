"""Reading metrics.json, whoever wrote it or damaged it: what is used of it is what it should be."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqtext.files import damaged, read_json
from seqtext.identity import CONTENT

NAME = "metrics.json"
LARGEST = 2**63
SHOWN = (  # what the table at a run's end needs
    *("dataset", "model", "monitor", "val", "test", "seconds"),
    *("best_epoch", "epochs", "parameters", "threshold"),
)


def read_metrics(path: Path, required: Sequence[str] = ()) -> dict[str, Any]:
    """Read the results of a finished run.

    Args:
        path: of metrics.json
        required: entries that the caller cannot do without; others may be missing

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged: no JSON, without a required entry, or with one of another
            kind than runs write.
    """
    metrics = read_json(path)
    is_whole = all(name in metrics for name in required) and all(
        is_valid(metrics[name]) for name, is_valid in KINDS.items() if name in metrics
    )
    if not is_whole:
        raise damaged(path)
    return metrics


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_count(value) and abs(value) <= LARGEST)


def _is_number_or_null(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_mapping_of(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(is_valid, value.values()))


def _is_seconds(value: Any) -> bool:
    return _is_mapping_of(_is_number)(value) and {"training", "total"} <= value.keys()


def _is_both_parts(value: Any) -> bool:
    return _is_mapping_of(_is_mapping_of(_is_number_or_null))(value) and {"val", "test"} <= {*value}


def _is_settings(value: Any) -> bool:
    """Whether groups are groups, and folds are counted as `winner` counts them."""
    if not isinstance(value, Mapping):
        return False
    split = value.get("split", {})
    return isinstance(split, Mapping) and all(
        split.get(name) is None or _is_count(split[name]) for name in ("folds", "fold")
    )


def _is_fingerprints(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, Mapping) or not isinstance(value.get("files", {}), Mapping):
        return False
    digests = [value.get(key) for key in CONTENT] + list(value.get("files", {}).values())
    return all(one is None or isinstance(one, str) for one in digests)


KINDS: dict[str, Callable[[Any], bool]] = {
    "dataset": _is_text,
    "model": _is_text,
    "monitor": _is_text,
    "source": _is_text,
    "score": _is_number_or_null,
    "best_epoch": _is_count,
    "epochs": _is_count,
    "parameters": _is_count,
    "seconds": _is_seconds,
    "rows": _is_mapping_of(_is_mapping_of(_is_count)),
    "settings": _is_settings,
    "fingerprints": _is_fingerprints,
    "curves": _is_mapping_of(lambda value: isinstance(value, list)),
    "threshold": _is_number,
    "warnings": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "val": _is_mapping_of(_is_number_or_null),
    "test": _is_mapping_of(_is_number_or_null),
    "at_0.5": _is_both_parts,
}
