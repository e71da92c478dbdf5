"""Compare every pair of groups on the same test rows: differences, intervals and p values."""

from collections.abc import Sequence
from itertools import chain, combinations
from statistics import fmean, variance
from typing import NamedTuple

import numpy as np

from seqtext.reporting.bootstrap import build_scorer, draw_resamples, has_score
from seqtext.reporting.groups import RunGroup
from seqtext.reporting.significance_tests import (
    compute_margin,
    compute_p_value,
    correct_holm,
    corrected_resampled_t_test,
    mcnemar_test,
)

SIGNIFICANCE_LEVEL = 0.05
DIFFERENT = "different"
NOT_SIGNIFICANT = "not significant"
UNDECIDED = "undecided: runs vary too much"


class PairwiseResult(NamedTuple):
    """Comparison of two groups on a test metric; p values are corrected over all pairs (Holm).

    first, second: positions of the groups
    difference: difference of the means, first minus second
    low, high: 95 % interval of the difference over resampled rows
    low_all, high_all: 95 % interval of the difference over rows and runs
    p_rows: p value of the difference over rows
    p: p value of the difference over rows and runs (seeds, folds), which decides
    p_mcnemar: p value of the first runs' accuracies; None if their folds differ
    p_t: p value of the corrected resampled t-test over matched seeds and folds; None for fewer than
        two
    over_rows: variance of the difference over resampled rows
    over_runs: for each group with more than one run, variance of its mean and number of runs
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
    over_rows: float = 0.0
    over_runs: tuple[tuple[float, int], ...] = ()

    @property
    def is_significant(self) -> bool:
        """Return whether p, corrected for the number of pairs, is below `SIGNIFICANCE_LEVEL`."""
        return self.p < SIGNIFICANCE_LEVEL

    @property
    def verdict(self) -> str:
        """Describe the result of the tests.

        "not significant": the difference may be due to the sample of test rows. "undecided": it is
        significant over rows, but not over runs, which vary too much between seeds or folds; more
        runs would decide it.
        """
        if self.is_significant:
            return DIFFERENT
        return UNDECIDED if self.p_rows < SIGNIFICANCE_LEVEL else NOT_SIGNIFICANT


class Comparison(NamedTuple):
    """Comparison of all pairs of groups that were tested on the same rows.

    excluded_other_rows: positions of groups whose test rows or labels differ from those of most
    excluded_no_predictions: positions of groups without predictions
    excluded_no_metric: positions of groups whose predictions do not define this metric
    rows: number of test rows
    resamples: number of bootstrap resamples of the intervals
    """

    metric: str
    groups: Sequence[RunGroup]
    excluded_other_rows: list[int]
    excluded_no_predictions: list[int]
    excluded_no_metric: list[int]
    pairs: Sequence[PairwiseResult] = ()
    rows: int = 0
    resamples: int = 0

    def get_pair(self, one: int, other: int) -> PairwiseResult | None:
        """Return the comparison of `one` minus `other`; None if they were not compared."""
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


def compare_groups(groups: Sequence[RunGroup], metric: str) -> Comparison:
    """Compare all groups that were tested on the same rows.

    With several runs per group, the compared score is the mean of the runs' scores on the same
    resampled rows, so that the interval is that of the difference in the table. (Averaged
    probabilities would be an ensemble, which is another, better model.) McNemar's test needs one
    decision per row and uses the first run.
    """
    with_predictions = [n for n, group in enumerate(groups) if group.predictions]
    excluded_no_predictions = [n for n in range(len(groups)) if n not in with_predictions]
    excluded_no_metric = [
        n
        for n in with_predictions
        if not all(has_score(each, metric) for each in groups[n].predictions)
    ]
    parts = {n: _hash_test_rows(groups[n]) for n in with_predictions if n not in excluded_no_metric}
    same = max(parts.values(), key=list(parts.values()).count, default=frozenset())
    compared = [n for n, part in parts.items() if part == same]
    excluded_other_rows = [n for n, part in parts.items() if part != same]
    comparison = Comparison(
        metric, groups, excluded_other_rows, excluded_no_predictions, excluded_no_metric
    )
    if not compared:
        return comparison
    predictions = [each for n in compared for each in groups[n].predictions]
    rows = np.unique(np.concatenate([one.rows for one in predictions]))
    resampled, scores = _resample_scores([groups[n] for n in compared], metric, rows)
    pairs = [
        _compare_pair(groups, (compared[a], compared[b]), resampled[:, a] - resampled[:, b], scores)
        for a, b in combinations(range(len(compared)), 2)
    ]
    return comparison._replace(
        pairs=_correct_p_values(pairs), rows=len(rows), resamples=len(resampled)
    )


def _hash_test_rows(group: RunGroup) -> frozenset[int]:
    """Return a hash of the test rows and labels of each of the group's splits."""
    return frozenset(
        hash((each.rows.tobytes(), each.labels.tobytes(), each.class_names))
        for each in group.predictions
    )


