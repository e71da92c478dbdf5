"""Metrics of probabilities, vectorized over bootstrap weights."""

import numpy as np

CALIBRATION_METRICS = ("brier", "ece")
EDGES = np.arange(1, 15) / 15  # between the intervals of the expected calibration error


class CalibrationScorer:
    """Computes the Brier score and the expected calibration error.

    - brier: mean squared error of probabilities (Brier, 1950): of two classes that of class 1; of
      more, the sum over classes, from 0 to 2
    - ece: mean distance of the share of correct predictions from their mean probability, in 15
      equal intervals of the probability of the most probable class (Guo et al., 2017)

    Args:
        labels: [N] true classes
        probabilities: [N, C] class probabilities
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray):
        rows, classes = np.arange(len(labels)), probabilities.shape[1]
        errors = probabilities.astype(float).copy()
        errors[rows, labels] -= 1
        squares = np.square(errors)
        self._squares = squares[:, 1] if classes == 2 else squares.sum(axis=1)
        predicted = probabilities.argmax(axis=1)
        confidences = probabilities[rows, predicted].astype(float)
        interval = np.digitize(confidences, EDGES, right=True)
        self._gaps = np.zeros((len(labels), len(EDGES) + 1))  # in the column of a row's interval
        self._gaps[rows, interval] = confidences - (predicted == labels)

    def score(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """Return a metric of `CALIBRATION_METRICS` [R] under weights [R, N]."""
        total = weights.sum(axis=1)
        if metric == "brier":
            return weights @ self._squares / total
        return np.abs(weights @ self._gaps).sum(axis=1) / total
