"""Read metrics.json, which may be damaged or untrusted, and check every entry that is used."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqtext.files import build_damaged_file_error, read_json
from seqtext.identity import CONTENT_NAMES
from seqtext.metrics.custom_modes import register_modes

METRICS_FILE = "metrics.json"
MAX_WHOLE_NUMBER = 2**63
MAX_COST = 1e18  # seconds or bytes
SUMMARY_ENTRIES = (  # entries needed by the table at the end of a run
    *("dataset", "model", "monitor", "val", "test", "seconds"),
    *("best_epoch", "epochs", "parameters", "threshold"),
)


def read_metrics(path: Path, required: Sequence[str] = ()) -> dict[str, Any]:
    """Read the results of a finished run.

    Args:
        path: path of metrics.json
        required: entries that must exist; others may be missing

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged: not JSON, a required entry is missing, or an entry is not of
            the type that runs write.
    """
    metrics = read_json(path)
    if missing := [name for name in required if name not in metrics]:
        raise build_damaged_file_error(path, f"it has no entry {', '.join(missing)}")
    for name, (is_valid, expected) in ENTRY_CHECKS.items():
        if name in metrics and not is_valid(metrics[name]):
            raise build_damaged_file_error(path, f"its {name} is not {expected}")
    register_modes(metrics.get("metric_modes", {}))
    return metrics


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: Any) -> bool:
    return value is None or _is_text(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_whole(value)


def _is_number_or_null(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_WHOLE_NUMBER


def _check_values(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a check whether all values of a mapping are valid."""
    return lambda value: isinstance(value, Mapping) and all(map(is_valid, value.values()))


def _is_cost(value: Any) -> bool:
    """Return whether a value can be a time in seconds or a memory in bytes."""
    return _is_number(value) and not value < 0 and not value > MAX_COST  # NaN is shown as unknown


def _is_seconds(value: Any) -> bool:
    return _check_values(_is_cost)(value) and {"training", "total"} <= value.keys()


def _is_both_parts(value: Any) -> bool:
    return _check_values(_check_values(_is_number_or_null))(value) and {"val", "test"} <= {*value}


def _is_settings(value: Any) -> bool:
    """Return whether groups are mappings, and seeds and folds whole numbers or null."""
    if not isinstance(value, Mapping):
        return False
    split, dataset = value.get("split", {}), value.get("dataset", {})
    if not isinstance(split, Mapping) or not isinstance(dataset, Mapping):
        return False
    numbers = [value.get("seed"), *map(split.get, ("seed", "folds", "fold"))]
    has_whole_numbers = all(n is None or _is_whole(n) for n in numbers)
    return has_whole_numbers and _is_text_or_null(value.get("label"))


def _is_rows(value: Any) -> bool:
    return _check_values(_check_values(lambda n: _is_whole(n) and n >= 0))(value)


def _is_curves(value: Any) -> bool:
    return _check_values(lambda c: isinstance(c, list) and all(map(_is_number_or_null, c)))(value)


def _is_provenance(value: Any) -> bool:
    """Return whether commit, versions and hardware, each of which may be missing, are valid."""
    if not isinstance(value, Mapping):
        return False
    versions, hardware = value.get("versions") or {}, value.get("hardware") or {}
    if not _check_values(_is_text_or_null)(versions) or not isinstance(hardware, Mapping):
        return False
    gpus = hardware.get("gpus") or []
    return (
        all(map(_is_text_or_null, (value.get("git_commit"), hardware.get("cpu"))))
        and all(n is None or _is_whole(n) for n in map(hardware.get, ("cores", "usable_cores")))
        and isinstance(gpus, list)
        and all(isinstance(gpu, Mapping) and _is_text(gpu.get("name")) for gpu in gpus)
    )


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_fingerprints(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, Mapping) or not isinstance(value.get("files", {}), Mapping):
        return False
    digests = [value.get(key) for key in CONTENT_NAMES] + list(value.get("files", {}).values())
    return all(one is None or isinstance(one, str) for one in digests)


def _is_baselines(value: Any) -> bool:
    """Return whether there are scores of each part, and the class or the seconds, of baselines."""
    return isinstance(value, Mapping) and all(
        isinstance(one, Mapping)
        and _is_both_parts({part: one.get(part) for part in ("val", "test")})
        and _is_text(one.get("class", ""))
        and _is_cost(one.get("seconds", 0))
        for one in value.values()
    )


_is_scores = _check_values(_is_number_or_null)
ENTRY_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dataset": (_is_text, "a text"),
    "model": (_is_text, "a text"),
    "tags": (_is_texts, "a list of texts"),
    "notes": (_is_text_or_null, "a text"),
    "monitor": (_is_text, "a text"),
    "source": (_is_text, "a text"),
    "score": (_is_number_or_null, "a number"),
    "best_epoch": (_is_whole, "a whole number"),
    "epochs": (_is_whole, "a whole number"),
    "parameters": (_is_whole, "a whole number"),
    "vocabulary_size": (_is_whole, "a whole number"),
    "unknown_tokens": (_check_values(_is_number), "a set of numbers"),
    "seconds": (_is_seconds, "a set of numbers"),
    "peak_memory": (_check_values(_is_cost), "a set of numbers"),
    "rows": (_is_rows, "a number of rows per part and class"),
    "settings": (_is_settings, "a set of options"),
    "fingerprints": (_is_fingerprints, "a set of digests"),
    "provenance": (_is_provenance, "a set of versions and of facts about the machine"),
    "curves": (_is_curves, "a set of lists of numbers"),
    "threshold": (_is_finite, "a number"),
    "warnings": (_is_texts, "a list of texts"),
    "val": (_is_scores, "a set of scores"),
    "test": (_is_scores, "a set of scores"),
    "metric_modes": (_check_values(lambda v: v in ("min", "max")), "min or max for each metric"),
    "baselines": (_is_baselines, "a set of scores for each baseline"),
    "at_0.5": (_is_both_parts, "two sets of scores"),
}
