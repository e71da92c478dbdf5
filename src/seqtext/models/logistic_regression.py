"""Logistic regression on features that are a product of sparse matrices.

scikit-learn's LogisticRegression needs the features themselves. Here the loss is minimized by
SciPy's trust-region Newton method, which needs only products of the features with vectors.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import expit, log_softmax

MAX_ITERATIONS = 200
# Largest norms of the loss' derivatives relative to the factor of the weights: at the end, and for
# the choice of C.
TOLERANCE, SEARCH_TOLERANCE = 1e-3, 0.5
TRUST_RADIUS = {"initial_trust_radius": 100.0, "max_trust_radius": 1e6}  # norms of steps
BLOCKS = 4  # of rows, which threads multiply: not the number of processors, so that sums are equal


class Features(NamedTuple):
    """Hold the features of N texts: [N, D], terms first, then character n-grams.

    terms: [N, terms] values of terms
    words: [N, words] values of words, for their character n-grams
    spelling: [words, n-grams] values of character n-grams in words
    """

    terms: sparse.csr_array
    words: sparse.csr_array
    spelling: sparse.csr_array

    def __len__(self) -> int:
        return self.terms.shape[0]

    @property
    def size(self) -> int:
        """Return the number of features, D."""
        return self.terms.shape[1] + self.spelling.shape[1]

    def select(self, rows: np.ndarray | slice) -> "Features":
        """Return the features of some texts."""
        return Features(self.terms[rows], self.words[rows], self.spelling)

    def multiply(self, weights: np.ndarray) -> np.ndarray:
        """Return the product with weights, [D, K] → [N, K]."""
        of_terms, of_ngrams = np.split(weights, [self.terms.shape[1]])
        return self.terms @ of_terms + self.words @ (self.spelling @ of_ngrams)


class FeatureProducts:
    """Multiplies features in threads.

    Args:
        features: [N, D]
    """

    def __init__(self, features: Features):
        self.features = features
        limits = np.linspace(0, len(features), BLOCKS + 1).astype(int)
        self.rows = [slice(*pair) for pair in pairwise(limits)]
        self.blocks = [features.select(rows) for rows in self.rows]
        self.pool = ThreadPoolExecutor(BLOCKS)

    def multiply(self, weights: np.ndarray) -> np.ndarray:
        """Return the product with weights, [D, K] → [N, K]."""
        of_terms, of_ngrams = np.split(weights, [self.features.terms.shape[1]])
        of_words = self.features.spelling @ of_ngrams

        def multiply_block(block: Features) -> np.ndarray:
            return block.terms @ of_terms + block.words @ of_words

        return np.concatenate(list(self.pool.map(multiply_block, self.blocks)))

    def multiply_transposed(self, values: np.ndarray) -> np.ndarray:
        """Return the product of the transpose, [N, K] → [D, K]."""

        def multiply_block(block: Features, rows: slice) -> tuple[np.ndarray, np.ndarray]:
            return block.terms.T @ values[rows], block.words.T @ values[rows]

        of_terms, of_words = zip(
            *self.pool.map(multiply_block, self.blocks, self.rows), strict=True
        )
        return np.concatenate([sum(of_terms), self.features.spelling.T @ sum(of_words)])


class LogisticRegression:
    """Logistic regression with L2 regularization, fitted for one value of C after the other.

    The minimized function is scikit-learn's, half the sum of squared weights plus C times the sum
    of the rows' losses, divided by C and the rows' weights. Each fit starts at the previous one.

    Args:
        features: N rows
        labels: [N] class numbers, 0 and 1, or 0 to C - 1
        outputs: 1 for two classes, or C
        row_weights: [N] weights of the rows' losses; None: all 1
        scales: [D, outputs] factors of the features, such as naive Bayes' log-count ratios; None:
            all 1
    """

    def __init__(
        self,
        features: Features,
        labels: np.ndarray,
        outputs: int,
        row_weights: np.ndarray | None = None,
        scales: np.ndarray | None = None,
    ):
        self.features, self.labels, self.scales = FeatureProducts(features), labels, scales
        weights = np.ones(len(labels)) if row_weights is None else row_weights
        self.total_weight = weights.sum()
        self.row_weights = weights / self.total_weight
        self.parameters = np.zeros((features.size + 1, outputs))  # the last row is the bias
        self._at: tuple[np.ndarray, np.ndarray] | None = None  # parameters and probabilities

    def fit(
        self, C: float, tolerance: float = TOLERANCE, start: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fit the weights.

        Args:
            C: inverse strength of the regularization
            tolerance: see `TOLERANCE`
            start: earlier `parameters` to start from; None: those of the previous fit

        Returns:
            weights: [D, outputs] of the features without `scales`
            bias: [outputs]
        """
        from scipy.optimize import minimize  # imports for 0.2 s

        decay = 1 / (C * self.total_weight)
        options = {"gtol": tolerance * decay, "maxiter": MAX_ITERATIONS, **TRUST_RADIUS}
        found = minimize(
            self._compute_loss,
            (self.parameters if start is None else start).ravel(),
            (decay,),
            jac=True,
            hessp=self._multiply_hessian,
            method="trust-ncg",
            options=options,
        )
        self.parameters = found.x.reshape(self.parameters.shape)
        return self._scale(self.parameters)

    def _scale(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights of the features without scales, and biases."""
        weights = parameters[:-1]
        return weights if self.scales is None else weights * self.scales, parameters[-1]

    def _compute_loss(self, flat: np.ndarray, decay: float) -> tuple[float, np.ndarray]:
        """Return the regularized mean loss of the rows, and its derivatives by the parameters."""
        parameters = flat.reshape(self.parameters.shape)
        weights, bias = self._scale(parameters)
        losses, slopes, probabilities = _compute_losses(
            self.features.multiply(weights) + bias, self.labels
        )
        self._at = flat.copy(), probabilities
        derivatives = self._collect_derivatives(slopes, parameters, decay)
        loss = losses @ self.row_weights + decay / 2 * np.vdot(parameters[:-1], parameters[:-1])
        return float(loss), derivatives

    def _multiply_hessian(self, flat: np.ndarray, step: np.ndarray, decay: float) -> np.ndarray:
        """Return the product of the second derivatives at some parameters with a step."""
        if self._at is None or not np.array_equal(self._at[0], flat):
            self._compute_loss(flat, decay)
        assert self._at is not None
        probabilities = self._at[1]
        steps = step.reshape(self.parameters.shape)
        weights, bias = self._scale(steps)
        changes = self.features.multiply(weights) + bias
        if probabilities.shape[1] == 1:
            slopes = probabilities * (1 - probabilities) * changes
        else:
            means = (probabilities * changes).sum(axis=1, keepdims=True)
            slopes = probabilities * (changes - means)
        return self._collect_derivatives(slopes, steps, decay)

    def _collect_derivatives(
        self, slopes: np.ndarray, parameters: np.ndarray, decay: float
    ) -> np.ndarray:
        """Return derivatives by the parameters from those by the logits, [N, outputs]."""
        slopes = slopes * self.row_weights[:, None]
        derivatives = np.empty_like(parameters)
        derivatives[:-1] = self.features.multiply_transposed(slopes)
        if self.scales is not None:
            derivatives[:-1] *= self.scales
        derivatives[:-1] += decay * parameters[:-1]
        derivatives[-1] = slopes.sum(axis=0)
        return derivatives.ravel()


class OrdinalRegression:
    """Fits the regressions of all steps between ordered classes, as `LogisticRegression` does.

    Args:
        steps: for each class but the last, the regression of being above it; or the constant
            logit of a step whose rows are all on one side
        features: D
    """

    def __init__(self, steps: Sequence[LogisticRegression | float], features: int):
        self.steps, self.features = steps, features

    @property
    def parameters(self) -> list[np.ndarray | None]:
        """Return those of each step, from which `fit` can start."""
        return [None if isinstance(step, float) else step.parameters for step in self.steps]

    def fit(
        self,
        C: float,
        tolerance: float = TOLERANCE,
        start: Any = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return weights [D, C - 1] and biases [C - 1], see `LogisticRegression.fit`."""
        starts = start or [None] * len(self.steps)
        fitted = [
            (np.zeros((self.features, 1)), np.array([step]))
            if isinstance(step, float)
            else step.fit(C, tolerance, begin)
            for step, begin in zip(self.steps, starts, strict=True)
        ]
        weights, biases = zip(*fitted, strict=True)
        return np.hstack(weights), np.concatenate(biases)


def _compute_losses(
    logits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cross entropies [N], and derivatives and probabilities like logits [N, outputs]."""
    if logits.shape[1] == 1:
        probabilities = expit(logits)
        losses = np.logaddexp(0, np.where(labels == 1, -1, 1) * logits[:, 0])
        return losses, probabilities - (labels == 1)[:, None], probabilities
    log_probabilities = log_softmax(logits, axis=1)
    probabilities = np.exp(log_probabilities)
    slopes, rows = probabilities.copy(), np.arange(len(labels))
    slopes[rows, labels] -= 1
    return -log_probabilities[rows, labels], slopes, probabilities
