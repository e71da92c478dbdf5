"""Estimate how many runs or test rows would decide a comparison that is not significant."""

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from seqtext.reporting.pairwise import SIGNIFICANCE_LEVEL, PairwiseResult
from seqtext.reporting.significance_tests import compute_p_value

MAX_RUNS = 100  # of each setting
MAX_FACTOR = 1000.0
TOLERANCE = 1.01  # of the factors


class SampleSizes(NamedTuple):
    """Numbers that would make the measured difference significant; None: more than the largest.

    runs: runs of each setting, on the same test rows; None also if runs were not repeated
    row_factor: test rows relative to the present number, with the same runs
    both_factor: runs and test rows relative to the present numbers
    """

    runs: int | None
    row_factor: float | None
    both_factor: float | None


def estimate_sample_sizes(pair: PairwiseResult, pairs: int) -> SampleSizes:
    """Estimate the numbers of runs or test rows that would make a difference significant.

    The variance over rows decreases with the number of rows, that over runs with the number of runs
    (`compute_p_value`); the difference is taken to stay as measured.

    Args:
        pairs: number of tests for which p values are corrected (Bonferroni, which is not less
            than Holm's correction)
    """

    def is_significant(run_factor: float, row_factor: float) -> bool:
        over_runs = [(v / run_factor, round(n * run_factor)) for v, n in pair.over_runs]
        p = compute_p_value(pair.difference, pair.over_rows / row_factor, over_runs)
        return p * pairs < SIGNIFICANCE_LEVEL

    fewest = min((known for _, known in pair.over_runs), default=MAX_RUNS)
    tried = (n for n in range(fewest + 1, MAX_RUNS + 1) if is_significant(n / fewest, 1))
    return SampleSizes(
        next(tried, None),
        _find_least_factor(lambda factor: is_significant(1, factor)),
        _find_least_factor(lambda factor: is_significant(factor, factor)),
    )


def _find_least_factor(suffices: Callable[[float], bool]) -> float | None:
    """Return the least factor that suffices, up to `TOLERANCE`, by bisection."""
    low, high = 1.0, MAX_FACTOR
    if not suffices(high):
        return None
    while high > TOLERANCE * low:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def format_rows(rows: int, factor: float) -> str:
    """Return a number of rows, rounded up to two digits, as ``12,000``."""
    needed = ceil(rows * factor)
    unit = 10 ** max(len(str(needed)) - 2, 0)
    return f"{ceil(needed / unit) * unit:,}"
