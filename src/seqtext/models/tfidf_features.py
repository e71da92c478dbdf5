"""TF-IDF features of texts: unit vectors of words and n-grams, and of character n-grams."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse
from torch import Tensor

from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.models.character_terms import (
    CharacterTerms,
    WordCounts,
    count_rows_by_class,
    count_words,
    iter_products,
)
from seqtext.models.logistic_regression import Features
from seqtext.models.non_neural import TokenizedTexts
from seqtext.models.word_terms import WordTerms

Analyzer = Literal["words", "chars", "both"]
NGRAM_TENSORS = ("bigrams", "trigrams")  # of the orders 2 and 3
MAX_CODE_POINT = 0x10FFFF
SURROGATES = 0xD800, 0xDFFF


class FeatureCounts(NamedTuple):
    """Hold the counts of N texts.

    terms: [N, terms] of tokens and token n-grams
    words: of white-space words
    spelling: [words, n-grams] of character n-grams in these words
    """

    terms: sparse.csr_array
    words: WordCounts
    spelling: sparse.csr_array


class TfIdfFeatures:
    """Chooses the terms of training texts, and computes the features of any texts.

    The D features are terms, words before pairs before triples, and then character n-grams.
    Options are those of `seqtext.models.tfidf.TfIdf`.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        word_ngrams: int,
        min_n: int,
        max_n: int,
        max_features: int | None,
        min_df: int,
        sublinear_tf: bool,
    ):
        if min_n > max_n:
            raise UserError(
                f"model.min_n={min_n} is not possible: it must be at most max_n={max_n}."
            )
        self.has_terms, self.has_ngrams = analyzer != "chars", analyzer != "words"
        self.word_ngrams, self.max_features, self.min_df = word_ngrams, max_features, min_df
        self.sublinear_tf = sublinear_tf
        self.terms, self.characters = WordTerms(), CharacterTerms(min_n, max_n)
        self.idf = np.zeros(0, np.float32)  # [D]

    def __len__(self) -> int:
        return len(self.terms) + len(self.characters)

    def choose(self, texts: TokenizedTexts, labels: np.ndarray) -> tuple[Features, np.ndarray]:
        """Choose the terms of training texts.

        Args:
            texts: N training texts
            labels: [N] class numbers

        Returns:
            Features of the texts, and the numbers of texts of each class with each feature: [C, D].

        Raises:
            UserError: if no term is frequent enough.
        """
        if not len(texts.codes):
            raise UserError(
                f"None of the {len(texts.lengths)} training texts has a word left after cleaning: "
                f"name other steps in dataset.cleaning."
            )
        if self.has_terms:
            tokens, _ = texts.to_tokens()
            self.terms = WordTerms.choose(tokens, self.word_ngrams, self.min_df, self.max_features)
        words, classes = self._count_words(texts), labels.max() + 1
        spelling, of_ngrams = (
            self.characters.count_in_words(words.words),
            np.zeros((classes, 0), int),
        )
        if self.has_ngrams:
            options = self.min_df, self.max_features
            spelling, of_ngrams = self.characters.choose(words, labels, *options)
        if not len(self):
            texts_given = count_noun(len(texts.lengths), "text")
            raise UserError(
                f"model.min_df={self.min_df} leaves no word: the training part has {texts_given}, "
                f"and no word is in so many; lower it."
            )
        counts = FeatureCounts(self.terms.count(texts.to_tokens()[0]), words, spelling)
        of_terms = count_rows_by_class(counts.terms, labels)
        by_class = np.hstack([of_terms, of_ngrams])
        shares = (1 + by_class.sum(axis=0)) / (1 + len(labels))
        self.idf = (1 - np.log(shares)).astype(np.float32)
        return self._weigh(counts), by_class

    def compute(self, texts: TokenizedTexts) -> Features:
        """Compute the features of N texts."""
        return self._weigh(self._count(texts, self._count_words(texts)))

    def attribute(self, texts: TokenizedTexts, weights: np.ndarray) -> np.ndarray:
        """Return each word's contribution to the product with weights [K, D]: [words, K].

        The contribution of a repeated term is divided equally among its occurrences, and that of an
        n-gram of tokens among its tokens; a character n-gram is part of one word.
        """
        counts = self._count(texts, self._count_words(texts))
        features = self._weigh(counts)
        of_terms, of_ngrams = np.split(weights.T, [len(self.terms)])
        added = np.zeros((len(texts.codes), len(weights)))
        if self.has_terms:
            tokens, words = texts.to_tokens()
            starts, columns, orders = self.terms.find(tokens)
            rows = tokens.get_text_numbers()[starts]
            values = _look_up(features.terms, counts.terms, rows, columns)
            shares = values[:, None] * of_terms[columns] / orders[:, None]
            for place in range(self.word_ngrams):
                has_place = orders > place
                np.add.at(added, words[starts[has_place] + place], shares[has_place])
        if self.has_ngrams:
            codes = counts.words.codes
            rows = texts.get_text_numbers()
            values = _look_up(features.words, counts.words.counts, rows, codes)
            added += values[:, None] * (features.spelling @ of_ngrams)[codes]
        return added

    def find_spelled(self, texts: TokenizedTexts) -> np.ndarray:
        """Return which words have a known character n-gram: [sum of lengths] booleans."""
        words = self._count_words(texts)
        if not self.has_ngrams:
            return np.zeros(len(texts.codes), bool)
        counts = self.characters.count_in_words(words.words)
        return (np.diff(counts.indptr) > 0)[words.codes]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state without the words, as tensors."""
        state = dict(zip(NGRAM_TENSORS, self.terms.ngrams, strict=False))
        if self.has_ngrams:
            state["characters"] = self.characters.get_code_points()
        return {
            name: torch.from_numpy(array) for name, array in (state | {"idf": self.idf}).items()
        }

    def load_state_dict(self, words: list[str], state: Mapping[str, Any]) -> None:
        """Restore a result of `state_dict`, which may come from an untrusted checkpoint.

        Raises:
            UserError: if a tensor is missing or does not fit the others.
        """
        sizes, ngrams = [len(words)], []
        for name in NGRAM_TENSORS[: self.word_ngrams - 1] if self.has_terms else ():
            found = get_tensor(state, name, [None, 2], torch.int32)
            limits = torch.tensor([sizes[-1], sizes[0]])
            if not ((found >= 0) & (found < limits)).all():
                raise UserError(f"the {name} of the TF-IDF model must be of its words.")
            ngrams.append(found.numpy())
            sizes.append(len(found))
        self.terms = WordTerms(words, ngrams)
        if self.has_ngrams:
            found = get_tensor(state, "characters", [None, self.characters.max_n], torch.int32)
            is_surrogate = (found >= SURROGATES[0]) & (found <= SURROGATES[1])
            if ((found < 0) | (found > MAX_CODE_POINT) | is_surrogate).any():
                raise UserError("the characters of the TF-IDF model must be Unicode code points.")
            self.characters.set_code_points(found.numpy())
        self.idf = get_tensor(state, "idf", [len(self)], torch.float32).numpy()

    def _count_words(self, texts: TokenizedTexts) -> WordCounts:
        """Count the words whose character n-grams are features."""
        if self.has_ngrams:
            return count_words(texts)
        none = np.zeros(0, np.int32)
        return WordCounts(
            sparse.csr_array((len(texts.lengths), 0)), pa.array([], pa.string()), none
        )

    def _count(self, texts: TokenizedTexts, words: WordCounts) -> FeatureCounts:
        terms = self.terms.count(texts.to_tokens()[0])
        return FeatureCounts(terms, words, self.characters.count_in_words(words.words))

    def _weigh(self, counts: FeatureCounts) -> Features:
        """Convert counts to unit vectors; texts without known terms have no entries."""
        idf_of_terms, idf_of_ngrams = np.split(self.idf.astype(float), [len(self.terms)])
        terms, words = (self._scale_counts(each) for each in (counts.terms, counts.words.counts))
        terms.data *= idf_of_terms[terms.indices]
        spelling = counts.spelling.copy()
        spelling.data *= idf_of_ngrams[spelling.indices]
        norms = [np.zeros(0)]
        for _, product in iter_products(words, spelling):
            norms.append(_compute_norms(product))
        return Features(
            _divide_rows(terms, _compute_norms(terms)),
            _divide_rows(words, np.concatenate(norms)),
            spelling,
        )

    def _scale_counts(self, counts: sparse.csr_array) -> sparse.csr_array:
        """Return term frequencies: counts, or 1 + ln(count)."""
        data = 1 + np.log(counts.data) if self.sublinear_tf else counts.data.copy()
        return sparse.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)


def get_tensor(
    state: Mapping[str, Any], name: str, shape: list[int | None], dtype: torch.dtype
) -> Tensor:
    """Return a tensor of a checkpoint.

    Args:
        shape: sizes; None: any

    Raises:
        UserError: if it is missing, or of another shape or type.
    """
    found = state.get(name)
    sizes = [] if found is None else list(found.shape)
    fits = [known in (None, size) for known, size in zip(shape, sizes, strict=False)]
    if found is None or len(sizes) != len(shape) or not all(fits):
        expected = ["any" if size is None else size for size in shape]
        raise UserError(f"the tensor {name} of the TF-IDF model must have shape {expected}.")
    if found.dtype != dtype:
        raise UserError(f"the tensor {name} of the TF-IDF model must be of type {dtype}.")
    return found


def _look_up(
    values: sparse.csr_array, counts: sparse.csr_array, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Return values divided by counts at some places; both matrices have the same ones."""
    of_rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    keys = of_rows * counts.shape[1] + counts.indices  # sorted
    return (values.data / counts.data)[np.searchsorted(keys, rows * counts.shape[1] + columns)]


def _compute_norms(matrix: sparse.csr_array) -> np.ndarray:
    """Return the Euclidean norms of the rows; 1 for a row without entries."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    squares = np.bincount(rows, matrix.data**2, minlength=matrix.shape[0])
    return np.sqrt(np.where(squares > 0, squares, 1))


def _divide_rows(matrix: sparse.csr_array, norms: np.ndarray) -> sparse.csr_array:
    matrix.data /= np.repeat(norms, np.diff(matrix.indptr))
    return matrix
