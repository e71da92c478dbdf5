"""Texts to word numbers: clean, split on white space, dictionary-encode, block by block."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.cleaning import clean
from seqtext.data.files import open_array, open_table, write_table

BLOCK_ROWS = 2048


@dataclass(frozen=True)
class Tokens:
    """All words of all texts; text i is ``codes[offsets[i]:offsets[i + 1]]``.

    codes: [words in running text] int32, indices into `dictionary`
    offsets: [texts + 1] int64
    dictionary: the distinct words, in order of appearance
    """

    codes: np.ndarray
    offsets: np.ndarray
    dictionary: pa.ChunkedArray

    @classmethod
    def load(cls, folder: Path) -> "Tokens":
        """Memory-map what `write_tokens` wrote."""
        return cls(
            codes=open_array(folder / "codes.bin", np.int32),
            offsets=open_array(folder / "offsets.bin", np.int64),
            dictionary=open_table(folder / "dictionary.arrow")["word"],
        )


def write_tokens(texts: pa.ChunkedArray, cleaning: Sequence[str], folder: Path) -> None:
    """Tokenize `texts` into files for `Tokens.load`; memory is bounded by a few blocks of rows."""
    numbers: dict[str, int] = {}
    lengths = [np.zeros(1, np.int64)]
    with (folder / "codes.bin").open("wb") as stream:
        for block_lengths, words in _tokenized_blocks(texts, cleaning):
            lengths.append(block_lengths)
            known = [numbers.setdefault(w, len(numbers)) for w in words.dictionary.to_pylist()]
            stream.write(np.asarray(known, np.int32)[words.indices.to_numpy()].tobytes())
    np.cumsum(np.concatenate(lengths)).tofile(folder / "offsets.bin")
    write_table(pa.table({"word": pa.array(numbers, pa.string())}), folder / "dictionary.arrow")


def tokenize(texts: pa.Array, cleaning: Sequence[str]) -> tuple[np.ndarray, pa.DictionaryArray]:
    """Clean and split one block of texts.

    Returns:
        lengths: [texts] words in each text, 0 where nothing is left
        words: [sum of lengths] dictionary-encoded
    """
    trimmed = pc.utf8_trim_whitespace(clean(texts, cleaning))
    split = pc.utf8_split_whitespace(trimmed)
    lengths = pc.list_value_length(split).to_numpy(zero_copy_only=False).astype(np.int64)
    words = split.flatten()
    empty = pc.equal(trimmed, "").to_numpy(zero_copy_only=False)
    if empty.any():  # the kernel splits an empty text into one empty word
        words = words.filter(pc.not_equal(words, ""))
        lengths[empty] = 0
    return lengths, words.dictionary_encode()


def _tokenized_blocks(
    texts: pa.ChunkedArray, cleaning: Sequence[str]
) -> Iterator[tuple[np.ndarray, pa.DictionaryArray]]:
    blocks = (
        chunk.slice(start, BLOCK_ROWS)
        for chunk in texts.chunks
        for start in range(0, len(chunk), BLOCK_ROWS)
    )
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        for block in blocks:
            waiting.append(pool.submit(tokenize, block, cleaning))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
