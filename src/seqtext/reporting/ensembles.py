"""Average the probabilities of runs: over seeds, and over runs that validation selects."""

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqtext.config.overrides import quote_text
from seqtext.display import name_commands
from seqtext.errors import UserError
from seqtext.metrics.definitions import get_metric_mode
from seqtext.reporting.bootstrap import build_scorer, has_score
from seqtext.reporting.groups import RunGroup
from seqtext.reporting.run_files import LoadedPredictions, average_predictions
from seqtext.reporting.runs import EnsembleRun, Run

MAX_MEMBERS = 20  # runs that validation selects
MODEL_NAME = "ensemble"
PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)  # needs no quotes in a list of Hydra's grammar
INTRODUCTION = (
    "Ensembles average the probabilities (and thresholds) of runs; their time and parameters are "
    "sums over these runs."
)


class Member(NamedTuple):
    """A run that may become part of an ensemble: it has predictions of both parts.

    rows: hash of the rows and labels of both parts
    """

    group: RunGroup
    run: Run
    val: LoadedPredictions
    test: LoadedPredictions
    rows: int


def build_ensembles(groups: Sequence[RunGroup], metric: str) -> tuple[list[RunGroup], list[str]]:
    """Build the ensembles of the runs of a data set.

    They are the mean over the seeds of each group, unless all seeds predict the same, and the mean
    of the runs that are best together on the validation part, see `select_members`. The runs of an
    ensemble were validated and tested on the same rows; test scores select nothing.

    Returns:
        A group with one `EnsembleRun` for each ensemble, and notes.
    """
    known = [list(_list_members(group)) for group in groups]
    ensembles, left_out = [], []
    for group, members in zip(groups, known, strict=True):
        if len(group.runs) > len(members) or len({member.rows for member in members}) > 1:
            left_out += [group.label] if len(group.runs) > 1 else []
        elif len(members) > 1 and not _have_equal_predictions(members):
            label = f"{group.label} (mean of {len(members)} seeds)"
            ensembles.append(_build_ensemble(label, members))
    notes = []
    if left_out:
        notes.append(
            f"No mean over the seeds of {', '.join(left_out)}: their runs have different "
            f"validation or test rows (split.seed, split.fold), or no predictions."
        )
    selected, note = _build_selected_ensemble([m for members in known for m in members], metric)
    ensembles += selected
    return ensembles, [*([INTRODUCTION] if ensembles else []), *notes, *note]


def select_members(predictions: Sequence[LoadedPredictions], metric: str) -> list[int]:
    """Select the predictions whose mean has the best score, greedily.

    The first is the best one; the next is the one with which the mean becomes best, until there are
    `MAX_MEMBERS` or none is left. The best of these growing ensembles is returned (Caruana et al.,
    2004: "Ensemble selection from libraries of models", without repetitions and bagging). Of equal
    scores, the one with the lower loss is better.

    Args:
        predictions: predictions on the same validation rows, for which the metric is defined

    Returns:
        The positions, in the order of selection.
    """
    sign = -1 if get_metric_mode(metric) == "min" else 1
    members: list[int] = []
    ranks: list[tuple[float, float]] = []  # of the growing ensembles
    mean = predictions[0]

    def add(number: int) -> LoadedPredictions:
        new = predictions[number]
        return average_predictions([mean, new], [len(members), 1]) if members else new

    while len(members) < min(MAX_MEMBERS, len(predictions)):
        left = [number for number in range(len(predictions)) if number not in members]
        scores = [
            (sign * _compute_score(grown, metric), -_compute_score(grown, "loss"))
            for grown in map(add, left)
        ]
        ranks.append(max(scores))
        chosen = left[scores.index(ranks[-1])]
        mean = add(chosen)
        members.append(chosen)
    return members[: ranks.index(max(ranks)) + 1]


def _list_members(group: RunGroup) -> Iterator[Member]:
    for run in group.runs:
        val, test = run.validation_predictions, run.predictions
        if val is not None and test is not None:
            columns = [(p.rows.tobytes(), p.labels.tobytes(), p.class_names) for p in (val, test)]
            yield Member(group, run, val, test, hash(tuple(columns)))


def _have_equal_predictions(members: Sequence[Member]) -> bool:
    """Return whether all runs predict the same, as those of a model without random numbers do."""
    return all(
        np.array_equal(getattr(members[0], part).probabilities, getattr(each, part).probabilities)
        for part in ("val", "test")
        for each in members
    )


def _build_selected_ensemble(
    members: Sequence[Member], metric: str
) -> tuple[list[RunGroup], list[str]]:
    """Build the ensemble that validation selects, if there is one, and a note on it."""
    scored = [member for member in members if has_score(member.val, metric)]
    ((rows, _),) = Counter(member.rows for member in scored).most_common(1) or [(0, 0)]
    candidates = [member for member in scored if member.rows == rows]
    if len({id(member.group) for member in candidates}) < 2:
        return [], []
    chosen = [candidates[n] for n in select_members([each.val for each in candidates], metric)]
    names = _format_names(chosen)
    if len(chosen) == 1:
        return [], [f"No mean of several runs has a better validation {metric} than {names} alone."]
    label = f"mean of {len(chosen)} of {len(candidates)} runs"
    paths = (str(each.run.path) for each in chosen)
    quoted = ",".join(p if PLAIN_PATH.fullmatch(p) else quote_text(p) for p in paths)
    command = f"{name_commands('python predict.py')} {shlex.quote(f'run=[{quoted}]')}"
    return [_build_ensemble(label, chosen)], [
        f"{label}: validation {metric} selected them one after the other (Caruana et al., 2004), "
        f"which makes this score optimistic: {names}. They predict with: {command}"
    ]


def _format_names(members: Sequence[Member]) -> str:
    """Return labels, with seeds if their group has several runs: ``gru (seeds 0, 2), tfidf``."""
    seeds: dict[str, list[str]] = {}
    for group, run, *_ in members:
        seeds.setdefault(group.label, []).extend([str(run.seed)] if len(group.runs) > 1 else [])
    return ", ".join(
        f"{label} (seed{'s' if len(own) > 1 else ''} {', '.join(own)})" if own else label
        for label, own in seeds.items()
    )


def _build_ensemble(label: str, members: Sequence[Member]) -> RunGroup:
    """Build a group of one run, with the entries of metrics.json that tables and plots show."""
    runs = tuple(member.run for member in members)
    first = runs[0].metrics
    averages = {
        "val": average_predictions([member.val for member in members]),
        "test": average_predictions([member.test for member in members]),
    }
    metrics: dict[str, Any] = {
        **{name: first.get(name) for name in ("dataset", "monitor", "rows", "settings")},
        "model": MODEL_NAME,
        "parameters": sum(run.metrics["parameters"] for run in runs),
        "seconds": {
            name: sum(run.metrics["seconds"][name] for run in runs)
            for name in first["seconds"]
            if all(name in run.metrics["seconds"] for run in runs)
        },
    }
    for part, average in averages.items():
        scores = {name: _compute_score(average, name) for name in first[part]}
        metrics[part] = {name: score for name, score in scores.items() if math.isfinite(score)}
    run = EnsembleRun(runs[0].path, metrics, members=runs, averages=averages)
    return RunGroup(label, {}, (run,))


def _compute_score(predictions: LoadedPredictions, metric: str) -> float:
    """Return a score on all rows; NaN if it is undefined, or the metric's class not allowed."""
    everything = np.ones((1, len(predictions.rows)), np.float32)
    try:
        return float(build_scorer(predictions, metric)(everything)[0])
    except UserError:
        return math.nan
