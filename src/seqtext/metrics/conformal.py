"""Prediction sets that contain the true class with a given probability: split conformal prediction.

Source: Sadinle, Lei and Wasserman (2019), "Least Ambiguous Set-Valued Classifiers With Bounded
Error Levels". The score of a row is 1 minus the probability of its class, so that sets contain all
classes whose probability is at least a limit.
"""

import math

import numpy as np

from seqtext.errors import UserError


def compute_conformal_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Compute the sorted scores of labelled rows, float32 [N].

    Args:
        labels: [N] true classes
        probabilities: [N, C]
    """
    scores = 1 - probabilities[np.arange(len(labels)), labels]
    return np.sort(scores.astype(np.float32))


def find_score_limit(scores: np.ndarray, coverage: float) -> float:
    """Return the largest score of a class in a set: the ⌈(N + 1) coverage⌉-th smallest.

    Args:
        scores: [N] sorted scores of rows that the model was not fitted to
        coverage: smallest probability that a set contains the true class, of all rows that are
            drawn as the N rows were

    Raises:
        UserError: if there are too few rows for this coverage.
    """
    rank = max(1, math.ceil((len(scores) + 1) * coverage - 1e-9))
    if rank > len(scores):
        needed = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise UserError(
            f"coverage={coverage:g} needs at least {needed:,} validation rows, and the run had "
            f"{len(scores):,}: give a smaller coverage, or train with a larger split.val_size."
        )
    return float(scores[rank - 1])


def build_prediction_sets(
    probabilities: np.ndarray, predicted: np.ndarray, limit: float
) -> np.ndarray:
    """Return [N, C] whether each class is in the set of each row.

    The predicted class always is, which can only increase the coverage.

    Args:
        probabilities: [N, C]
        predicted: [N] class numbers
        limit: see `find_score_limit`
    """
    sets = (1 - probabilities).astype(np.float32) <= np.float32(limit)
    sets[np.arange(len(sets)), predicted] = True
    return sets
