"""Significance tests equal examples computed by hand, and scipy."""

from math import sqrt

import pytest
from scipy import stats

from seqtext.reporting.significance_tests import (
    compute_p_value,
    correct_holm,
    corrected_resampled_t_test,
    mcnemar_test,
)


def test_mcnemar_by_hand():
    """1 against 5 rows: 2 (1 + 6) / 64 is the exact p; mid-p counts the 6 of 1 itself half."""
    assert mcnemar_test(1, 5) == pytest.approx((2 * (1 + 6) - 6) / 64)
    assert mcnemar_test(5, 1) == mcnemar_test(1, 5)


@pytest.mark.parametrize(("one", "other"), [(3, 9), (20, 45), (100, 101)])
def test_mcnemar_lies_below_the_exact_test(one, other):
    exact = stats.binomtest(one, one + other).pvalue
    point = stats.binom.pmf(one, one + other, 0.5)
    assert mcnemar_test(one, other) == pytest.approx(exact - point, abs=1e-12)


def test_mcnemar_without_a_difference():
    assert mcnemar_test(0, 0) == 1
    assert mcnemar_test(7, 7) == pytest.approx(1)


def test_holm_by_hand():
    assert correct_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_holm([0.5, None, 0.6]) == [1.0, None, 1.0]
    assert correct_holm([]) == []


def test_corrected_t_by_hand():
    """Five folds: mean 0.02, variance 0.00025; t = 0.02 / sqrt((1/5 + 1/4) 0.00025)."""
    differences = [0.0, 0.01, 0.02, 0.03, 0.04]
    t = 0.02 / sqrt((1 / 5 + 1 / 4) * 0.00025)
    assert corrected_resampled_t_test(differences, 1 / 4) == pytest.approx(2 * stats.t.sf(t, 4))


def test_corrected_t_without_overlap_is_the_paired_test():
    differences = [0.02, -0.01, 0.03, 0.04]
    usual = stats.ttest_1samp(differences, 0).pvalue
    assert corrected_resampled_t_test(differences, 0) == pytest.approx(usual)
    assert corrected_resampled_t_test(differences, 0.25) > usual


def test_corrected_t_at_its_ends():
    assert corrected_resampled_t_test([0.1], 0.25) is None
    assert corrected_resampled_t_test([0.0, 0.0], 0.25) == 1
    assert corrected_resampled_t_test([0.1, 0.1], 0.25) == 0


def test_difference_over_rows_alone_is_normal():
    assert compute_p_value(1.96, 1.0) == pytest.approx(0.05, abs=1e-4)
    assert compute_p_value(0.0, 0.0) == 1
    assert compute_p_value(0.1, 0.0) == 0


def test_difference_over_runs_alone_is_welchs_test():
    one, other = [0.1, 0.3, 0.2], [0.5, 0.9, 0.4, 0.6]
    spreads = [(stats.tvar(s) / len(s), len(s)) for s in (one, other)]
    difference = sum(one) / 3 - sum(other) / 4
    welch = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert compute_p_value(difference, 0.0, spreads) == pytest.approx(welch)
    wide = compute_p_value(difference, 1.0, spreads)  # where rows weigh most, it is normal
    total = 1 + sum(variance for variance, _ in spreads)
    assert wide == pytest.approx(2 * stats.norm.sf(0.4 / sqrt(total)), rel=1e-3)
