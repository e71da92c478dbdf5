"""Pairwise comparisons: selection of pairs and runs, and verdicts."""

import re

import numpy as np
import pytest
from scipy import stats

from seqtext.reporting.conclusions import summarize_significance
from seqtext.reporting.groups import RunGroup
from seqtext.reporting.pairwise import DIFFERENT, NOT_SIGNIFICANT, UNDECIDED, compare_groups
from seqtext.reporting.run_files import LoadedPredictions
from seqtext.reporting.runs import Run

ROWS = 400


def group(label: str, right: float | list[float], rows=None, seeds: int = 1, **split) -> RunGroup:
    """Build runs that are right on this fraction of rows (per seed), chosen at random."""
    shares = right if isinstance(right, list) else [right] * seeds
    return RunGroup(
        label, {}, tuple(_run(label, s, seed, rows, split) for seed, s in enumerate(shares))
    )


def _run(label: str, right: float, seed: int, rows, split) -> Run:
    rows = np.arange(ROWS) if rows is None else np.array(rows)
    rng = np.random.default_rng([seed, *map(ord, label)])
    labels = rows % 2
    hit = np.zeros(len(rows), bool)
    hit[rng.permutation(len(rows))[: round(right * len(rows))]] = True
    predicted = np.where(hit, labels, 1 - labels)
    sizes = {"train": {"a": 4 * len(rows)}, "test": {"a": len(rows)}}
    metrics = {"model": "gru", "settings": {"seed": seed, "split": split}, "rows": sizes}
    run = Run(None, metrics)
    run.__dict__["predictions"] = LoadedPredictions(
        rows, labels, predicted, np.eye(2)[predicted], ("no", "yes")
    )
    return run


def only_pair(*groups: RunGroup, metric: str = "accuracy"):
    (pair,) = compare_groups(groups, metric).pairs
    return pair


def test_interval_is_the_paired_bootstraps():
    one, other = group("one", 0.8), group("other", 0.7)
    pair = only_pair(one, other)
    gains = [
        (g.runs[0].predictions.labels == g.runs[0].predictions.predicted).astype(float)
        for g in (one, other)
    ]
    wanted = stats.bootstrap((gains[0] - gains[1],), np.mean, method="percentile", rng=1)
    assert pair.difference == pytest.approx(0.1)
    assert pair[3:5] == pytest.approx(wanted.confidence_interval, abs=0.006)
    z = 0.1 / np.sqrt(np.var(gains[0] - gains[1]) / ROWS)
    assert pair.p == pytest.approx(2 * stats.norm.sf(z), rel=0.2)
    assert pair.p_t is None


def test_pairing_counts():
    """A difference is more significant if both models fail on the same rows."""
    one = group("one", 0.8)
    said = one.runs[0].predictions
    worse = said.predicted.copy()
    worse[np.flatnonzero(said.predicted == said.labels)[:20]] ^= 1
    alike = _with(one, worse)
    pair, unlike = only_pair(one, alike), only_pair(one, group("other", 0.75))
    assert pair.difference == pytest.approx(unlike.difference) == pytest.approx(0.05)
    assert pair.p < unlike.p
    assert pair.p_mcnemar == pytest.approx(0.5**20, rel=1e-6)


def _with(one: RunGroup, predicted: np.ndarray) -> RunGroup:
    old = one.runs[0].predictions
    run = Run(None, one.runs[0].metrics)
    shares = np.eye(2)[predicted]
    run.__dict__["predictions"] = LoadedPredictions(
        old.rows, old.labels, predicted, shares, old.class_names
    )
    return RunGroup("alike", {}, (run,))


def test_different_and_not_significant_are_told_apart():
    groups = [group("best", 0.90), group("near", 0.895), group("far", 0.7)]
    comparison = compare_groups(groups, "accuracy")
    found = {(p.first, p.second): p.verdict for p in comparison.pairs}
    assert found == {(0, 1): NOT_SIGNIFICANT, (0, 2): DIFFERENT, (1, 2): DIFFERENT}
    first, second, third, fourth, fifth = summarize_significance(comparison)
    assert first == (
        "In test accuracy, best, the best by validation, is better than 1 of 2 others; "
        "it does not differ significantly from near."
    )
    assert second == "3 pairs of settings: 2 different, 1 not significant."
    assert third.endswith("Not significant does not mean equal.")
    assert "another seed" in fourth
    assert re.fullmatch(
        r"If the differences stay as measured, best would be different from near "
        r"\(difference \+0\.0050\) with about [\d,]+ test rows \(now 400\)\.",
        fifth,
    )


