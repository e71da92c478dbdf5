"""Every pair of groups: how far they differ on the same test rows, and whether that is noise."""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, variance
from typing import NamedTuple

import numpy as np

from seqtext.report.difference import corrected_t, holm, mcnemar, p_of_difference
from seqtext.report.groups import Group
from seqtext.report.resample import resamples, scorer
from seqtext.results.direction import direction

LEVEL = 0.05


class Pair(NamedTuple):
    """Two groups compared on a test metric; the p values are corrected over all pairs (Holm).

    first, second: positions of the groups
    difference: of the means, first minus second
    low, high: 95 % of the differences on resampled rows
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
    p_rows: float
    p: float
    p_mcnemar: float | None
    p_t: float | None

    @property
    def is_noise(self) -> bool:
        """Whether it may well be nothing but chance."""
        return not self.p < LEVEL


class Comparison(NamedTuple):
    """All pairs that stand on the same rows.

    alone: positions of the groups whose test rows, or their labels, are not those of the most
    silent: positions of the groups without predictions
    """

    metric: str
    groups: Sequence[Group]
    pairs: list[Pair]
    alone: list[int]
    silent: list[int]
    rows: int

    def between(self, one: int, other: int) -> Pair | None:
        """The pair of two groups, as seen from `one`."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (one, other):
                return pair
            if (pair.first, pair.second) == (other, one):
                turned = {"difference": -pair.difference, "low": -pair.high, "high": -pair.low}
                return pair._replace(first=one, second=other, **turned)
        return None


def compare(groups: Sequence[Group], metric: str) -> Comparison:
    """Compare all groups that were judged on the same rows.

    With several runs per group the compared score is the mean of the runs' scores on the same
    resampled rows: so the interval belongs to the difference that the table shows. (Averaged
    probabilities would be an ensemble, another and better model; the first seed alone would throw
    the others away.) McNemar's test needs one decision per row, and takes the first run's.
    """
    silent = [n for n, group in enumerate(groups) if any(r.said is None for r in group.runs)]
    parts = {n: _parts(group) for n, group in enumerate(groups) if n not in silent}
    same = max(parts.values(), key=list(parts.values()).count, default=frozenset())
    compared = [n for n, part in parts.items() if part == same]
    alone = [n for n, part in parts.items() if part != same]
    resampled, scores, rows = _resampled([groups[n] for n in compared], metric)
    pairs = [
        _pair(groups, (compared[a], compared[b]), resampled[:, a] - resampled[:, b], scores)
        for a, b in combinations(range(len(compared)), 2)
    ]
    return Comparison(metric, groups, _corrected(pairs), alone, silent, rows)


def _parts(group: Group) -> frozenset[int]:
    """What tells the judged rows of two groups apart: numbers and labels of each split's rows."""
    return frozenset(
        hash((run.said.rows.tobytes(), run.said.labels.tobytes(), run.said.class_names))
        for run in group.runs
    )


def _resampled(
    groups: Sequence[Group], metric: str
) -> tuple[np.ndarray, dict[int, list[float]], int]:
    """Mean scores [resamples, groups]; the scores of each group's runs, by the group's identity."""
    said = [[run.said for run in group.runs] for group in groups]
    if not said:
        return np.empty((0, 0)), {}, 0
    rows = np.unique(np.concatenate([one.rows for runs in said for one in runs]))
    scorers = [[scorer(one, metric) for one in runs] for runs in said]
    places = [[np.searchsorted(rows, one.rows) for one in runs] for runs in said]
    everything = np.ones((1, len(rows)), np.float32)
    scores = {
        id(group): [float(s(everything[:, at])[0]) for s, at in zip(ss, ats, strict=True)]
        for group, ss, ats in zip(groups, scorers, places, strict=True)
    }
    if len(groups) < 2:
        return np.empty((0, len(groups))), scores, len(rows)
    means = [
        [
            np.mean([s(_at(weights, at)) for s, at in zip(ss, ats, strict=True)], axis=0)
            for ss, ats in zip(scorers, places, strict=True)
        ]
        for weights in resamples(len(rows), metric)
    ]
    return np.concatenate([np.stack(chunk, axis=1) for chunk in means]), scores, len(rows)


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
    low, high = np.nanpercentile(resampled, (2.5, 97.5))
    over_rows = float(np.nanvar(resampled))
    p_rows = p_of_difference(difference, over_rows)
    p = p_of_difference(difference, over_rows, over_runs)
    first, second = one.runs[0].said, other.runs[0].said
    right, also = first.predicted == first.labels, second.predicted == second.labels
    p_mcnemar = (
        mcnemar(int((right & ~also).sum()), int((also & ~right).sum()))
        if np.array_equal(first.rows, second.rows)
        else None
    )
    p_t = corrected_t(_matched(one, other, ours, theirs), _test_share(one))
    return Pair(*places, difference, float(low), float(high), p_rows, p, p_mcnemar, p_t)


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


def verdict(comparison: Comparison) -> list[str]:
    """Sentences: which differences are noise."""
    said = []
    if comparison.pairs:
        said = [_about_the_first(comparison), *_about_all(comparison)]
    return said + _left_out(comparison)


def _about_all(comparison: Comparison) -> list[str]:
    pairs = comparison.pairs
    noise = sum(pair.is_noise for pair in pairs)
    said = [
        f"{len(pairs) - noise} of all {len(pairs)} pairs differ, {noise} do not (different: "
        f"p < {LEVEL} after Holm's correction; {comparison.rows:,} test rows)."
    ]
    if unsettled := sum(pair.is_noise and pair.p_rows < LEVEL for pair in pairs):
        said.append(
            f"{unsettled} of the {noise} would differ if every seed gave what these gave; the "
            "spread over runs is too wide to say so: more seeds would tell."
        )
    if any(len(group.runs) == 1 and not group.is_reference for group in comparison.groups):
        said.append(
            "Settings with one run (n = 1) are tested over rows only: another seed may change "
            "them by more."
        )
    return said


def _about_the_first(comparison: Comparison) -> str:
    """How the best by validation stands against the others."""
    groups = comparison.groups
    first = min(pair.first for pair in comparison.pairs)
    against = {n: pair for n in range(len(groups)) if (pair := comparison.between(first, n))}
    sign = -1 if direction(comparison.metric) == "min" else 1
    noise = [groups[n].label for n, pair in against.items() if pair.is_noise]
    better, worse = (
        [groups[n].label for n, p in against.items() if not p.is_noise and s * p.difference > 0]
        for s in (sign, -sign)
    )
    parts = [f"is better than {len(better)} of {len(against)} others"] if better else []
    parts += [f"is worse than {_listed(worse)}"] if worse else []
    parts += [f"cannot be told from {len(noise)} ({_listed(noise)}): noise"] if noise else []
    said = "; it ".join(parts)
    among = " of these" if first else ""  # those before it were judged on other rows
    best = f"{groups[first].label}, the best{among} by validation"
    return f"In test {comparison.metric}, {best}, {said}."


def _left_out(comparison: Comparison) -> list[str]:
    said = []
    if comparison.alone:
        names = _listed([comparison.groups[n].label for n in comparison.alone])
        said.append(f"Not compared, as they were judged on other test rows: {names}.")
    if comparison.silent:
        names = _listed([comparison.groups[n].label for n in comparison.silent])
        said.append(f"Not compared, as their predictions are missing: {names}.")
    return said


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
