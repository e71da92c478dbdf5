"""Build the results table of a data set, as text for all formats and as a data frame."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from seqtext.display import format_duration
from seqtext.metrics.definitions import get_metric_mode
from seqtext.reporting.groups import NO_VALUE, RunGroup, format_setting
from seqtext.reporting.published_results import PublishedResult

TWO_CLASSES = ("accuracy", "f1", "precision", "recall", "auroc")
MANY_CLASSES = ("accuracy", "macro_f1", "weighted_f1", "auroc")
ABBREVIATIONS = {"accuracy": "acc.", "balanced_accuracy": "bal. acc.", "weighted_f1": "weighted F1"}
ABBREVIATIONS |= {"macro_f1": "macro F1", "f1": "F1", "auroc": "AUC", "average_precision": "AP"}
OURS, REFERENCE_MODEL, ENSEMBLE = "ours", "reference", "ensemble"  # kinds of rows
REPORTED = "reported"
UNKNOWN = "–"


class Cell(NamedTuple):
    """Text of a cell, and whether its value is the best of the column."""

    text: str
    best: bool = False


class Row(NamedTuple):
    """A row.

    kind: "ours", "reference" (our run of the reference model), "ensemble" (of our runs) or
        "reported"
    """

    label: str
    kind: str
    cells: list[Cell]
    note: str = ""


class ResultsTable(NamedTuple):
    """A table; `columns` are the titles without that of the row labels."""

    columns: list[str]
    rows: list[Row]


def build_table(
    groups: Sequence[RunGroup], others: Sequence[PublishedResult], metric: str
) -> ResultsTable:
    """Build the table of all groups in their order, including the baseline, then published results.

    All formats use this order.
    """
    scores = choose_score_columns(groups, others, metric)
    columns = [_build_score_cells(groups, part, name) for part, name in scores]
    facts = {
        "n": [Cell(f"{len(group.runs)}") for group in groups],
        "training": _build_time_cells(groups),
        "parameters": _build_count_cells(groups, "parameters"),
    }
    if any(group.values("peak_memory", "host") for group in groups):
        facts["memory"] = _build_cells(groups, compute_memory, "{:,.0f} MB")
    if any(map(compute_prediction_time, groups)):
        facts["ms/text"] = _build_cells(groups, compute_prediction_time, "{:.2g}")
    if any("tokenizer" in group.settings for group in groups):
        facts["vocabulary"] = _build_count_cells(groups, "vocabulary_size")
    lines = zip(*columns[:2], *facts.values(), *columns[2:], strict=True)
    rows = [Row(g.label, _get_kind(g), list(each)) for g, each in zip(groups, lines, strict=True)]
    for other in others:
        known = [other.scores.get(f"{part}/{name}") for part, name in scores]
        texts = [UNKNOWN if value is None else f"{value:.3f}" for value in known]
        runs = UNKNOWN if other.study == "published" else "1"
        unknown = [UNKNOWN] * (len(facts) - 1)
        cells = [Cell(text) for text in (*texts[:2], runs, *unknown, *texts[2:])]
        rows.append(Row(other.label, REPORTED, cells, other.note))
    titles = [f"{part} {ABBREVIATIONS.get(name, name)}" for part, name in scores]
    return ResultsTable([*titles[:2], *facts, *titles[2:]], rows)


def _build_count_cells(groups: Sequence[RunGroup], name: str) -> list[Cell]:
    means = [group.mean(name) for group in groups]
    return [Cell(UNKNOWN if mean is None else f"{mean:,.0f}") for mean in means]


def _build_cells(
    groups: Sequence[RunGroup], compute: Callable[[RunGroup], float | None], form: str
) -> list[Cell]:
    values = map(compute, groups)
    return [Cell(UNKNOWN if value is None else form.format(value)) for value in values]


def compute_memory(group: RunGroup) -> float | None:
    """Return the mean peak memory in MB: of the GPU, or else the process."""
    peak = group.mean("peak_memory", "gpu") or group.mean("peak_memory", "host")
    return peak and peak / 1e6


def compute_training_time(group: RunGroup) -> float | None:
    """Return the mean training time in seconds, with that of features computed before it."""
    seconds = group.mean("seconds", "training")
    if seconds is None:
        return None
    rows = {part: group.runs[0].rows(part) for part in ("train", "val", "test")}
    share = 1 - rows["test"] / max(sum(rows.values()), 1)
    return seconds + share * (group.mean("seconds", "features") or 0)


def compute_prediction_time(group: RunGroup) -> float | None:
    """Return the mean milliseconds for a text of the test part, with those for its features."""
    seconds, rows = group.mean("seconds", "test"), group.runs[0].rows("test")
    if seconds is None or not rows:
        return None
    texts = sum(group.runs[0].rows(part) for part in ("train", "val", "test"))
    return 1000 * (seconds / rows + (group.mean("seconds", "features") or 0) / texts)


def choose_score_columns(
    groups: Sequence[RunGroup], others: Sequence[PublishedResult], metric: str
) -> list[tuple[str, str]]:
    """Return (part, metric) of the score columns.

    These are the main metric on validation and test, the usual test metrics, and the metrics that
    the studies of this data set reported.
    """
    known = {
        (part, name)
        for group in groups
        for run in group.runs
        for part in ("val", "test")
        for name in run.metrics[part]
    }
    usual = TWO_CLASSES if ("test", "specificity") in known else MANY_CLASSES
    reported = [name.partition("/")[::2] for other in others for name in other.scores]
    wanted = [("val", metric), ("test", metric), *(("test", name) for name in usual), *reported]
    deciding = wanted[:2]  # always shown as the first two columns
    return [each for each in dict.fromkeys(wanted) if each in known or each in deciding]


def _build_score_cells(groups: Sequence[RunGroup], part: str, name: str) -> list[Cell]:
    means = [group.mean(part, name) for group in groups]
    choose: Callable[..., float] = min if get_metric_mode(name) == "min" else max
    best = choose((mean for mean in means if mean is not None), default=None)
    return [
        Cell(_format_score(group, part, name), mean is not None and mean == best)
        for group, mean in zip(groups, means, strict=True)
    ]


def _format_score(group: RunGroup, part: str, name: str) -> str:
    """Format a score such as ``0.9120 ± 0.0040 (n = 2)``, with n if not all runs have a score."""
    mean, std, known = group.mean(part, name), group.std(part, name), len(group.values(part, name))
    if mean is None:
        return UNKNOWN
    text = f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"
    return f"{text} (n = {known})" if known < len(group.runs) else text


def _build_time_cells(groups: Sequence[RunGroup]) -> list[Cell]:
    times = [compute_training_time(group) for group in groups]
    least = min((time for time in times if time is not None), default=None)
    return [
        Cell(UNKNOWN if time is None else format_duration(time), time is not None and time == least)
        for time in times
    ]


def _get_kind(group: RunGroup) -> str:
    if group.is_ensemble:
        return ENSEMBLE
    return REFERENCE_MODEL if group.is_baseline else OURS


def collect_footnotes(table: ResultsTable) -> list[str]:
    """Return the distinct notes on published results, with their rows."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.note:
            rows.setdefault(row.note, []).append(row.label.partition(": ")[0])
    return [f"{', '.join(dict.fromkeys(who))}: {note}." for note, who in rows.items()]


