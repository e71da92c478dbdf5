"""Fit the output layer of a frozen encoder: logistic regression on the features of texts."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CANDIDATES = (0.001, 0.004, 0.016, 0.0625, 0.25, 1.0)  # of C, for standardized features
MAX_ITERATIONS = 1000


class LogisticHead(NamedTuple):
    """Holds weights [K, F] and biases [K] of the logits; K is 1 for two classes."""

    C: float
    weights: np.ndarray
    bias: np.ndarray


def fit_logistic_head(
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    candidates: Sequence[float],
    class_weights: Sequence[float] | None = None,
) -> LogisticHead:
    """Return the logistic regression whose C has the lowest cross entropy on the validation part.

    Scores at a threshold, such as F1, vary more, and prefer probabilities that are too large.

    Args:
        train, val: features [N, F] and class numbers [N]; all classes must be in `train`
        candidates: values of C, the inverse strength of the L2 regularization
        class_weights: [C] weights of the cross entropy; None: all 1
    """
    from scipy.special import log_softmax
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    (features, labels), (val_features, val_labels) = train, val
    by_class = None if class_weights is None else dict(enumerate(class_weights))
    regression = LogisticRegression(
        class_weight=by_class, max_iter=MAX_ITERATIONS, warm_start=True, tol=1e-5
    )
    found: list[tuple[float, LogisticHead]] = []
    for C in candidates:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.set_params(C=C).fit(features, labels)
        logits = val_features @ regression.coef_.T + regression.intercept_
        if len(regression.classes_) == 2:  # that of class 1
            logits = np.pad(logits, ((0, 0), (1, 0)))
        # probabilities themselves may be 0, which have no logarithm
        losses = -log_softmax(logits, axis=1)[np.arange(len(val_labels)), val_labels]
        weights = None if class_weights is None else np.asarray(class_weights)[val_labels]
        head = LogisticHead(C, regression.coef_.copy(), regression.intercept_.copy())
        found.append((float(np.average(losses, weights=weights)), head))
    return min(found, key=lambda pair: pair[0])[1]
