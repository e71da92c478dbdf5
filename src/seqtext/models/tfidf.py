"""Words and word pairs, weighted by TF-IDF, in a logistic regression: the number to beat.

Texts come as the numbers of their words (`Tokens`) and are counted as numbers: IMDB's 50,000
reviews in seconds. The numbers are those of scikit-learn's TfidfVectorizer on the same words.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy import sparse
from torch import Tensor

from seqtext.data.split import Part
from seqtext.datasets.base import TextDataModule
from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.models.non_neural import NonNeuralClassifier
from seqtext.validation import PositiveFloat, PositiveInt, validate_args

ITERATIONS = 500
NEVER = -50.0  # logit of a class that no training row has


class Terms(NamedTuple):
    """T words or pairs, with the number of training texts [T] that hold each, and its count [T]."""

    keys: np.ndarray
    texts: np.ndarray
    counts: np.ndarray


class TfIdf(NonNeuralClassifier):
    """TF-IDF of words and word pairs (Salton and Buckley, 1988), and a logistic regression.

    Each text is a vector of unit length over the terms of the training part: counts times
    ln((1 + texts) / (1 + texts that hold the term)) + 1.

    Args:
        classes: C
        max_features: how many terms to know, the most frequent ones; None: all
        min_count: how many training texts must hold a term
        pairs: pairs of neighbouring words are terms too
        sublinear: a term that stands n times counts 1 + ln(n)
        c: inverse strength of the regularisation of the squared weights
    """

    name = "tfidf"

    @validate_args
    def __init__(
        self,
        classes: int = 2,
        max_features: PositiveInt | None = None,
        min_count: PositiveInt = 2,
        pairs: bool = True,
        sublinear: bool = True,
        c: PositiveFloat = 10.0,
    ):
        self.classes, self.max_features, self.min_count = classes, max_features, min_count
        self.pairs, self.sublinear, self.c = pairs, sublinear, c
        self.words: list[str] = []
        self.pair_words = np.zeros((0, 2), np.int32)  # [P, 2] numbers of words
        self.idf = np.zeros(0, np.float32)  # [T], words first
        self.weights = np.zeros((0, 0), np.float32)  # [1 or C, T]
        self.bias = np.zeros(0, np.float32)  # [1 or C]

    def fit(self, data: TextDataModule) -> None:
        """Terms and their idf from the training part, weights from its rows after sampling.

        Raises:
            UserError: if no term is frequent enough, or `sampling` is about batches.
        """
        if data.sampling == "balanced_batches":
            raise UserError(
                "sampling=balanced_batches is not possible with model=tfidf, which has no "
                "batches: choose sampling=class_weights."
            )
        train = data.dataset.parts["train"]
        self._count(data, train)
        features = self._features_of(data, train)[np.searchsorted(train, data.training_rows)]
        self._regress(features, data.labels[data.training_rows], data.class_weights())

    def predict(self, data: TextDataModule, part: Part) -> Tensor:
        """See `NonNeuralClassifier.predict`."""
        return self._logits(self._features_of(data, data.dataset.parts[part]))

    def logits(self, lengths: np.ndarray, codes: np.ndarray, dictionary: pa.Array) -> Tensor:
        """Of N other texts, cleaned as the data set's: [N] for two classes, [N, C] for more.

        Args:
            lengths: [N] words in each text
            codes: [sum of lengths] their words, as indices into `dictionary`
        """
        return self._logits(self._features(lengths, self._numbers(dictionary)[codes]))

    def word_attributions(
        self, lengths: np.ndarray, codes: np.ndarray, dictionary: pa.Array
    ) -> np.ndarray:
        """See `NonNeuralClassifier.word_attributions`: exact, and with the bias the whole logit.

        The share of a term that stands several times is the same at each place; a pair's is half
        that of each of its words.
        """
        places, terms = self._occurrences(lengths, self._numbers(dictionary)[codes])
        text_of = np.repeat(np.arange(len(lengths)), lengths)[places]
        keys = text_of * len(self.idf) + terms
        values = self._weighted(text_of, terms, len(lengths)).data  # of the distinct keys, sorted
        _, number, counts = np.unique(keys, return_inverse=True, return_counts=True)
        shares = (values / counts)[number, None] * self.weights.T[terms]
        added = np.zeros((len(codes), len(self.weights)))
        is_pair = terms >= len(self.words)
        np.add.at(added, places, np.where(is_pair[:, None], shares / 2, shares))
        np.add.at(added, places[is_pair] + 1, shares[is_pair] / 2)
        return added

    def state_dict(self) -> dict[str, Tensor]:
        """See `NonNeuralClassifier.state_dict`."""
        arrays = {"pairs": self.pair_words, "idf": self.idf}
        arrays |= {"weights": self.weights, "bias": self.bias}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def load_state_dict(self, words: list[str], state: dict[str, Any]) -> None:
        """See `NonNeuralClassifier.load_state_dict`.

        Raises:
            UserError: if a tensor is missing or does not fit the others.
        """
        self._check_state(len(words), state)
        self.words = list(words)
        self.pair_words, self.idf = state["pairs"].numpy(), state["idf"].numpy()
        self.weights, self.bias = state["weights"].numpy(), state["bias"].numpy()

    @property
    def parameters(self) -> int:
        """See `NonNeuralClassifier.parameters`."""
        return self.weights.size + self.bias.size

    def _check_state(self, words: int, state: dict[str, Any]) -> None:
        outputs = 1 if self.classes == 2 else self.classes
        pairs = len(state["pairs"]) if "pairs" in state and state["pairs"].ndim else 0
        shapes = {"pairs": [pairs, 2], "idf": [words + pairs]}
        shapes |= {"weights": [outputs, words + pairs], "bias": [outputs]}
        for name, shape in shapes.items():
            if name not in state or list(state[name].shape) != shape:
                raise UserError(f"the tensor {name} of the TF-IDF model must have shape {shape}.")
            kind = torch.int32 if name == "pairs" else torch.float32
            if state[name].dtype != kind:
                raise UserError(f"the tensor {name} of the TF-IDF model must be of type {kind}.")
        if pairs and not ((state["pairs"] >= 0) & (state["pairs"] < words)).all():
            raise UserError("the pairs of the TF-IDF model must be of its words.")

    def _count(self, data: TextDataModule, rows: np.ndarray) -> None:
        """Choose words and pairs, and weigh them."""
        tokens = data.corpus
        found = _terms(tokens.iter_rows(rows))
        words = tokens.dictionary.take(pa.array(found.keys))
        order = pc.sort_indices(words).to_numpy()
        words, found = words.take(pa.array(order)), _chosen(found, order)
        frequent = np.flatnonzero(found.texts >= self.min_count)
        self.words, found = words.take(pa.array(frequent)).to_pylist(), _chosen(found, frequent)
        pairs = Terms(*np.zeros((3, 0), np.int64))
        if self.pairs and self.words:
            number, size = self._numbers(tokens.dictionary), len(self.words)
            pairs = _terms(
                _pairs(n, number[codes], size)[:2] for n, codes in tokens.iter_rows(rows)
            )
            pairs = _chosen(pairs, np.flatnonzero(pairs.texts >= self.min_count))
        self._keep(found, pairs, len(rows))
        if not len(words):
            raise UserError(
                f"None of the {len(rows)} training texts has a word left after cleaning: name "
                f"other steps in dataset.cleaning."
            )
        if not self.words:
            raise UserError(
                f"model.min_count={self.min_count} leaves no word: the training part has "
                f"{count_noun(len(rows), 'text')}, and no word stands in so many; lower it."
            )

    def _keep(self, words: Terms, pairs: Terms, texts: int) -> None:
        """The most frequent ones; of equally frequent ones words, so that pairs have theirs."""
        counts = np.concatenate([words.counts, pairs.counts])
        kept = np.sort(np.argsort(-counts, kind="stable")[: self.max_features])
        held_by = np.concatenate([words.texts, pairs.texts])[kept]
        size = len(self.words)
        kept_words, kept_pairs = kept[kept < size], pairs.keys[kept[kept >= size] - size]
        new_number = np.full(size, -1, np.int32)
        new_number[kept_words] = np.arange(len(kept_words))
        self.words = [self.words[number] for number in kept_words]
        left_and_right = np.stack([kept_pairs // max(size, 1), kept_pairs % max(size, 1)], axis=1)
        self.pair_words = new_number[left_and_right]
        self.idf = (np.log((1 + texts) / (1 + held_by)) + 1).astype(np.float32)

    def _numbers(self, dictionary: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """[distinct words] the number of each among `words`, or -1."""
        known = pc.index_in(dictionary, value_set=pa.array(self.words, pa.string()))
        return pc.fill_null(known, -1).to_numpy().astype(np.int64)

    def _features_of(self, data: TextDataModule, rows: np.ndarray) -> sparse.csr_array:
        number = self._numbers(data.corpus.dictionary)
        blocks = data.corpus.iter_rows(rows)
        return sparse.vstack([self._features(n, number[codes]) for n, codes in blocks], "csr")

    def _features(self, lengths: np.ndarray, words: np.ndarray) -> sparse.csr_array:
        """[N, T] vectors of unit length; empty where no term is known.

        Args:
            words: [sum of lengths] numbers of words, -1 where unknown
        """
        places, terms = self._occurrences(lengths, words)
        text_of = np.repeat(np.arange(len(lengths)), lengths)[places]
        return self._weighted(text_of, terms, len(lengths))

    def _occurrences(self, lengths: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where known terms stand (pairs: their left words), and their numbers, words first."""
        places = np.flatnonzero(words >= 0)
        if not len(self.pair_words):
            return places, words[places]
        size = len(self.words)
        lefts = _pair_places(lengths, words)
        known = pa.array(self.pair_words @ np.array([size, 1]))
        keys = pa.array(words[lefts] * size + words[lefts + 1])
        found = pc.fill_null(pc.index_in(keys, value_set=known), -1).to_numpy()
        lefts, found = lefts[found >= 0], found[found >= 0]
        return np.concatenate([places, lefts]), np.concatenate([words[places], size + found])

    def _weighted(self, text_of: np.ndarray, terms: np.ndarray, texts: int) -> sparse.csr_array:
        size = len(self.idf)
        keys, counts = np.unique(text_of * size + terms, return_counts=True)
        rows, terms = np.divmod(keys, size)
        values = (1 + np.log(counts) if self.sublinear else counts) * self.idf[terms]
        values /= np.sqrt(np.bincount(rows, values**2, texts))[rows]
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=texts))])
        parts = (values, terms.astype(np.int32), starts.astype(np.int32))
        return sparse.csr_array(parts, shape=(texts, size))

    def _regress(
        self, features: sparse.csr_array, labels: np.ndarray, class_weights: list[float] | None
    ) -> None:
        from sklearn.linear_model import LogisticRegression  # it takes a second to import

        weights = None if class_weights is None else dict(enumerate(class_weights))
        fit = LogisticRegression(
            C=self.c, class_weight=weights, solver="newton-cg", max_iter=ITERATIONS
        )
        fit.fit(features, labels)
        weights, bias = fit.coef_, fit.intercept_
        if self.classes > 2:
            weights, bias = _of_all_classes(weights, bias, fit.classes_, self.classes)
        self.weights, self.bias = weights.astype(np.float32), bias.astype(np.float32)

    def _logits(self, features: sparse.csr_array) -> Tensor:
        logits = torch.from_numpy((features @ self.weights.T + self.bias).astype(np.float32))
        return logits.squeeze(1) if self.classes == 2 else logits