def to_dataframe(
    dataset: str, groups: Sequence[RunGroup], others: Sequence[PublishedResult]
) -> pd.DataFrame:
    """Return all rows with settings, and mean and standard deviation of each score.

    Those of ensembles also name the folders of their runs.
    """
    return pd.DataFrame(
        [_to_record(dataset, g) for g in groups]
        + [
            {
                "dataset": dataset,
                "label": other.label,
                "kind": REPORTED,
                **{f"{name}/mean": value for name, value in other.scores.items()},
                "note": other.note,
            }
            for other in others
        ]
    )


def _to_record(dataset: str, group: RunGroup) -> dict[str, Any]:
    row = {"dataset": dataset, "label": group.label, "kind": _get_kind(group), "n": len(group.runs)}
    row |= {
        name: format_setting(value) for name, value in group.settings.items() if value != NO_VALUE
    }
    if group.is_ensemble:
        row["members"] = ",".join(str(run.path) for run in group.members)
    for part in ("val", "test"):
        for name in dict.fromkeys(name for run in group.runs for name in run.metrics[part]):
            row[f"{part}/{name}/mean"] = group.mean(part, name)
            row[f"{part}/{name}/std"] = group.std(part, name)
    for name in ("training", "test", "total"):
        row[f"seconds/{name}/mean"] = group.mean("seconds", name)
    row |= {"memory_mb": compute_memory(group), "ms_per_text": compute_prediction_time(group)}
    return row | {name: group.mean(name) for name in ("parameters", "vocabulary_size")}
