"""Clean texts, split them at white space and dictionary-encode the words, block by block."""

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
from seqtext.data.cleaning import TextCleaner
from seqtext.data.duplicates import assign_text_ids, hash_texts

log = logging.getLogger(__name__)

BLOCK_ROWS = 2048  # rows cleaned and split together
READ_ROWS = 1 << 16  # rows read back together
REPORT_SECONDS = 10  # time between two log lines of a long preparation


@dataclass(frozen=True)
class TokenizedCorpus:
    """Reads the words of all cleaned texts of a data set from disk.

    Attributes:
        file: concatenated words of the texts, int32 indices into `dictionary`
        offsets: [texts + 1] int64; the words of text i are ``offsets[i]`` to ``offsets[i + 1]``
        dictionary: distinct words, in order of appearance
        text_ids: [texts] int64, equal for texts with the same words, numbered by appearance
    """

    file: Path
    offsets: np.ndarray
    dictionary: pa.ChunkedArray
    text_ids: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> "TokenizedCorpus":
        """Open the files written by `write_corpus`."""
        return cls(
            file=folder / "codes.bin",
            offsets=open_array(folder / "offsets.bin", np.int64),
            dictionary=open_table(folder / "dictionary.arrow")["word"],
            text_ids=open_array(folder / "text_ids.bin", np.int64),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def read_word_codes(self, start: int, stop: int) -> np.ndarray:
        """Read the words of texts `start` to `stop` as int32 indices into `dictionary`.

        The file is read, not memory-mapped: mapped pages would count as memory of the process.
        """
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        return np.fromfile(self.file, np.int32, last - first, offset=4 * first)

    def blocks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield (start, stop, codes of the texts between), in blocks of `READ_ROWS` texts."""
        for start in range(0, len(self), READ_ROWS):
            stop = min(start + READ_ROWS, len(self))
            yield start, stop, self.read_word_codes(start, stop)

    def iter_rows(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Iterate over the texts of `rows` in blocks, in ascending order of the rows.

        Yields:
            lengths: [texts of the block] number of words of each text
            codes: [sum of lengths] words of the texts, as indices into `dictionary`
        """
        is_wanted = np.zeros(len(self), bool)
        is_wanted[rows] = True
        for start, stop, codes in self.blocks():
            lengths = np.diff(self.offsets[start : stop + 1])
            wanted = is_wanted[start:stop]
            yield lengths[wanted], codes[np.repeat(wanted, lengths)]


def write_corpus(
    texts: Iterator[pa.Array], raw_text_ids: np.ndarray | None, cleaner: TextCleaner, folder: Path
) -> None:
    """Clean and split texts into files for `TokenizedCorpus.load`; memory use is bounded.

    Args:
        texts: blocks of texts
        raw_text_ids: [texts] int64, equal for equal texts before cleaning; None: all are different
    """
    code_of: dict[str, int] = {}
    lengths, hashes = [np.zeros(1, np.int64)], [np.zeros(0, np.uint64)]
    done, last_log = 0, time.monotonic()
    with (folder / "codes.bin").open("wb") as stream:
        for block_lengths, words in _split_blocks(texts, cleaner):
            lengths.append(block_lengths)
            block_codes = [
                code_of.setdefault(w, len(code_of)) for w in words.dictionary.to_pylist()
            ]
            codes = np.asarray(block_codes, np.int32)[words.indices.to_numpy()]
            stream.write(codes.tobytes())
            hashes.append(hash_texts(block_lengths, codes))
            done += len(block_lengths)
            if time.monotonic() - last_log > REPORT_SECONDS:
                last_log = time.monotonic()
                of = "" if raw_text_ids is None else f"of {len(raw_text_ids):,} "
                log.info("  %s %stexts are tokenized.", f"{done:,}", of)
    all_lengths = np.concatenate(lengths)
    np.cumsum(all_lengths).tofile(folder / "offsets.bin")
    if raw_text_ids is None:
        raw_text_ids = np.arange(done)
    ids = assign_text_ids(np.concatenate(hashes), all_lengths[1:], raw_text_ids)
    ids.tofile(folder / "text_ids.bin")
    write_table(pa.table({"word": pa.array(code_of, pa.string())}), folder / "dictionary.arrow")


def split_words(texts: pa.Array) -> tuple[np.ndarray, pa.DictionaryArray]:
    """Split a block of cleaned texts at white space.

    Returns:
        lengths: [texts] number of words of each text, 0 for a text without words
        words: [sum of lengths] dictionary-encoded
    """
    trimmed = pc.utf8_trim_whitespace(texts)
    split = pc.utf8_split_whitespace(trimmed)
    lengths = pc.list_value_length(split).to_numpy(zero_copy_only=False).astype(np.int64)
    words = split.flatten()
    is_empty = pc.equal(trimmed, "").to_numpy(zero_copy_only=False)
    if is_empty.any():  # the kernel splits an empty text into one empty word
        words = words.filter(pc.not_equal(words, ""))
        lengths[is_empty] = 0
    return lengths, words.dictionary_encode()


def join_words(words: pa.Array | pa.ChunkedArray, offsets: np.ndarray) -> pa.Array:
    """Join words to texts, separated by single spaces.

    Args:
        words: words of all texts
        offsets: [texts + 1] positions of the texts' words
    """
    words = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
    return pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets), words), " ")


def _split_blocks(
    texts: Iterator[pa.Array], cleaner: TextCleaner
) -> Iterator[tuple[np.ndarray, pa.DictionaryArray]]:
    """Clean and split blocks of texts in threads; yield the results in order."""
    blocks = (
        chunk.slice(start, BLOCK_ROWS)
        for chunk in texts
        for start in range(0, len(chunk), BLOCK_ROWS)
    )
    num_workers = os.cpu_count() or 1
    with ThreadPoolExecutor(num_workers) as pool:
        futures: deque = deque()
        for block in blocks:
            futures.append(pool.submit(lambda texts: split_words(cleaner(texts)), block))
            if len(futures) > 2 * num_workers:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
