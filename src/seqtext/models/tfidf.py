"""Logistic regression on TF-IDF of words and word bigrams: the baseline of every comparison.

scikit-learn weights the terms (`TfidfTransformer`) and fits the regression. Terms are counted here
by token index, because `TfidfVectorizer` counts strings in Python: on IMDB's 36,000 training
reviews a fit takes 17.2 s of CPU time with it, and 8.3 s here; predictions are faster in the same
proportion. The logits differ by less than 1e-6 (benchmarks/tfidf.py).
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy import sparse
from torch import Tensor

from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts
from seqtext.validation import PositiveFloat, PositiveInt, validate_args

BLOCK_TEXTS = (
    1 << 16
)  # counted together: memory depends on the number of distinct terms, not of texts
MAX_ITERATIONS = 500
ABSENT_CLASS_LOGIT = -50.0  # logit of a class without training rows


class TfIdf(NonNeuralClassifier):
    """Logistic regression on TF-IDF of words and bigrams (Salton and Buckley, 1988).

    Each text is a unit vector over the terms of the training part: counts times
    ln((1 + texts) / (1 + texts with the term)) + 1. Options are named as in scikit-learn.

    Args:
        classes: C
        max_features: maximum number of terms, the most frequent ones; None: all
        min_df: minimum number of training texts with a term
        bigrams: whether word bigrams are terms too
        sublinear_tf: whether to replace a count n by 1 + ln(n)
        C: inverse strength of the L2 regularization
    """

    name = "tfidf"

    @validate_args
    def __init__(
        self,
        classes: int = 2,
        max_features: PositiveInt | None = None,
        min_df: PositiveInt = 2,
        bigrams: bool = True,
        sublinear_tf: bool = True,
        C: PositiveFloat = 10.0,
    ):
        self.classes, self.max_features, self.min_df = classes, max_features, min_df
        self.use_bigrams, self.sublinear_tf, self.C = bigrams, sublinear_tf, C
        self.words: list[str] = []
        self.bigrams = np.zeros((0, 2), np.int32)  # [P, 2] indices of words
        self.idf = np.zeros(0, np.float32)  # [F] of all terms, words first
        self.weights = np.zeros((0, 0), np.float32)  # [1 or C, F]
        self.bias = np.zeros(0, np.float32)  # [1 or C]

    def fit(
        self,
        texts: TokenizedTexts,
        labels: np.ndarray,
        class_weights: list[float] | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        """Select the terms and fit their weights, see `NonNeuralClassifier.fit`.

        Raises:
            UserError: if no term is frequent enough.
        """
        # These imports take a second.
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.linear_model import LogisticRegression

        self._choose_terms(texts)
        counts = self._count_terms(texts)
        self.idf = TfidfTransformer().fit(counts).idf_.astype(np.float32)
        features = self._weigh(counts)
        if rows is not None:
            features, labels = features[rows], labels[rows]
        regression = LogisticRegression(
            C=self.C,
            class_weight=None if class_weights is None else dict(enumerate(class_weights)),
            solver="newton-cg",
            max_iter=MAX_ITERATIONS,
        ).fit(features, labels)
        weights, bias = regression.coef_, regression.intercept_
        if self.classes > 2:
            weights, bias = _expand_to_all_classes(weights, bias, regression.classes_, self.classes)
        self.weights, self.bias = weights.astype(np.float32), bias.astype(np.float32)

    def predict_logits(self, texts: TokenizedTexts) -> Tensor:
        """Return logits, see `NonNeuralClassifier.predict_logits`."""
        products = self._weigh(self._count_terms(texts)) @ self.weights.T
        logits = torch.from_numpy((products + self.bias).astype(np.float32))
        return logits.squeeze(1) if self.classes == 2 else logits

    def word_attributions(self, texts: TokenizedTexts) -> np.ndarray:
        """Return each token's exact contribution: the sum plus the bias is the logit.

        The contribution of a repeated term is divided equally among its occurrences, that of a
        bigram equally between its words.
        """
        positions, terms = self._find_terms(texts)
        counts = self._count_terms(texts)
        per_place = self._weigh(counts).data / counts.data
        rows, columns = counts.tocoo().coords  # sorted by row, then column
        keys = rows.astype(np.int64) * counts.shape[1] + columns
        wanted = texts.get_text_numbers()[positions] * counts.shape[1] + terms
        shares = per_place[np.searchsorted(keys, wanted), None] * self.weights.T[terms]
        added = np.zeros((len(texts.codes), len(self.weights)))
        is_bigram = terms >= len(self.words)
        np.add.at(added, positions, np.where(is_bigram[:, None], shares / 2, shares))
        np.add.at(added, positions[is_bigram] + 1, shares[is_bigram] / 2)
        return added

    def state_dict(self) -> dict[str, Tensor]:
        """Return the fitted parameters, without `words`."""
        arrays = {"bigrams": self.bigrams, "idf": self.idf}
        arrays |= {"weights": self.weights, "bias": self.bias}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def load_state_dict(self, words: list[str], state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`.

        Raises:
            UserError: if a tensor is missing or does not fit the others.
        """
        self._check_state(len(words), state)
        self.words = list(words)
        self.bigrams, self.idf = state["bigrams"].numpy(), state["idf"].numpy()
        self.weights, self.bias = state["weights"].numpy(), state["bias"].numpy()

    @property
    def num_parameters(self) -> int:
        """Return the number of trained parameters."""
        return self.weights.size + self.bias.size

    def _check_state(self, words: int, state: dict[str, Any]) -> None:
        outputs = 1 if self.classes == 2 else self.classes
        bigrams = len(state["bigrams"]) if "bigrams" in state and state["bigrams"].ndim else 0
        shapes = {"bigrams": [bigrams, 2], "idf": [words + bigrams]}
        shapes |= {"weights": [outputs, words + bigrams], "bias": [outputs]}
        for name, shape in shapes.items():
            if name not in state or list(state[name].shape) != shape:
                raise UserError(f"the tensor {name} of the TF-IDF model must have shape {shape}.")
            dtype = torch.int32 if name == "bigrams" else torch.float32
            if state[name].dtype != dtype:
                raise UserError(f"the tensor {name} of the TF-IDF model must be of type {dtype}.")
        if bigrams and not ((state["bigrams"] >= 0) & (state["bigrams"] < words)).all():
            raise UserError("the bigrams of the TF-IDF model must be of its words.")

    def _choose_terms(self, texts: TokenizedTexts) -> None:
        """Set words and bigrams to the frequent ones of the training texts."""
        blocks = partial(texts.iter_blocks, BLOCK_TEXTS)
        words = _count_keys((block.get_text_numbers(), block.codes) for block in blocks())
        if not len(words):
            raise UserError(
                f"None of the {len(texts.lengths)} training texts has a word left after cleaning: "
                f"name other steps in dataset.cleaning."
            )
        words = words.filter(pc.field("texts") >= self.min_df)
        names = texts.dictionary.take(words["key"])
        order = pc.sort_indices(names)
        self.words, words = names.take(order).to_pylist(), words.take(order)
        if not self.words:
            texts_given = count_noun(len(texts.lengths), "text")
            raise UserError(
                f"model.min_df={self.min_df} leaves no word: the training part has {texts_given}, "
                f"and no word is in so many; lower it."
            )
        size, bigrams = len(self.words), words.slice(0, 0)
        if self.use_bigrams:
            numbers = self._number_words(texts.dictionary)
            pairs = (_find_pairs(block, numbers[block.codes], size) for block in blocks())
            bigrams = _count_keys((block_texts, keys) for _, block_texts, keys in pairs)
            bigrams = bigrams.filter(pc.field("texts") >= self.min_df).sort_by("key")
        # Words precede equally frequent bigrams, so that both words of a bigram are known.
        counts = np.concatenate([words["count"], bigrams["count"]])
        kept = np.sort(np.argsort(-counts, kind="stable")[: self.max_features])
        kept_words, kept_bigrams = kept[kept < size], kept[kept >= size] - size
        self.words = [self.words[number] for number in kept_words]
        new_numbers = np.full(size, -1, np.int32)
        new_numbers[kept_words] = np.arange(len(kept_words))
        left_and_right = np.divmod(bigrams["key"].to_numpy()[kept_bigrams], size)
        self.bigrams = new_numbers[np.stack(left_and_right, axis=1)]

    def _number_words(self, dictionary: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Return the index of each dictionary entry in `words`, or -1."""
        known = pc.index_in(dictionary, value_set=pa.array(self.words, pa.string()))
        return pc.fill_null(known, -1).to_numpy().astype(np.int64)

    def _find_terms(self, texts: TokenizedTexts) -> tuple[np.ndarray, np.ndarray]:
        """Return positions of known terms (for bigrams, of the left word) and their columns."""
        words = self._number_words(texts.dictionary)[texts.codes]
        positions = np.flatnonzero(words >= 0)
        if not len(self.bigrams):
            return positions, words[positions]
        size = len(self.words)
        lefts, _, keys = _find_pairs(texts, words, size)
        known = pa.array(self.bigrams @ np.array([size, 1]))
        found = pc.fill_null(pc.index_in(pa.array(keys), value_set=known), -1).to_numpy()
        lefts, found = lefts[found >= 0], found[found >= 0]
        return np.concatenate([positions, lefts]), np.concatenate([words[positions], size + found])

    def _count_terms(self, texts: TokenizedTexts) -> sparse.csr_array:
        """Return term counts per text: [N, F] with sorted columns."""
        size = len(self.words) + len(self.bigrams)
        counted = []
        for block in texts.iter_blocks(BLOCK_TEXTS):
            positions, terms = self._find_terms(block)
            places = block.get_text_numbers()[positions], terms
            shape = len(block.lengths), size
            counted.append(sparse.csr_array((np.ones(len(terms)), places), shape=shape))
        return sparse.vstack(counted, "csr") if counted[1:] else counted[0]

    def _weigh(self, counts: sparse.csr_array) -> sparse.csr_array:
        """Convert counts [N, F] to unit vectors; texts without known terms have no entries."""
        from sklearn.feature_extraction.text import TfidfTransformer

        if not counts.nnz:  # scikit-learn refuses empty arrays
            return counts
        transformer = TfidfTransformer(sublinear_tf=self.sublinear_tf)
        transformer.idf_ = self.idf
        return transformer.transform(counts)


def _find_pairs(
    texts: TokenizedTexts, words: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return left position, text and key (left × size + right) of bigrams of known words."""
    numbers = texts.get_text_numbers()
    is_pair = (words[:-1] >= 0) & (words[1:] >= 0) & (numbers[:-1] == numbers[1:])
    lefts = np.flatnonzero(is_pair)
    return lefts, numbers[lefts], words[lefts] * size + words[lefts + 1]


def _count_keys(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> pa.Table:
    """Return the distinct keys, with the number of `texts` and the total `count` of each.

    Args:
        blocks: text index and key of each term
    """
    counted = []
    for numbers, keys in blocks:
        encoded = pa.array(keys, pa.int64()).dictionary_encode()
        codes, size = encoded.indices.to_numpy(), len(encoded.dictionary)
        shape = numbers.max(initial=0) + 1, max(size, 1)
        ones = np.ones(len(codes), np.int32)
        in_texts = sparse.csr_array((ones, (numbers, codes)), shape=shape)
        texts, count = (np.bincount(each, minlength=size) for each in (in_texts.indices, codes))
        counted.append(pa.table({"key": encoded.dictionary, "texts": texts, "count": count}))
    if len(counted) == 1:
        return counted[0]
    table = pa.concat_tables(counted).group_by("key")
    summed = table.aggregate([("texts", "sum"), ("count", "sum")])
    return summed.rename_columns(["key", "texts", "count"])


def _expand_to_all_classes(
    weights: np.ndarray, bias: np.ndarray, seen: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights [C, F] and bias [C]: scikit-learn omits classes without training rows."""
    if len(bias) == 1:  # two classes have rows; the weights are the second's
        weights, bias = np.stack([0 * weights[0], weights[0]]), np.array([0, bias[0]])
    all_weights = np.zeros((classes, weights.shape[1]))
    all_bias = np.full(classes, ABSENT_CLASS_LOGIT)
    all_weights[seen], all_bias[seen] = weights, bias
    return all_weights, all_bias