def _of_all_classes(
    weights: np.ndarray, bias: np.ndarray, met: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """[C, T] and [C]; scikit-learn knows nothing of classes without training rows."""
    if len(bias) == 1:  # two were met, and the weights are those of the second
        weights, bias = np.stack([0 * weights[0], weights[0]]), np.array([0, bias[0]])
    all_weights = np.zeros((classes, weights.shape[1]))
    all_bias = np.full(classes, NEVER)
    all_weights[met], all_bias[met] = weights, bias
    return all_weights, all_bias


def _pairs(lengths: np.ndarray, words: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """[N] how many pairs of known neighbours each text has, and their keys: left × size + right."""
    lefts = _pair_places(lengths, words)
    text_of = np.repeat(np.arange(len(lengths)), lengths)[lefts]
    return np.bincount(text_of, minlength=len(lengths)), words[lefts] * size + words[lefts + 1]


def _pair_places(lengths: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Where a known word stands with another one behind it, in the same text."""
    text_of = np.repeat(np.arange(len(lengths)), lengths)
    is_pair = (words[:-1] >= 0) & (words[1:] >= 0) & (text_of[:-1] == text_of[1:])
    return np.flatnonzero(is_pair)


def _terms(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> Terms:
    """All distinct keys of all texts, sorted; memory grows with them, not with the texts."""
    counted = [_terms_of_block(lengths, keys) for lengths, keys in blocks]
    keys, places = np.unique(np.concatenate([each.keys for each in counted]), return_inverse=True)
    sums = (
        np.bincount(places, np.concatenate(each), len(keys)).astype(np.int64)
        for each in ([c.texts for c in counted], [c.counts for c in counted])
    )
    return Terms(keys, *sums)


def _terms_of_block(lengths: np.ndarray, keys: np.ndarray) -> Terms:
    encoded = pa.array(keys).dictionary_encode()
    codes, distinct = encoded.indices.to_numpy(), encoded.dictionary.to_numpy()
    texts = np.repeat(np.arange(len(lengths)), lengths)
    in_texts = _sorted_distinct(texts * len(distinct) + codes) % max(len(distinct), 1)
    each = (np.bincount(numbers, minlength=len(distinct)) for numbers in (in_texts, codes))
    return Terms(distinct.astype(np.int64), *each)


def _sorted_distinct(numbers: np.ndarray) -> np.ndarray:
    ordered = np.sort(numbers)  # np.unique alone would hash them, 40 times slower
    return ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]


def _chosen(terms: Terms, places: np.ndarray) -> Terms:
    return Terms(*(column[places] for column in terms))
