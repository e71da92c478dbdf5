"""Character n-grams inside white-space words, counted once per distinct word.

An n-gram's frequency in a text is the sum over the text's words of the word's frequency times the
n-gram's count in the word. So the features of N texts are a product, [N, words] @ [words, n-grams],
that a linear model never has to compute as a whole: on IMDB's training part the factors have 8
million numbers and the product 58 million.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from seqtext.models.non_neural import TokenizedTexts

BLOCK_WORDS = 1 << 16  # spelled together
PRODUCT_ROWS = 1 << 12  # texts whose n-grams are counted together


class WordCounts(NamedTuple):
    """Hold how often each distinct word stands in each text.

    counts: [N, words]
    words: [words] sorted
    codes: [sum of lengths] column of each token
    """

    counts: sparse.csr_array
    words: pa.Array
    codes: np.ndarray


def count_words(texts: TokenizedTexts) -> WordCounts:
    """Count the distinct words of the texts; the order of the dictionary does not matter."""
    used = np.flatnonzero(np.bincount(texts.codes, minlength=len(texts.dictionary)))
    words = pa.array(texts.dictionary.take(pa.array(used)).to_pylist(), pa.string())
    order = pc.sort_indices(words).to_numpy()
    columns = np.zeros(len(texts.dictionary), np.int32)
    columns[used[order]] = np.arange(len(used))
    codes = columns[texts.codes]
    shape = len(texts.lengths), len(used)
    return WordCounts(
        _build_counts(texts.get_text_numbers(), codes, shape), words.take(pa.array(order)), codes
    )


class CharacterTerms:
    """Counts known character n-grams in words.

    As with scikit-learn's `analyzer="char_wb"`, a word has a space at both ends, and a word shorter
    than `min_n` is one n-gram.

    Args:
        min_n: smallest number of characters of an n-gram
        max_n: largest number of characters
        ngrams: [n-grams] known n-grams, sorted
    """

    def __init__(self, min_n: int, max_n: int, ngrams: pa.Array | None = None):
        self.min_n, self.max_n = min_n, max_n
        self.ngrams = pa.array([], pa.string()) if ngrams is None else ngrams

    def __len__(self) -> int:
        return len(self.ngrams)

    def choose(
        self, counted: WordCounts, labels: np.ndarray, min_df: int, max_features: int | None
    ) -> tuple[sparse.csr_array, np.ndarray]:
        """Set the n-grams to those of training texts.

        Args:
            counted: words of N training texts
            labels: [N] class numbers
            min_df: minimum number of texts with an n-gram
            max_features: maximum number of n-grams, the most frequent ones; None: all

        Returns:
            Counts of the n-grams in the words, [words, n-grams], and numbers of texts of each class
            with each n-gram, [classes, n-grams].
        """
        rows, spelled = zip(*self._spell(counted.words), strict=True)
        grams = pa.chunked_array([each.dictionary_encode() for each in spelled])
        chunks = grams.unify_dictionaries().chunks
        columns = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
        found = chunks[0].dictionary
        in_words = _build_counts(np.concatenate(rows), columns, (len(counted.words), len(found)))
        # A text with an n-gram has a word with it, so this is at least its number of texts.
        texts_with_word = np.bincount(counted.counts.indices, minlength=len(counted.words))
        kept = np.flatnonzero(_binarize(in_words).T @ texts_with_word >= min_df)
        names = found.take(pa.array(kept))
        order = pc.sort_indices(names).to_numpy()
        in_words, self.ngrams = in_words[:, kept[order]], names.take(pa.array(order))
        by_class = _count_texts_by_class(counted, in_words, labels)
        kept = np.flatnonzero(by_class.sum(axis=0) >= min_df)
        if max_features is not None and len(kept) > max_features:
            totals = in_words[:, kept].T @ counted.counts.sum(axis=0)
            kept = np.sort(kept[np.argsort(-totals, kind="stable")[:max_features]])
        self.ngrams = self.ngrams.take(pa.array(kept))
        return in_words[:, kept], by_class[:, kept]

    def count_in_words(self, words: pa.Array) -> sparse.csr_array:
        """Return the counts of known n-grams in each word: [words, n-grams]."""
        rows, columns = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
        for numbers, grams in self._spell(words):
            known = pc.index_in(grams, value_set=self.ngrams)
            rows.append(numbers[known.is_valid().to_numpy(zero_copy_only=False)])
            columns.append(known.drop_null().to_numpy())
        shape = len(words), len(self)
        return _build_counts(np.concatenate(rows), np.concatenate(columns), shape)

    def get_code_points(self) -> np.ndarray:
        """Return the code points of the n-grams: int32 [n-grams, max_n], padded with 0."""
        padded = np.array(self.ngrams.to_pylist(), f"<U{self.max_n}")
        return padded.view(np.int32).reshape(len(self), self.max_n)

    def set_code_points(self, code_points: np.ndarray) -> None:
        """Set the n-grams to a result of `get_code_points`."""
        packed = np.ascontiguousarray(code_points, np.int32)
        self.ngrams = pa.array(packed.view(f"<U{self.max_n}").ravel(), pa.string())

    def _spell(self, words: pa.Array) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """Yield word numbers and n-grams, all those of a block of words; at least one block."""
        for start in range(0, max(len(words), 1), BLOCK_WORDS):
            numbers, grams = self._spell_block(words.slice(start, BLOCK_WORDS))
            yield numbers + np.int32(start), grams

    def _spell_block(self, words: pa.Array) -> tuple[np.ndarray, pa.Array]:
        padded = pc.binary_join_element_wise(" ", words, " ", "")
        lengths = pc.utf8_length(padded).to_numpy()
        characters = np.frombuffer("".join(padded.to_pylist()).encode("utf-32-le"), np.uint32)
        word_of = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(characters))
        rows, grams = [], []
        for n in range(self.min_n, self.max_n + 1):
            starts = np.flatnonzero(left >= n)
            windows = characters[starts[:, None] + np.arange(n)]  # [starts, n]
            rows.append(word_of[starts])
            grams.append(pa.array(windows.view(f"<U{n}").ravel(), pa.string()))
        short = np.flatnonzero(lengths < self.min_n).astype(np.int32)
        rows, grams = [*rows, short], [*grams, padded.take(pa.array(short))]
        return np.concatenate(rows), pa.concat_arrays(grams)


def iter_products(
    in_texts: sparse.csr_array, in_words: sparse.csr_array
) -> Iterator[tuple[slice, sparse.csr_array]]:
    """Yield which rows, and the rows, of the product [N, words] @ [words, n-grams], in blocks."""
    for start in range(0, in_texts.shape[0], PRODUCT_ROWS):
        rows = slice(start, start + PRODUCT_ROWS)
        yield rows, in_texts[rows] @ in_words


def _count_texts_by_class(
    counted: WordCounts, in_words: sparse.csr_array, labels: np.ndarray
) -> np.ndarray:
    """Count the texts of each class with each n-gram: [classes, n-grams]."""
    classes = labels.max() + 1
    found = np.zeros((classes, in_words.shape[1]), np.int64)
    for rows, product in iter_products(_binarize(counted.counts), _binarize(in_words)):
        found += count_rows_by_class(product, labels[rows], classes)
    return found


def count_rows_by_class(
    matrix: sparse.csr_array, labels: np.ndarray, classes: int | None = None
) -> np.ndarray:
    """Count the rows of each class with an entry in each column: [N, D] → [classes, D]."""
    size, classes = matrix.shape[1], classes or labels.max() + 1
    keys = np.repeat(labels * size, np.diff(matrix.indptr)) + matrix.indices
    return np.bincount(keys, minlength=classes * size).reshape(classes, size)


def _build_counts(
    rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> sparse.csr_array:
    places = rows.astype(np.int32), columns.astype(np.int32)
    return sparse.csr_array((np.ones(len(rows)), places), shape=shape)


def _binarize(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return a matrix with ones at the entries of another."""
    ones = np.ones(matrix.nnz, np.int32)
    return sparse.csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)
