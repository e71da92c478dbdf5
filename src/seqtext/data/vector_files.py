"""Files of word vectors, read as a stream: of all their rows only the wanted ones are parsed."""

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, takewhile
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtext.options import UserError

OPENERS = {".gz": gzip.open, ".bz2": bz2.open}
BUFFER = 1 << 16  # bytes; Python's own readers of archives are slow at single lines
DAMAGE = (EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)


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
    try:
        with _opened(path, dim) as (stream, name):
            return _rows(stream, name, words, dim)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno:  # no damage: no permission, no disk
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be unpacked ({reason}): fetch it again.") from error


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


@contextmanager
def _opened(path: Path, dim: int) -> Iterator[tuple[IO[bytes], str]]:
    """The stream of a file, or of its one fitting member, and what to call it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            member = _member(archive, path, dim)
            with archive.open(member) as stream:
                yield io.BufferedReader(stream, BUFFER), f"{path}, {member}"
    else:
        with OPENERS.get(path.suffix, open)(path, "rb") as stream:
            yield io.BufferedReader(stream, BUFFER), str(path)


def _member(archive: zipfile.ZipFile, path: Path, dim: int) -> str:
    """The text file with vectors of this width, or the only text file."""
    names = [name for name in archive.namelist() if not name.startswith("__MACOSX")]
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UserError(f"{path} has a member {name} that points out of it: fetch it again.")
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
