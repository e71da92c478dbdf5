"""Significance tests of score differences, with correction for multiple tests."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, variance

import numpy as np
from scipy import stats


def mcnemar_test(only_first: int, only_second: int) -> float:
    """Test whether two classifiers have equal accuracy (McNemar); return the mid-p value.

    It is less conservative than the exact conditional p value (Fagerland, Lydersen and
    Laake, 2013: "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better
    than exact conditional").

    Args:
        only_first, only_second: number of rows that only this classifier predicts correctly
    """
    fewer, total = min(only_first, only_second), only_first + only_second
    if total == 0:
        return 1.0
    half = stats.binom(total, 0.5)
    return float(min(1.0, 2 * half.cdf(fewer) - half.pmf(fewer)))


def correct_holm(values: Sequence[float | None]) -> list[float | None]:
    """Correct p values for multiple tests (Holm, 1979); None is ignored and stays None."""
    known = sorted((p, place) for place, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[place] = highest
    return corrected


def corrected_resampled_t_test(differences: Sequence[float], test_share: float) -> float | None:
    """Test J paired differences of runs with overlapping training rows (Nadeau and Bengio, 2003).

    The usual variance of a mean, s²/J, assumes independent repetitions; (1/J + test_share) s² does
    not. For repetitions with different seeds on one split, the test is conservative: it includes
    the variance from other training rows, which such repetitions do not show.

    Args:
        differences: [J] score differences of matched runs
        test_share: number of test rows per training row

    Returns:
        The two-sided p value; None for fewer than two differences.
    """
    if len(differences) < 2:
        return None
    mean, spread = fmean(differences), variance(differences)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    t = mean / sqrt((1 / len(differences) + test_share) * spread)
    return float(2 * stats.t.sf(abs(t), len(differences) - 1))


def compute_p_value(
    difference: float, over_rows: float, over_runs: Sequence[tuple[float, int]] = ()
) -> float:
    """Compute the two-sided p value of a difference of means over test rows and seeds.

    This is a normal test with the bootstrap's variance, since the p value of the bootstrap's
    percentiles is limited by the number of resamples. If runs were repeated, the variances of their
    means are added, with the degrees of freedom of Welch and Satterthwaite; those of rows are
    infinite.

    Args:
        over_rows: bootstrap variance of the difference
        over_runs: for each group with more than one run, variance of its mean and number of runs
    """
    variance_of_all, freedom = _add_variances(over_rows, over_runs)
    if variance_of_all == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stats.t.sf(abs(difference) / sqrt(variance_of_all), freedom))


def compute_margin(
    over_rows: float, over_runs: Sequence[tuple[float, int]], confidence: float
) -> float:
    """Return half the width of a confidence interval; variances as in `compute_p_value`."""
    variance_of_all, freedom = _add_variances(over_rows, over_runs)
    return float(stats.t.ppf((1 + confidence) / 2, freedom) * sqrt(variance_of_all))


def _add_variances(over_rows: float, over_runs: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Return the sum of the variances and its degrees of freedom (Welch and Satterthwaite)."""
    total = over_rows + sum(v for v, _ in over_runs)
    uncertain = sum(v**2 / (runs - 1) for v, runs in over_runs)
    return total, total**2 / uncertain if uncertain else np.inf
