"""Files of word vectors, read as a stream: of all their rows only the wanted ones are parsed."""

import io
from collections.abc import Sequence
from itertools import chain, takewhile
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtext.data.archives import open_file
from seqtext.options import UserError

BUFFER = 1 << 16  # bytes; Python's own readers of archives are slow at single lines


def read_text(path: Path, words: Sequence[str], dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in GloVe's or word2vec's text format; .gz, .bz2, .zip are read as they are.

    A line is a word and its numbers, between spaces. Lines whose word has spaces are left out;
    of a repeated word the first line counts.

    Args:
        words: whose vectors are wanted, each once
        dim: E, numbers per word

    Returns:
        vectors: [words, E] float32, zeros where there is none
        known: [words] bool

    Raises:
        UserError: naming the file, and the line, if they are damaged or of another width.
    """
    with open_file(path, lambda names: _fitting(names, path, dim)) as stream:
        return _rows(io.BufferedReader(stream, BUFFER), str(path), words, dim)


def read_wheel(
    table: Path, index: Path, words: Sequence[str], dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of an installed package: an .npy table [n, E] and a .parquet of its n words.

    Args and returns as `read_text`.

    Raises:
        UserError: if the two files do not belong together.
    """
    try:
        stored = np.load(table, mmap_mode="r")
        there = pq.read_table(index, columns=["index"])["index"]
    except (ValueError, EOFError, pa.ArrowInvalid) as error:
        raise UserError(f"{table.parent} is damaged: install its package again.") from error
    if stored.shape != (len(there), dim):
        raise UserError(
            f"{table} holds a table {list(stored.shape)}, not {len(there)} words of {dim} numbers: "
            f"install its package again."
        )
    rows = pc.index_in(pa.array(words, pa.string()), value_set=there.combine_chunks())
    known = rows.is_valid().to_numpy(zero_copy_only=False)
    vectors = np.zeros((len(words), dim), np.float32)
    vectors[known] = stored[rows.drop_null().to_numpy()]
    return vectors, known


def _fitting(names: list[str], path: Path, dim: int) -> str:
    """The text file with vectors of this width, or the only text file."""
    texts = [name for name in names if name.endswith(".txt")]
    fitting = [name for name in texts if name.endswith(f".{dim}d.txt")] or texts
    if len(fitting) == 1:
        return fitting[0]
    if not texts:
        raise UserError(f"{path} holds no .txt file: give an archive of vectors as text.")
    raise UserError(
        f"{path} does not hold exactly one file for embedding.dim={dim}: set embedding.dim to the "
        f"width of one of {', '.join(texts)}, or embedding.path to a file unpacked from it."
    )


def _rows(
    stream: IO[bytes], name: str, words: Sequence[str], dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """See `read_text`."""
    row_of = {word.encode(): row for row, word in enumerate(words)}
    vectors, known = np.zeros((len(words), dim), np.float32), np.zeros(len(words), bool)
    first = stream.readline()
    count = _header(first, name, dim)
    lines, number = (chain([first], stream), 0) if count is None else (stream, 1)
    start, line = number, first
    for number, line in enumerate(lines, start + 1):
        row = row_of.get(line[: line.find(b" ")])
        if row is not None and not known[row]:
            values = _numbers(line, name, number, dim)
            if values is not None:
                vectors[row], known[row] = values, True
    if count is not None and number - start < count:
        raise UserError(
            f"{name} ends with line {number}, {number - start} of the {count} words that its "
            f"first line announces: fetch it again."
        )
    if line.strip() and number > start:
        _numbers(line, name, number, dim)  # where a file was cut off, whatever its last word is
    return vectors, known


def _header(first: bytes, name: str, dim: int) -> int | None:
    """How many words word2vec's header announces; None without one.

    Raises:
        UserError: if the vectors are none, or have another width.
    """
    fields = first.split()
    count, width = None, len(fields) - 1
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
        count, width = map(int, fields)
    elif width != dim:  # the word may have spaces
        width = sum(1 for _ in takewhile(_is_number, reversed(fields[1:])))
    if width < 1:
        raise UserError(
            f"{name}, line 1: a word and its numbers are expected, as in GloVe's or word2vec's "
            f"text format: give another file."
        )
    if width != dim:
        raise UserError(
            f"{name} has {width} numbers per word where embedding.dim={dim}: set "
            f"embedding.dim={width}, or give another file."
        )
    return count


def _numbers(line: bytes, name: str, number: int, dim: int) -> np.ndarray | None:
    """[E] the numbers of a line, or None if its word has spaces.

    Raises:
        UserError: if they are too few, no numbers or not finite.
    """
    fields = line.split()
    if len(fields) > dim + 1:
        return None
    if len(fields) <= dim:
        raise UserError(
            f"{name}, line {number}: {max(len(fields) - 1, 0)} numbers where {dim} are expected: "
            f"fetch the file again."
        )
    try:
        with np.errstate(over="ignore"):
            values = np.array(fields[1:], np.float32)
    except ValueError:
        values = np.full(dim, np.nan)
    if not np.isfinite(values).all():
        raise UserError(
            f"{name}, line {number}: not all of its {dim} numbers are finite numbers: fetch the "
            f"file again."
        )
    return values


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
