"""Numbers of runs and test rows that would make a difference significant."""

import pytest
from scipy import stats

from seqtext.reporting.pairwise import PairwiseResult
from seqtext.reporting.sample_sizes import MAX_RUNS, estimate_sample_sizes, format_rows


def pair_of(difference: float, over_rows: float, *over_runs: tuple[float, int]) -> PairwiseResult:
    intervals = (0.0,) * 4
    return PairwiseResult(0, 1, difference, *intervals, 1, 1, None, None, over_rows, over_runs)


@pytest.mark.parametrize("pairs", [1, 10])
def test_rows_are_those_of_the_normal_test(pairs):
    needed = estimate_sample_sizes(pair_of(0.01, 1e-4), pairs)
    z = stats.norm.ppf(1 - 0.025 / pairs)
    assert needed.row_factor == pytest.approx(1e-4 * z**2 / 0.01**2, rel=0.02)
    assert needed.runs is None, "runs were not repeated"


def test_runs_are_those_of_the_t_test():
    needed = estimate_sample_sizes(pair_of(0.01, 0.0, (1e-5, 3), (1e-5, 3)), 1)
    p = {n: 2 * stats.t.sf(0.01 / (6e-5 / n) ** 0.5, 2 * (n - 1)) for n in range(4, MAX_RUNS)}
    assert needed.runs == min(n for n in p if p[n] < 0.05)
    assert needed.row_factor is None, "all of the variance is that over runs"


def test_more_of_both_where_neither_suffices():
    needed = estimate_sample_sizes(pair_of(0.01, 1e-4, (1e-4, 5), (1e-4, 5)), 1)
    assert (needed.runs, needed.row_factor) == (None, None)
    assert 11 < needed.both_factor < 14
    assert estimate_sample_sizes(pair_of(1e-6, 1e-4), 1).row_factor is None


def test_rows_are_rounded_up():
    assert format_rows(400, 1.01) == "410"
    assert format_rows(10_000, 3.017) == "31,000"
    assert format_rows(7, 1.0) == "7"
