"""Logistic regression on TF-IDF of words and character n-grams: the baseline of every comparison.

The features are those of scikit-learn's `TfidfVectorizer`, but terms are counted by the numbers of
distinct words instead of as strings, and the character n-grams of a word once; both take a fraction
of the time (benchmarks/tfidf.py).
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import numpy as np
import torch
from annotated_types import Interval
from torch import Tensor

from seqtext.errors import UserError
from seqtext.layers.ordinal import build_step_signs, compute_ordinal_logits
from seqtext.models.logistic_regression import (
    SEARCH_TOLERANCE,
    Features,
    LogisticRegression,
    OrdinalRegression,
)
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts, Validation
from seqtext.models.tfidf_features import Analyzer, TfIdfFeatures, get_tensor
from seqtext.models.word_terms import BLOCK_TEXTS
from seqtext.validation import PositiveFloat, PositiveInt, validate_args

Regression = LogisticRegression | OrdinalRegression

AUTO: Final = "auto"
CANDIDATES = (1.0, 4.0, 16.0, 64.0, 256.0)  # of C
ABSENT_CLASS_LOGIT = -50.0  # logit of a class without training rows


class TfIdf(NonNeuralClassifier):
    """Logistic regression on TF-IDF of words and character n-grams (Salton and Buckley, 1988).

    Each text is a unit vector over the terms of the training part: counts times
    ln((1 + texts) / (1 + texts with the term)) + 1; and another one over the character n-grams
    inside its white-space words. Options are named as in scikit-learn.

    The weighting "naive_bayes" multiplies each feature by a log-count ratio (Wang and Manning,
    2012, "Baselines and Bigrams"): of the feature's shares in the texts of a class and in all
    others, where a text counts once and 1 is added to each count. With more than two classes, each
    class is compared with the rest, and the ratios multiply the features of its own logit.

    Args:
        classes: C
        analyzer: "words": words and word n-grams; "chars": character n-grams; "both"
        word_ngrams: largest number of words of an n-gram
        min_n: smallest number of characters of an n-gram, with a space at both ends of a word
        max_n: largest number of characters
        max_features: maximum number of terms, and of character n-grams, the most frequent ones;
            None: all
        min_df: minimum number of training texts with a term or n-gram
        sublinear_tf: whether to replace a count n by 1 + ln(n); the frequency of a character n-gram
            is the sum over its words
        weighting: "tfidf"; "naive_bayes"; or "auto", the better one on the validation part
        C: inverse strength of the L2 regularization; "auto": the best of `CANDIDATES` on the
            validation part
    """

    name = "tfidf"

    @validate_args
    def __init__(
        self,
        classes: int = 2,
        analyzer: Analyzer = "both",
        word_ngrams: Annotated[int, Interval(ge=1, le=3)] = 2,
        min_n: PositiveInt = 2,
        max_n: Annotated[int, Interval(ge=1, le=10)] = 5,
        max_features: PositiveInt | None = None,
        min_df: PositiveInt = 2,
        sublinear_tf: bool = True,
        weighting: Literal["tfidf", "naive_bayes", "auto"] = "naive_bayes",
        C: PositiveFloat | Literal["auto"] = AUTO,
    ):
        self.classes, self.weighting, self.C = classes, weighting, C
        self.features = TfIdfFeatures(
            analyzer, word_ngrams, min_n, max_n, max_features, min_df, sublinear_tf
        )
        self.weights = np.zeros((0, 0), np.float32)  # [outputs, D]: 1 of two classes, C - 1 or C
        self.bias = np.zeros(0, np.float32)  # [outputs]
        self.chosen = {}

    def make_ordinal(self) -> None:
        """Prepare for ordered classes: C - 1 regressions, see `seqtext.layers.ordinal`."""
        self.is_ordinal = self.classes > 2

    @property
    def words(self) -> list[str]:  # type: ignore[override]
        """Return the words that are terms."""
        return self.features.terms.words

    @property
    def needs_validation(self) -> bool:  # type: ignore[override]
        """Return whether `fit` chooses C or the weighting."""
        return AUTO in (self.C, self.weighting)

    def fit(
        self,
        texts: TokenizedTexts,
        labels: np.ndarray,
        class_weights: list[float] | None = None,
        rows: np.ndarray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Select the terms and fit their weights, see `NonNeuralClassifier.fit`.

        Raises:
            UserError: if no term is frequent enough, or `validation` is needed and missing.
        """
        if self.needs_validation and validation is None:
            raise UserError(
                "model.C=auto and model.weighting=auto are chosen on validation texts, and there "
                "are none: set model.C to a number, and model.weighting to tfidf or naive_bayes."
            )
        features, by_class = self.features.choose(texts, labels)
        if rows is not None:
            features, labels = features.select(rows), labels[rows]
        row_weights = None if class_weights is None else np.array(class_weights)[labels]
        data = features, labels, by_class, row_weights
        regressions = {
            weighting: self._build_regression(*data, is_scaled=weighting == "naive_bayes")
            for weighting in ("tfidf", "naive_bayes")
            if self.weighting in (weighting, AUTO)
        }
        seen = np.unique(labels)
        weighting: str = self.weighting
        C, start = self.C, None
        if validation is not None and self.needs_validation:
            weighting, C, start = self._search(regressions, seen, validation)
            found: dict[str, float | str] = {"weighting": weighting, "C": C}
            self.chosen = {name: v for name, v in found.items() if getattr(self, name) == AUTO}
        self._set_weights(*regressions[weighting].fit(float(C), start=start), seen)

    def predict_logits(self, texts: TokenizedTexts) -> Tensor:
        """Return logits, see `NonNeuralClassifier.predict_logits`."""
        return self._compute_logits(map(self.features.compute, texts.iter_blocks(BLOCK_TEXTS)))

    def word_attributions(self, texts: TokenizedTexts) -> np.ndarray:
        """Return each word's exact contribution: the sum plus the bias is the logit.

        Of ordered classes, to the log-odds of all steps up to the class, minus that of the next.
        """
        if not self.is_ordinal:
            return self.features.attribute(texts, self.weights)
        is_earlier, is_same = build_step_signs(self.classes)
        return self.features.attribute(texts, (is_earlier - is_same).T @ self.weights)

    def find_known(self, texts: TokenizedTexts) -> np.ndarray:
        """Return which words have a term or a character n-gram, see the base class."""
        is_known = super().find_known(texts)
        return is_known | self.features.find_spelled(texts)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the fitted parameters, without `words`."""
        arrays = {"weights": self.weights, "bias": self.bias}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return self.features.state_dict() | tensors

    def load_state_dict(self, words: list[str], state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`.

        Raises:
            UserError: if a tensor is missing or does not fit the others.
        """
        self.features.load_state_dict(words, state)
        outputs = 1 if self.classes == 2 else self.classes - self.is_ordinal
        shape: list[int | None] = [outputs, len(self.features)]
        self.weights = get_tensor(state, "weights", shape, torch.float32).numpy()
        self.bias = get_tensor(state, "bias", [outputs], torch.float32).numpy()

    @property
    def num_parameters(self) -> int:
        """Return the number of trained parameters."""
        return self.weights.size + self.bias.size

    def _build_regression(
        self,
        features: Features,
        labels: np.ndarray,
        by_class: np.ndarray,
        row_weights: np.ndarray | None,
        is_scaled: bool,
    ) -> Regression:
        """Build the regression of the classes that have training rows, or those of ordered classes.

        Args:
            by_class: [C, D] numbers of texts of each class with each feature
            is_scaled: whether features are multiplied by log-count ratios
        """

        def build(rows: np.ndarray | None, classes: np.ndarray, counts: np.ndarray, outputs: int):
            scales = None
            if is_scaled:
                ratios = compute_log_count_ratios(counts, len(self.features.terms))
                scales = np.ascontiguousarray(ratios[-outputs:].T)
            if rows is None:
                return LogisticRegression(features, classes, outputs, row_weights, scales)
            weights = None if row_weights is None else row_weights[rows]
            return LogisticRegression(features.select(rows), classes, outputs, weights, scales)

        if not self.is_ordinal:
            seen, classes = np.unique(labels, return_inverse=True)
            return build(None, classes, by_class[seen], 1 if self.classes == 2 else len(seen))
        steps: list[LogisticRegression | float] = []
        for step in range(self.classes - 1):
            rows = np.flatnonzero(labels >= step)
            is_above = (labels[rows] > step).astype(int)
            if len(np.unique(is_above)) < 2:
                steps.append(-ABSENT_CLASS_LOGIT if is_above.any() else ABSENT_CLASS_LOGIT)
                continue
            counts = np.stack([by_class[step], by_class[step + 1 :].sum(axis=0)])
            steps.append(build(rows, is_above, counts, 1))
        return OrdinalRegression(steps, features.size)

    def _search(
        self,
        regressions: Mapping[str, Regression],
        seen: np.ndarray,
        validation: Validation,
    ) -> tuple[str, float, Any]:
        """Return the weighting and C with the best validation score, and their parameters.

        A larger C is tried as long as the score or the loss improves.
        """
        blocks = list(map(self.features.compute, validation.texts.iter_blocks(BLOCK_TEXTS)))
        best: tuple[float, float] | None = None
        for weighting, regression in regressions.items():
            previous: tuple[float, float] | None = None
            for C in CANDIDATES if self.C == AUTO else (float(self.C),):
                self._set_weights(*regression.fit(C, SEARCH_TOLERANCE), seen)
                scores = validation.score(self._compute_logits(blocks))
                if validation.is_better(scores, best):
                    best, found = scores, (weighting, C, regression.parameters)
                is_better = validation.is_better(scores, previous)
                if previous is not None and not is_better and scores[1] >= previous[1]:
                    break
                previous = scores
        return found

    def _set_weights(self, weights: np.ndarray, bias: np.ndarray, seen: np.ndarray) -> None:
        """Set weights, [D, outputs], and biases, [outputs], of the classes with training rows."""
        if self.classes > 2 and not self.is_ordinal:
            all_weights = np.zeros((len(weights), self.classes))
            all_bias = np.full(self.classes, ABSENT_CLASS_LOGIT)
            all_weights[:, seen], all_bias[seen] = weights, bias
            weights, bias = all_weights, all_bias
        self.weights = np.ascontiguousarray(weights.T, np.float32)
        self.bias = bias.astype(np.float32)

    def _compute_logits(self, blocks: Iterable[Features]) -> Tensor:
        """Compute logits of blocks of texts: [N] for two classes, [N, C] for more."""
        weights = self.weights.T.astype(float)
        products = np.concatenate([features.multiply(weights) for features in blocks])
        logits = torch.from_numpy((products + self.bias).astype(np.float32))
        if self.is_ordinal:
            return compute_ordinal_logits(logits)
        return logits.squeeze(1) if self.classes == 2 else logits


def compute_log_count_ratios(by_class: np.ndarray, terms: int) -> np.ndarray:
    """Compute naive Bayes' log-count ratios of each class against the rest.

    Args:
        by_class: [C, D] numbers of texts of each class with each feature
        terms: number of features that are terms; the shares of the others are computed apart

    Returns:
        [C, D] ln(share among the texts of the class / share among all other texts).
    """
    return np.hstack([_compute_ratios(kind) for kind in np.split(by_class, [terms], axis=1)])


def _compute_ratios(by_class: np.ndarray) -> np.ndarray:
    counts = by_class + 1.0
    rest = by_class.sum(axis=0) - by_class + 1.0
    shares, shares_of_rest = (n / n.sum(axis=1, keepdims=True) for n in (counts, rest))
    return np.log(shares / shares_of_rest)
