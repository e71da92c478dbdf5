"""The words a model knows, by frequency in the training part, and texts as their ids."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.tokenized import Tokens
from seqtext.token_ids import UNKNOWN

SPECIAL = ("<pad>", "<unk>")


class Vocabulary:
    """Id 0 is padding, id 1 any unknown word, then the known words from frequent to rare.

    Args:
        words: without the two special ones: word i has id i + 2
        counts: [words] how often each stands in the training part; None: not known
        running: words of the training part in all, known or not
    """

    def __init__(
        self, words: Sequence[str], counts: np.ndarray | None = None, running: int | None = None
    ):
        self.words, self.counts, self.running = list(words), counts, running

    def __len__(self) -> int:
        return len(SPECIAL) + len(self.words)

    def word(self, number: int) -> str:
        """The word of an id."""
        return SPECIAL[number] if number < len(SPECIAL) else self.words[number - len(SPECIAL)]

    @classmethod
    def of_training(cls, tokens: Tokens, rows: np.ndarray, max_words: int | None) -> "Vocabulary":
        """Count the words of these rows only; equally frequent words stand in alphabetical order.

        Args:
            rows: [n] positions of the training texts in `tokens`
            max_words: how many words to know, the special ones not counted; None: all
        """
        counts = word_counts(tokens, rows)
        least = 1
        if max_words is not None and max_words < len(counts):
            least = max(1, np.partition(counts, -max_words)[-max_words])
        seen = np.flatnonzero(counts >= least)
        table = pa.table({"word": tokens.dictionary.take(pa.array(seen)), "count": counts[seen]})
        ranked = table.sort_by([("count", "descending"), ("word", "ascending")])[:max_words]
        return cls(ranked["word"].to_pylist(), ranked["count"].to_numpy(), int(counts.sum()))

    def ids_of(self, words: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """[n] int32 ids of words, 1 where unknown."""
        positions = pc.index_in(words, value_set=self._known)
        return pc.fill_null(pc.add(positions, len(SPECIAL)), UNKNOWN).to_numpy()

    @cached_property
    def _known(self) -> pa.Array:
        return pa.array(self.words, pa.string())

    @property
    def dtype(self) -> type:
        """Of stored ids: two bytes where they suffice."""
        return np.uint16 if len(self) <= np.iinfo(np.uint16).max + 1 else np.int32


def word_counts(tokens: Tokens, rows: np.ndarray) -> np.ndarray:
    """[distinct words] how often each stands in these rows."""
    counts = np.zeros(len(tokens.dictionary), np.int64)
    for _, words in tokens.of_rows(rows):
        counts += np.bincount(words, minlength=len(counts))
    return counts


def encode(
    tokens: Tokens, vocabulary: Vocabulary, length: int | None, keep_head: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All texts as ids, cut to `length` words; an empty text becomes one unknown word.

    Yields:
        For blocks of texts, ids: those of all its texts, one after the other
        lengths: [texts of the block] how many belong to each
    """
    id_of_code = vocabulary.ids_of(tokens.dictionary).astype(vocabulary.dtype)
    for start, stop, words in tokens.blocks():
        lengths = np.diff(tokens.offsets[start : stop + 1])
        yield cut(id_of_code[words], lengths, length, keep_head)


def cut(
    ids: np.ndarray, lengths: np.ndarray, length: int | None, keep_head: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Texts cut to `length` words; an empty text becomes one unknown word.

    Args:
        ids: [sum of lengths] those of all texts, one after the other
        lengths: [texts] how many belong to each

    Returns:
        The same two, of what is kept.
    """
    starts = np.cumsum(lengths) - lengths
    kept = lengths if length is None else np.minimum(lengths, length)
    first = starts if keep_head else starts + lengths - kept
    filled = np.repeat(kept > 0, np.maximum(kept, 1))
    cut_ids = np.full(len(filled), UNKNOWN, ids.dtype)
    cut_ids[filled] = ids[_ranges(first, kept)]
    return cut_ids, np.maximum(kept, 1)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, … of every range, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