def _resample_scores(
    groups: Sequence[RunGroup], metric: str, rows: np.ndarray
) -> tuple[np.ndarray, dict[int, list[float]]]:
    """Return mean scores [resamples, groups], and the runs' scores by the ``id`` of their group.

    Args:
        rows: [N] row numbers of all test rows of the groups' runs
    """
    predictions = [group.predictions for group in groups]
    scorers = [[build_scorer(one, metric) for one in runs] for runs in predictions]
    places = [[np.searchsorted(rows, one.rows) for one in runs] for runs in predictions]
    everything = np.ones((1, len(rows)), np.float32)
    scores = {
        id(group): [float(s(everything[:, at])[0]) for s, at in zip(ss, ats, strict=True)]
        for group, ss, ats in zip(groups, scorers, places, strict=True)
    }
    if len(groups) < 2:
        return np.empty((0, len(groups))), scores
    means = [
        [
            np.mean([s(_select_rows(weights, at)) for s, at in zip(ss, ats, strict=True)], axis=0)
            for ss, ats in zip(scorers, places, strict=True)
        ]
        for weights in draw_resamples(len(rows), metric, list(chain(*predictions)))
    ]
    return np.concatenate([np.stack(chunk, axis=1) for chunk in means]), scores


def _select_rows(weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    return weights if len(places) == weights.shape[1] else weights[:, places]


def _compare_pair(
    groups: Sequence[RunGroup],
    places: tuple[int, int],
    resampled: np.ndarray,
    scores: dict[int, list[float]],
) -> PairwiseResult:
    one, other = (groups[place] for place in places)
    ours, theirs = scores[id(one)], scores[id(other)]
    difference = fmean(ours) - fmean(theirs)
    over_runs = [(variance(s) / len(s), len(s)) for s in (ours, theirs) if len(s) > 1]
    known = resampled[np.isfinite(resampled)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (difference, difference)
    over_rows = float(np.var(known)) if len(known) else 0.0
    margin = compute_margin(over_rows, over_runs, 1 - SIGNIFICANCE_LEVEL)
    first, second = one.predictions[0], other.predictions[0]
    right, also = first.predicted == first.labels, second.predicted == second.labels
    p_mcnemar = (
        mcnemar_test(int((right & ~also).sum()), int((also & ~right).sum()))
        if np.array_equal(first.rows, second.rows)
        else None
    )
    return PairwiseResult(
        *places,
        difference,
        low=float(low),
        high=float(high),
        low_all=difference - margin,
        high_all=difference + margin,
        p_rows=compute_p_value(difference, over_rows),
        p=compute_p_value(difference, over_rows, over_runs),
        p_mcnemar=p_mcnemar,
        p_t=corrected_resampled_t_test(
            _match_runs(one, other, ours, theirs), _compute_test_share(one)
        ),
        over_rows=over_rows,
        over_runs=tuple(over_runs),
    )


def _match_runs(
    one: RunGroup, other: RunGroup, ours: Sequence[float], theirs: Sequence[float]
) -> list[float]:
    """Return the score differences of runs with the same seed and split."""
    found = {(r.seed, r.split): score for r, score in zip(other.runs, theirs, strict=True)}
    return [
        score - found[run.seed, run.split]
        for run, score in zip(one.runs, ours, strict=True)
        if (run.seed, run.split) in found
    ]


def _compute_test_share(group: RunGroup) -> float:
    run = group.runs[0]
    return run.rows("test") / max(run.rows("train"), 1)


def _correct_p_values(pairs: Sequence[PairwiseResult]) -> list[PairwiseResult]:
    names = [name for name in PairwiseResult._fields if name.startswith("p")]
    columns = {name: correct_holm([getattr(pair, name) for pair in pairs]) for name in names}
    return [
        PairwiseResult(**(pair._asdict() | {name: column[n] for name, column in columns.items()}))
        for n, pair in enumerate(pairs)
    ]
