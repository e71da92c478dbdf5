"""The words a model knows, by frequency in the training part, and texts as their ids."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.tokens import Tokens

PAD, UNKNOWN = 0, 1
SPECIAL = ("<pad>", "<unk>")


class Vocabulary:
    """Id 0 is padding, id 1 any unknown word, then the known words from frequent to rare."""

    def __init__(self, words: Sequence[str]):
        self.words = list(words)  # without the two special ones: word i has id i + 2

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
        seen = np.flatnonzero(counts)
        table = pa.table({"word": tokens.dictionary.take(pa.array(seen)), "count": counts[seen]})
        ranked = table.sort_by([("count", "descending"), ("word", "ascending")])
        return cls(ranked["word"].slice(0, max_words).to_pylist())

    def ids_of(self, words: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """[n] int32 ids of words, 1 where unknown."""
        known = pa.array(self.words, pa.string())
        positions = pc.index_in(words, value_set=known)
        return pc.fill_null(pc.add(positions, len(SPECIAL)), UNKNOWN).to_numpy()


def word_counts(tokens: Tokens, rows: np.ndarray) -> np.ndarray:
    """[distinct words] how often each stands in these rows."""
    chosen = np.zeros(len(tokens.offsets) - 1, bool)
    chosen[rows] = True
    counts = np.zeros(len(tokens.dictionary), np.int64)
    for start in range(0, len(chosen), 1 << 16):  # bounded memory at any number of rows
        stop = min(start + (1 << 16), len(chosen))
        lengths = np.diff(tokens.offsets[start : stop + 1])
        words = tokens.codes[tokens.offsets[start] : tokens.offsets[stop]]
        kept = words[np.repeat(chosen[start:stop], lengths)]
        counts += np.bincount(kept, minlength=len(counts))
    return counts


def encode(
    tokens: Tokens, vocabulary: Vocabulary, length: int | None, keep_head: bool
) -> tuple[np.ndarray, np.ndarray]:
    """All texts as ids, cut to `length` words; an empty text becomes one unknown word.

    Returns:
        ids: [words kept] uint16 where the vocabulary allows, else int32
        offsets: [texts + 1] int64
    """
    dtype = np.uint16 if len(vocabulary) <= np.iinfo(np.uint16).max + 1 else np.int32
    id_of_code = vocabulary.ids_of(tokens.dictionary).astype(dtype)
    starts, stops = tokens.offsets[:-1], tokens.offsets[1:]
    kept = stops - starts if length is None else np.minimum(stops - starts, length)
    first = starts if keep_head else stops - kept
    offsets = np.concatenate([[0], np.cumsum(np.maximum(kept, 1))])
    ids = np.empty(offsets[-1], dtype)
    for start in range(0, len(kept), 1 << 16):
        stop = min(start + (1 << 16), len(kept))
        out = ids[offsets[start] : offsets[stop]]
        empty = kept[start:stop] == 0
        words = tokens.codes[_ranges(first[start:stop], kept[start:stop])]
        filled = np.repeat(~empty, np.maximum(kept[start:stop], 1))
        out[filled] = id_of_code[words]
        out[~filled] = UNKNOWN
    return ids, offsets


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, … of every range, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
