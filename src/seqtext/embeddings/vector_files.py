"""Files of word vectors, read as a stream: of all their rows only the wanted ones are parsed."""

import io
from collections.abc import Sequence
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtext.data.compression import open_file
from seqtext.embeddings.vector_binary import is_binary, read_binary_rows, refuse_other_formats
from seqtext.errors import UserError

BUFFER = 1 << 16  # bytes; Python's own readers of archives are slow at single lines
SAMPLE_SIZE = 10_000  # first words of a file, for messages
MAX_LINE_BYTES = 1 << 20  # bytes of the first two lines, which tell the format
MEMBERS = (".txt", ".vec", ".bin")  # of archives


class VectorRows(NamedTuple):
    """What a file has for the wanted words.

    vectors: [words, E] float32, zeros where there is none
    known: [words] bool
    sample: some words of the file as they are written there
    """

    vectors: np.ndarray
    known: np.ndarray
    sample: list[str]


def read_vector_file(path: Path, words: Sequence[str], dim: int) -> VectorRows:
    """Read vectors in GloVe's or word2vec's text format, or word2vec's binary one.

    .gz, .bz2, .xz and .zip files are read as they are. A line of text is a word and its numbers,
    between spaces or tabs, with or without a first line that counts words and numbers or names
    columns. Lines whose word has spaces are left out; of a repeated word the first one counts.

    Args:
        words: whose vectors are wanted, each once
        dim: E, numbers per word

    Raises:
        UserError: naming the file, and the line, if they are damaged, of another width or of
            another format.
    """
    row_of = {word.encode(): row for row, word in enumerate(words)}
    with open_file(path, lambda names: _select_member(names, path, dim)) as file:
        stream = io.BufferedReader(file, BUFFER)  # type: ignore[type-var]  # IO is less exact
        name = str(path)
        first = stream.readline(MAX_LINE_BYTES).removeprefix(b"\xef\xbb\xbf")
        refuse_other_formats(first, name)
        count, start = _read_header(first, name, dim)
        if start == 0:
            return _read_lines(chain([first], stream), name, row_of, dim, (None, 0))
        second = stream.readline(MAX_LINE_BYTES)
        if count is not None and is_binary(second):
            found = read_binary_rows(stream, second, name, row_of, (count, dim), SAMPLE_SIZE)
            return VectorRows(*found)
        lines = chain([second] if second else [], stream)
        return _read_lines(lines, name, row_of, dim, (count, start))


def read_wheel(table: Path, index: Path, words: Sequence[str], dim: int) -> VectorRows:
    """Read vectors of an installed package: an .npy table [n, E] and a .parquet of its n words.

    Args and returns as `read_vector_file`.

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
    return VectorRows(vectors, known, there[:SAMPLE_SIZE].to_pylist())


def _select_member(names: list[str], path: Path, dim: int) -> str:
    """Select the member with vectors of this width, or the only one that may hold vectors."""
    possible = [name for name in names if name.endswith(MEMBERS)]
    fitting = [name for name in possible if name.endswith(f".{dim}d.txt")] or possible
    if len(fitting) == 1:
        return fitting[0]
    if not possible:
        raise UserError(
            f"{path} holds no .txt, .vec or .bin file: give an archive of word vectors."
        )
    raise UserError(
        f"{path} does not hold exactly one file for embedding.dim={dim}: set embedding.dim to the "
        f"width of one of {', '.join(possible)}, or embedding.path to a file unpacked from it."
    )


def _read_lines(lines, name: str, row_of: dict, dim: int, header: tuple) -> VectorRows:
    """See `read_vector_file`.

    Args:
        lines: without a header
        header: how many words it announces, or None; and how many lines it took
    """
    count, start = header
    vectors, known = np.zeros((len(row_of), dim), np.float32), np.zeros(len(row_of), bool)
    sample: list[bytes] = []
    lines = iter(lines)
    number, line = start, next(lines, b"")
    separator = _find_separator(line, dim)
    lines = chain([line] if line else [], lines)
    for number, line in enumerate(lines, start + 1):
        word = line[: line.find(separator)]
        if number <= SAMPLE_SIZE:
            sample.append(word)
        row = row_of.get(word)
        if row is not None and not known[row]:
            values = _parse_numbers(line, name, number, dim)
            if values is not None:
                vectors[row], known[row] = values, True
    if count is not None and number - start < count:
        raise UserError(
            f"{name} ends with line {number}, {number - start} of the {count} words that its "
            f"first line announces: fetch it again."
        )
    if line.strip() and number > start:
        _parse_numbers(line, name, number, dim)  # where a file was cut off, whatever its last word
    return VectorRows(vectors, known, [word.decode(errors="replace") for word in sample])


def _find_separator(line: bytes, dim: int) -> bytes:
    """Return the separator of a word and its numbers: a tab or a space."""
    stripped = line.rstrip()
    word = stripped.rsplit(None, dim)[0] if stripped else b""
    return b"\t" if stripped[len(word) : len(word) + 1] == b"\t" else b" "


def _read_header(first: bytes, name: str, dim: int) -> tuple[int | None, int]:
    """Return the number of words in word2vec's header (or None) and its number of lines.

    A line of column names is a header that announces nothing.

    Raises:
        UserError: if the vectors are none, or have another width.
    """
    fields = first.split()
    count, lines, width = None, 0, len(fields) - 1
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
        count, lines, width = int(fields[0]), 1, int(fields[1])
    elif width == dim and b"\t" in first and not any(map(_is_number, fields[1:])):
        lines = 1
    elif width != dim:  # the word may have spaces
        width = sum(1 for _ in takewhile(_is_number, reversed(fields[1:])))
    if width < 1:
        raise UserError(
            f"{name}, line 1: a word and its numbers, between spaces or tabs, are expected, as in "
            f"GloVe's or word2vec's text format: give another file."
        )
    if width != dim:
        raise UserError(
            f"{name} has {width} numbers per word where embedding.dim={dim}: set "
            f"embedding.dim={width}, or give another file."
        )
    return count, lines


def _parse_numbers(line: bytes, name: str, number: int, dim: int) -> np.ndarray | None:
    """Parse the [E] numbers of a line; None if its word has spaces.

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