def test_constant_predictions_are_named():
    constant = group("constant", 0.5, seeds=2)
    for run in constant.runs:
        run.predictions.predicted[:] = 1
    sentences = summarize_significance(compare_groups([group("one", 0.8), constant], "accuracy"))
    assert sentences[-1].startswith("constant predicts one class for all test rows in every run")


def test_the_same_predictions_do_not_differ():
    one = group("one", 0.8)
    pair = only_pair(one, one)
    assert (pair.difference, pair.low, pair.high, pair.p, pair.p_mcnemar) == (0, 0, 0, 1, 1)


def test_a_loss_is_better_when_it_is_lower():
    groups = [group("low", 0.9), group("high", 0.6)]
    assert "is better than the other." in summarize_significance(compare_groups(groups, "loss"))[0]
    assert "is worse than low" in summarize_significance(compare_groups(groups[::-1], "loss"))[0]


def test_seeds_that_differ_widely_leave_open_what_rows_alone_would_not():
    steady = only_pair(group("a", [0.80, 0.80, 0.80]), group("b", [0.72, 0.72, 0.72]))
    loose = only_pair(group("a", [0.95, 0.80, 0.65]), group("b", [0.60, 0.72, 0.84]))
    assert steady.difference == pytest.approx(loose.difference) == pytest.approx(0.08)
    assert steady.verdict == DIFFERENT
    assert loose.verdict == UNDECIDED
    assert steady.low_all > 0 > loose.low_all
    assert loose.p_rows == pytest.approx(steady.p_rows, abs=0.02)
    assert loose.p_t > 0.3


def test_folds_are_compared_over_all_their_rows():
    def folds(label: str, shares: list[float]) -> RunGroup:
        parts = [range(n * 100, n * 100 + 100) for n in range(4)]
        runs = [
            _run(label, share, 0, part, {"fold": n})
            for n, (share, part) in enumerate(zip(shares, parts, strict=True))
        ]
        return RunGroup(label, {}, tuple(runs))

    comparison = compare_groups(
        [folds("a", [0.9, 0.92, 0.9, 0.94]), folds("b", [0.7, 0.75, 0.7, 0.7])], "accuracy"
    )
    (pair,) = comparison.pairs
    assert comparison.rows == 400
    assert pair.difference == pytest.approx(0.915 - 0.7125)
    assert pair.is_significant
    assert 0 < pair.p_t < 0.01


def test_other_rows_or_labels_are_not_compared():
    groups = [group("a", 0.9), group("b", 0.8), group("other rows", 0.7, rows=range(1, ROWS + 1))]
    groups.append(group("fewer rows", 0.7, rows=range(100)))
    comparison = compare_groups(groups, "accuracy")
    assert [(p.first, p.second) for p in comparison.pairs] == [(0, 1)]
    assert summarize_significance(comparison)[-1] == (
        "Not compared, as they were evaluated on other test rows: other rows, fewer rows."
    )


def test_the_best_of_those_on_the_same_rows_is_not_called_the_best():
    groups = [group("other rows", 0.95, rows=range(1, ROWS + 1)), group("a", 0.9), group("b", 0.6)]
    said = summarize_significance(compare_groups(groups, "accuracy"))
    assert "a, the best of these by validation, is better than the other." in said[0]
    groups = [group("a", 0.9), group("b", 0.6)]
    assert (
        "a, the best by validation,"
        in summarize_significance(compare_groups(groups, "accuracy"))[0]
    )


def test_missing_predictions_are_said():
    silent = group("silent", 0.9)
    silent.runs[0].__dict__["predictions"] = None
    comparison = compare_groups([silent, group("b", 0.8)], "accuracy")
    assert comparison.pairs == []
    assert summarize_significance(comparison) == [
        "Not compared, as their predictions are missing or damaged: silent."
    ]


def test_all_pairs_are_corrected():
    groups = [group(name, 0.8) for name in "abcd"] + [group("e", 0.74)]
    alone, among = (
        only_pair(groups[0], groups[4]),
        compare_groups(groups, "accuracy").get_pair(0, 4),
    )
    assert among.difference == alone.difference
    assert among.p == pytest.approx(min(1, alone.p * 10), rel=0.7)
    assert among.p > alone.p
    turned = compare_groups(groups, "accuracy").get_pair(4, 0)
    assert (turned.difference, turned.low) == (-among.difference, -among.high)
    assert (turned.low_all, turned.high_all) == (-among.high_all, -among.low_all)
    assert (turned.low_all, turned.high_all) == (-among.high_all, -among.low_all)
