"""Every pair of groups: how far they differ on the same test rows, and whether chance could."""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, variance
from typing import NamedTuple

import numpy as np

from seqtext.reporting.groups import Group
from seqtext.reporting.scoring import build_scorer, draw_resamples, has_score
from seqtext.reporting.significance_tests import (
    corrected_t,
    holm,
    margin_of_difference,
    mcnemar,
    p_of_difference,
)

LEVEL = 0.05
DIFFERENT = "different"
NOT_SIGNIFICANT = "not significant"
UNDECIDED = "undecided: runs vary too much"


class Pair(NamedTuple):
    """Two groups compared on a test metric; the p values are corrected over all pairs (Holm).

    first, second: positions of the groups
    difference: of the means, first minus second
    low, high: 95 % of the differences on resampled rows
    low_all, high_all: its 95 % interval, if other rows and other runs could change it
    p_rows: of the difference, if only other rows could change it
    p: of the difference, if other rows and other runs (seeds, folds) could; it decides
    p_mcnemar: of the first runs' accuracies; None where these are of unlike folds
    p_t: over matched seeds and folds; None where there are fewer than two
    """

    first: int
    second: int
    difference: float
    low: float
    high: float
    low_all: float
    high_all: float
    p_rows: float
    p: float
    p_mcnemar: float | None
    p_t: float | None

    @property
    def is_different(self) -> bool:
        """Whether chance alone would hardly make such a difference."""
        return self.p < LEVEL

    @property
    def verdict(self) -> str:
        """Return what the tests say of the difference, in words.

        "not significant": other test rows alone could make it. "undecided": they hardly could, but
        the runs of a group vary so much between seeds or folds that other runs could; more of them
        would tell.
        """
        if self.is_different:
            return DIFFERENT
        return UNDECIDED if self.p_rows < LEVEL else NOT_SIGNIFICANT


class Comparison(NamedTuple):
    """All pairs that stand on the same rows.

    alone: positions of the groups whose test rows, or their labels, are not those of the most
    silent: positions of the groups without predictions
    unscored: positions of the groups for which predictions do not give this metric
    resamples: how many the intervals stand on
    """

    metric: str
    groups: Sequence[Group]
    pairs: list[Pair]
    alone: list[int]
    silent: list[int]
    rows: int
    unscored: list[int]
    resamples: int

    def between(self, one: int, other: int) -> Pair | None:
        """The pair of two groups, as seen from `one`."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (one, other):
                return pair
            if (pair.first, pair.second) == (other, one):
                return pair._replace(
                    first=one,
                    second=other,
                    difference=-pair.difference,
                    low=-pair.high,
                    high=-pair.low,
                    low_all=-pair.high_all,
                    high_all=-pair.low_all,
                )
        return None


def compare(groups: Sequence[Group], metric: str) -> Comparison:
    """Compare all groups that were judged on the same rows.

    With several runs per group the compared score is the mean of the runs' scores on the same
    resampled rows: so the interval belongs to the difference that the table shows. (Averaged
    probabilities would be an ensemble, another and better model; the first seed alone would throw
    the others away.) McNemar's test needs one decision per row, and takes the first run's.
    """
    silent = [n for n, group in enumerate(groups) if any(r.said is None for r in group.runs)]
    spoken = [n for n in range(len(groups)) if n not in silent]
    unscored = [n for n in spoken if not all(has_score(run.said, metric) for run in groups[n].runs)]
    parts = {n: _parts(groups[n]) for n in spoken if n not in unscored}
    same = max(parts.values(), key=list(parts.values()).count, default=frozenset())
    compared = [n for n, part in parts.items() if part == same]
    alone = [n for n, part in parts.items() if part != same]
    if not compared:
        return Comparison(metric, groups, [], alone, silent, 0, unscored, 0)
    said = [run.said for n in compared for run in groups[n].runs]
    rows = np.unique(np.concatenate([one.rows for one in said]))
    resampled, scores = _resampled([groups[n] for n in compared], metric, rows)
    pairs = [
        _pair(groups, (compared[a], compared[b]), resampled[:, a] - resampled[:, b], scores)
        for a, b in combinations(range(len(compared)), 2)
    ]
    return Comparison(
        metric, groups, _corrected(pairs), alone, silent, len(rows), unscored, len(resampled)
    )


def _parts(group: Group) -> frozenset[int]:
    """What tells the judged rows of two groups apart: numbers and labels of each split's rows."""
    return frozenset(
        hash((run.said.rows.tobytes(), run.said.labels.tobytes(), run.said.class_names))
        for run in group.runs
    )


