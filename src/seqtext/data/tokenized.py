"""Texts to word numbers: clean, split on white space, dictionary-encode, block by block."""

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.arrow_io import open_array, open_table, write_table
from seqtext.data.cleaning import Cleaning
from seqtext.data.duplicates import hash_texts, number_texts

log = logging.getLogger(__name__)

BLOCK_ROWS = 2048  # cleaned and split together
READ_ROWS = 1 << 16  # read back together
REPORT = 10  # seconds between two lines of a long preparation


@dataclass(frozen=True)
class Tokens:
    """All words of all texts, on disk.

    file: the texts' words one after the other, int32 indices into `dictionary`
    offsets: [texts + 1] int64; the words of text i are ``offsets[i]`` to ``offsets[i + 1]``
    dictionary: the distinct words, in order of appearance
    text_ids: [texts] int64, equal where texts have the same words, in order of appearance
    """

    file: Path
    offsets: np.ndarray
    dictionary: pa.ChunkedArray
    text_ids: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> "Tokens":
        """Open what `write_tokens` wrote."""
        return cls(
            file=folder / "codes.bin",
            offsets=open_array(folder / "offsets.bin", np.int64),
            dictionary=open_table(folder / "dictionary.arrow")["word"],
            text_ids=open_array(folder / "text_ids.bin", np.int64),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def codes(self, start: int, stop: int) -> np.ndarray:
        """The words of texts `start` to `stop`; read, not mapped: mapped pages count as memory."""
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        return np.fromfile(self.file, np.int32, last - first, offset=4 * first)

    def blocks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """First text, text after the last, and the words between, in blocks of many texts."""
        for start in range(0, len(self), READ_ROWS):
            stop = min(start + READ_ROWS, len(self))
            yield start, stop, self.codes(start, stop)

    def of_rows(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The texts of these rows, in order of the rows' numbers and in blocks of many.

        Yields:
            lengths: [texts of the block] words in each text
            codes: [sum of lengths] their words, as indices into `dictionary`
        """
        chosen = np.zeros(len(self), bool)
        chosen[rows] = True
        for start, stop, words in self.blocks():
            lengths = np.diff(self.offsets[start : stop + 1])
            yield lengths[chosen[start:stop]], words[np.repeat(chosen[start:stop], lengths)]


def write_tokens(
    texts: Iterator[pa.Array], written: np.ndarray, cleaning: Cleaning, folder: Path
) -> None:
    """Tokenize texts into files for `Tokens.load`; memory is bounded by a few blocks of rows.

    Args:
        texts: in blocks
        written: [texts] int64, equal where they are written alike
    """
    numbers: dict[str, int] = {}
    lengths, hashes = [np.zeros(1, np.int64)], []
    done, reported = 0, time.monotonic()
    with (folder / "codes.bin").open("wb") as stream:
        for block_lengths, words in _tokenized_blocks(texts, cleaning):
            lengths.append(block_lengths)
            known = [numbers.setdefault(w, len(numbers)) for w in words.dictionary.to_pylist()]
            codes = np.asarray(known, np.int32)[words.indices.to_numpy()]
            stream.write(codes.tobytes())
            hashes.append(hash_texts(block_lengths, codes))
            done += len(block_lengths)
            if time.monotonic() - reported > REPORT:
                reported = time.monotonic()
                log.info("  %s of %s texts are tokenized.", f"{done:,}", f"{len(written):,}")
    every_length = np.concatenate(lengths)
    np.cumsum(every_length).tofile(folder / "offsets.bin")
    ids = number_texts(np.concatenate(hashes), every_length[1:], written)
    ids.tofile(folder / "text_ids.bin")
    write_table(pa.table({"word": pa.array(numbers, pa.string())}), folder / "dictionary.arrow")


def tokenize(texts: pa.Array, cleaning: Cleaning) -> tuple[np.ndarray, pa.DictionaryArray]:
    """Clean and split one block of texts.

    Returns:
        lengths: [texts] words in each text, 0 where nothing is left
        words: [sum of lengths] dictionary-encoded
    """
    trimmed = pc.utf8_trim_whitespace(cleaning(texts))
    split = pc.utf8_split_whitespace(trimmed)
    lengths = pc.list_value_length(split).to_numpy(zero_copy_only=False).astype(np.int64)
    words = split.flatten()
    empty = pc.equal(trimmed, "").to_numpy(zero_copy_only=False)
    if empty.any():  # the kernel splits an empty text into one empty word
        words = words.filter(pc.not_equal(words, ""))
        lengths[empty] = 0
    return lengths, words.dictionary_encode()


def _tokenized_blocks(
    texts: Iterator[pa.Array], cleaning: Cleaning
) -> Iterator[tuple[np.ndarray, pa.DictionaryArray]]:
    blocks = (
        chunk.slice(start, BLOCK_ROWS)
        for chunk in texts
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
