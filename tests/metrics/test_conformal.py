"""Prediction sets contain the true class as often as asked."""

import numpy as np
import pytest

from seqtext.errors import UserError
from seqtext.metrics.conformal import (
    build_prediction_sets,
    compute_conformal_scores,
    find_score_limit,
)


def draw(rows: int, classes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels and the probabilities of a model that is too sure of itself."""
    labels = rng.integers(classes, size=rows)
    logits = rng.normal(size=(rows, classes)) + np.eye(classes)[labels]
    shares = np.exp(3 * logits)
    return labels, shares / shares.sum(axis=1, keepdims=True)


def test_scores_and_limits():
    labels, shares = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.5, 0.5], [0.75, 0.25]])
    scores = compute_conformal_scores(labels, shares)
    assert scores.dtype == np.float32
    assert scores == pytest.approx([0.1, 0.5, 0.75])
    assert find_score_limit(scores, 0.25) == pytest.approx(0.1)
    assert find_score_limit(scores, 1e-12) == pytest.approx(0.1)
    assert find_score_limit(scores, 0.26) == pytest.approx(0.5)
    assert find_score_limit(scores, 0.75) == pytest.approx(0.75)
    with pytest.raises(UserError, match=r"at least 4 validation rows, and the run had 3"):
        find_score_limit(scores, 0.8)
    assert find_score_limit(np.linspace(0, 1, 9, dtype=np.float32), 0.9) == 1


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("coverage", [0.6, 0.9])
def test_coverage_over_many_draws(classes, coverage):
    rng = np.random.default_rng(0)
    shares_covered = []
    for _ in range(300):
        limit = find_score_limit(compute_conformal_scores(*draw(40, classes, rng)), coverage)
        labels, shares = draw(100, classes, rng)
        sets = build_prediction_sets(shares, shares.argmax(axis=1), limit)
        assert sets.any(axis=1).all()
        shares_covered.append(sets[np.arange(100), labels].mean())
    mean, error = np.mean(shares_covered), np.std(shares_covered) / 300**0.5
    assert mean > coverage - 4 * error
    if classes == 5:  # of two classes, the predicted one alone is right more often than asked
        assert mean < coverage + 1 / 41 + 0.05


def test_a_set_has_the_predicted_class_and_all_that_are_likely():
    shares = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]])
    assert build_prediction_sets(shares, np.array([0, 1]), 0.1).tolist() == [
        [True, False, False],
        [False, True, False],
    ]
    assert build_prediction_sets(shares, np.array([0, 0]), 0.7).tolist() == [
        [True, True, False],
        [True, True, False],
    ]