def _resampled(
    groups: Sequence[Group], metric: str, rows: np.ndarray
) -> tuple[np.ndarray, dict[int, list[float]]]:
    """Mean scores [resamples, groups]; the scores of each group's runs, by the group's identity.

    Args:
        rows: [N] all numbers of test rows of these groups' runs
    """
    said = [[run.said for run in group.runs] for group in groups]
    scorers = [[build_scorer(one, metric) for one in runs] for runs in said]
    places = [[np.searchsorted(rows, one.rows) for one in runs] for runs in said]
    everything = np.ones((1, len(rows)), np.float32)
    scores = {
        id(group): [float(s(everything[:, at])[0]) for s, at in zip(ss, ats, strict=True)]
        for group, ss, ats in zip(groups, scorers, places, strict=True)
    }
    if len(groups) < 2:
        return np.empty((0, len(groups))), scores
    means = [
        [
            np.mean([s(_at(weights, at)) for s, at in zip(ss, ats, strict=True)], axis=0)
            for ss, ats in zip(scorers, places, strict=True)
        ]
        for weights in draw_resamples(len(rows), metric, [one for runs in said for one in runs])
    ]
    return np.concatenate([np.stack(chunk, axis=1) for chunk in means]), scores


def _at(weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    return weights if len(places) == weights.shape[1] else weights[:, places]


def _pair(
    groups: Sequence[Group],
    places: tuple[int, int],
    resampled: np.ndarray,
    scores: dict[int, list[float]],
) -> Pair:
    one, other = (groups[place] for place in places)
    ours, theirs = scores[id(one)], scores[id(other)]
    difference = fmean(ours) - fmean(theirs)
    over_runs = [(variance(s) / len(s), len(s)) for s in (ours, theirs) if len(s) > 1]
    known = resampled[np.isfinite(resampled)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (difference, difference)
    over_rows = float(np.var(known)) if len(known) else 0.0
    margin = margin_of_difference(over_rows, over_runs, 1 - LEVEL)
    first, second = one.runs[0].said, other.runs[0].said
    right, also = first.predicted == first.labels, second.predicted == second.labels
    p_mcnemar = (
        mcnemar(int((right & ~also).sum()), int((also & ~right).sum()))
        if np.array_equal(first.rows, second.rows)
        else None
    )
    return Pair(
        *places,
        difference,
        low=float(low),
        high=float(high),
        low_all=difference - margin,
        high_all=difference + margin,
        p_rows=p_of_difference(difference, over_rows),
        p=p_of_difference(difference, over_rows, over_runs),
        p_mcnemar=p_mcnemar,
        p_t=corrected_t(_matched(one, other, ours, theirs), _test_share(one)),
    )


def _matched(
    one: Group, other: Group, ours: Sequence[float], theirs: Sequence[float]
) -> list[float]:
    """Differences of the runs with the same seed, on the same rows."""
    found = {(r.seed, r.split): score for r, score in zip(other.runs, theirs, strict=True)}
    return [
        score - found[run.seed, run.split]
        for run, score in zip(one.runs, ours, strict=True)
        if (run.seed, run.split) in found
    ]


def _test_share(group: Group) -> float:
    run = group.runs[0]
    return run.rows("test") / max(run.rows("train"), 1)


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    names = [name for name in Pair._fields if name.startswith("p")]
    columns = {name: holm([getattr(pair, name) for pair in pairs]) for name in names}
    return [
        pair._replace(**{name: column[n] for name, column in columns.items()})
        for n, pair in enumerate(pairs)
    ]
