"""Words and word n-grams of texts; those of the training texts are the terms of a linear model."""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from seqtext.models.non_neural import TokenizedTexts

# Counted together: memory depends on the number of distinct terms, not of texts.
BLOCK_TEXTS = 1 << 16


class WordTerms:
    """Finds and counts known words and n-grams of neighboring words.

    A term's column is its position in the list of all words, then all pairs, then all triples.

    Args:
        words: known words
        ngrams: for the orders 2, 3, …: [n-grams, 2] int32, the position of the n-gram without its
            last word among the terms of the order below, and the position of its last word
    """

    def __init__(self, words: Sequence[str] = (), ngrams: Sequence[np.ndarray] = ()):
        self.words, self.ngrams = list(words), list(ngrams)

    def __len__(self) -> int:
        return len(self.words) + sum(map(len, self.ngrams))

    @classmethod
    def choose(
        cls, texts: TokenizedTexts, max_order: int, min_df: int, max_features: int | None
    ) -> "WordTerms":
        """Choose the terms of training texts.

        Args:
            max_order: largest number of words of an n-gram
            min_df: minimum number of texts with a term
            max_features: maximum number of terms, the most frequent ones; None: all
        """
        blocks = partial(texts.iter_blocks, BLOCK_TEXTS)
        found = _count_keys((block.get_text_numbers(), block.codes) for block in blocks())
        found = found.filter(pc.field("texts") >= min_df)
        names = texts.dictionary.take(found["key"])
        order = pc.sort_indices(names)
        terms, counts = cls(names.take(order).to_pylist()), [found["count"].take(order).to_numpy()]
        for _ in range(1, max_order):
            keys = (terms._list_longer_keys(block) for block in blocks())
            longer = _count_keys(keys).filter(pc.field("texts") >= min_df).sort_by("key")
            pairs = np.divmod(longer["key"].to_numpy(), max(len(terms.words), 1))
            terms.ngrams.append(np.stack(pairs, axis=1).astype(np.int32))
            counts.append(longer["count"].to_numpy())
        return terms._keep_most_frequent(counts, max_features)

    def find(self, texts: TokenizedTexts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the first position, the column and the order of each known term in the texts."""
        found, _ = self._find_by_order(texts)
        starts, numbers = zip(*found, strict=True)
        sizes = [len(self.words), *map(len, self.ngrams)]
        columns = [n + sum(sizes[:order]) for order, n in enumerate(numbers)]
        orders = np.repeat(np.arange(1, len(found) + 1), list(map(len, starts)))
        return np.concatenate(starts), np.concatenate(columns), orders

    def count(self, texts: TokenizedTexts) -> sparse.csr_array:
        """Return the counts of terms in each text: [N, terms] with sorted columns."""
        counted = []
        for block in texts.iter_blocks(BLOCK_TEXTS):
            starts, columns, _ = self.find(block)
            places = block.get_text_numbers()[starts], columns
            shape = len(block.lengths), len(self)
            counted.append(sparse.csr_array((np.ones(len(columns)), places), shape=shape))
        return sparse.vstack(counted, "csr") if counted[1:] else counted[0]

    def list_ngram_words(self) -> list[np.ndarray]:
        """Return the positions of the words of all n-grams, for each order: [n-grams, order]."""
        spelled = np.arange(len(self.words))[:, None]
        listed = []
        for ngrams in self.ngrams:
            spelled = np.hstack([spelled[ngrams[:, 0]], ngrams[:, 1:]])
            listed.append(spelled)
        return listed

    def _find_by_order(
        self, texts: TokenizedTexts
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Return first positions and numbers of known terms of each order; and words, or -1."""
        known_words = pc.index_in(texts.dictionary, value_set=pa.array(self.words, pa.string()))
        words = pc.fill_null(known_words, -1).to_numpy().astype(np.int64)[texts.codes]
        starts = np.flatnonzero(words >= 0)
        found = [(starts, words[starts])]
        for ngrams in self.ngrams:
            starts, keys = self._extend(texts, words, found)
            known = ngrams.astype(np.int64) @ np.array([len(self.words), 1])
            numbers = pc.index_in(pa.array(keys, pa.int64()), value_set=pa.array(known))
            is_known = numbers.is_valid().to_numpy(zero_copy_only=False)
            numbers = pc.fill_null(numbers, 0).to_numpy().astype(np.int64)
            found.append((starts[is_known], numbers[is_known]))
        return found, words

    def _extend(
        self,
        texts: TokenizedTexts,
        words: np.ndarray,
        found: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return first positions and keys of the longest terms with the next known word."""
        starts, numbers = found[-1]
        next_words = starts + len(found)
        is_inside = next_words < len(words)
        starts, numbers, next_words = starts[is_inside], numbers[is_inside], next_words[is_inside]
        text_numbers = texts.get_text_numbers()
        is_term = (text_numbers[starts] == text_numbers[next_words]) & (words[next_words] >= 0)
        return starts[is_term], (numbers * len(self.words) + words[next_words])[is_term]

    def _list_longer_keys(self, texts: TokenizedTexts) -> tuple[np.ndarray, np.ndarray]:
        """Return text number and key of each n-gram with one word more than the longest terms."""
        found, words = self._find_by_order(texts)
        starts, keys = self._extend(texts, words, found)
        return texts.get_text_numbers()[starts], keys

    def _keep_most_frequent(
        self, counts: Sequence[np.ndarray], max_features: int | None
    ) -> "WordTerms":
        """Keep the most frequent terms; shorter ones first, so that an n-gram's parts are kept."""
        all_counts = np.concatenate(counts)
        is_kept = np.zeros(len(all_counts), bool)
        is_kept[np.argsort(-all_counts, kind="stable")[:max_features]] = True
        kept_words, *kept_ngrams = np.split(is_kept, np.cumsum([len(each) for each in counts])[:-1])
        words = [self.words[number] for number in np.flatnonzero(kept_words)]
        ngrams, new_words = [], np.cumsum(kept_words, dtype=np.int32) - 1
        new_numbers = new_words
        for of_order, is_kept_ngram in zip(self.ngrams, kept_ngrams, strict=True):
            firsts, lasts = of_order[is_kept_ngram].T
            ngrams.append(np.stack([new_numbers[firsts], new_words[lasts]], axis=1))
            new_numbers = np.cumsum(is_kept_ngram, dtype=np.int32) - 1
        return WordTerms(words, ngrams)


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
