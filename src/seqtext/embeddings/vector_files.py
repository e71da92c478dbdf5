"""Read files of word vectors as streams and parse only the rows of wanted words."""

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
from seqtext.embeddings.fasttext_binary import (
    is_fasttext_model,
    read_fasttext,
    read_fasttext_dimension,
)
from seqtext.embeddings.vector_arrays import is_array_file, read_array_dimension, read_array_file
from seqtext.embeddings.vector_binary import is_binary, read_binary_rows, refuse_other_formats
from seqtext.errors import UserError, format_value

BUFFER = 1 << 16  # bytes; Python's archive readers are slow for single lines
SAMPLE_WORDS = 10_000  # number of a file's first words kept for messages
MAX_DIM = 100_000  # numbers of a vector
MAX_LINE_BYTES = 1 << 20  # bytes of the first two lines, which determine the format
MEMBERS = (".txt", ".vec", ".bin")  # of archives


class VectorRows(NamedTuple):
    """Hold the vectors of the wanted words in a file.

    vectors: [words, E] float32, zeros for missing words
    known: [words] bool, whether a word was found
    sample: some words of the file, in its spelling
    """

    vectors: np.ndarray
    known: np.ndarray
    sample: list[str]


def read_vector_file(path: Path, words: Sequence[str], dim: int) -> VectorRows:
    """Read vectors in one of these formats: GloVe's or word2vec's text, binary files of word2vec or
    fastText, or an array beside its words (see `read_array_file`).

    .gz, .bz2, .xz and .zip files of text or of word2vec are read without unpacking. A text line
    contains a word and its numbers, separated by spaces or tabs. The first line may contain the
    numbers of words and dimensions, or column names. Lines whose word has spaces are skipped; of a
    repeated word the first line is used.

    Args:
        words: distinct words to read
        dim: E, dimension of the vectors

    Raises:
        UserError: if the file is damaged, or has another dimension or format; the message names the
            file and the line.
    """
    if is_array_file(path):
        return VectorRows(*read_array_file(path, words, dim, SAMPLE_WORDS))
    if is_fasttext_model(path):
        return VectorRows(*read_fasttext(path, words, dim, SAMPLE_WORDS))
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
            found = read_binary_rows(stream, second, name, row_of, (count, dim), SAMPLE_WORDS)
            return VectorRows(*found)
        lines = chain([second] if second else [], stream)
        return _read_lines(lines, name, row_of, dim, (count, start))


def read_dimension(path: Path) -> int:
    """Return E, the dimension of the vectors in a file of any format of `read_vector_file`.

    Raises:
        UserError: if the file is damaged, of an unknown format, or an archive of several files, or
            if E is more than `MAX_DIM`.
    """
    dim = _find_dimension(path)
    if dim > MAX_DIM:
        raise UserError(
            f"{path} has {dim:,} numbers per word where at most {MAX_DIM:,} are possible: is its "
            f"first line damaged? Give another file."
        )
    return dim


def _find_dimension(path: Path) -> int:
    name = str(path)
    if is_array_file(path):
        return read_array_dimension(path)
    if is_fasttext_model(path):
        return read_fasttext_dimension(path)
    with open_file(path, lambda names: _select_member(names, path, None)) as file:
        stream = io.BufferedReader(file, BUFFER)  # type: ignore[type-var]  # IO is less exact
        lines = [stream.readline(MAX_LINE_BYTES) for _ in range(2)]
    first = lines[0].removeprefix(b"\xef\xbb\xbf")
    refuse_other_formats(first, name)
    fields = first.split()
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
        width = int(fields[1])
    else:  # the first line may have column names, and a word may have spaces or be a number
        width = max(_count_numbers(line) for line in lines)
        if len(lines[1].split()) > 1:
            width = min(width, *(len(line.split()) - 1 for line in lines))
    if width < 1:
        raise _build_no_vectors_error(name)
    return width


def read_wheel(table: Path, index: Path, words: Sequence[str], dim: int) -> VectorRows:
    """Read vectors of an installed package: an .npy array [n, E] and a .parquet file of n words.

    Arguments and result are those of `read_vector_file`.

    Raises:
        UserError: if the two files do not match.
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
    return VectorRows(vectors, known, there[:SAMPLE_WORDS].to_pylist())


def _select_member(names: list[str], path: Path, dim: int | None) -> str:
    """Select the member with vectors of this dimension, or the only one with vectors."""
    possible = [name for name in names if name.endswith(MEMBERS)]
    fitting = [name for name in possible if name.endswith(f".{dim}d.txt")] or possible
    if len(fitting) == 1:
        return fitting[0]
    if not possible:
        raise UserError(
            f"{path} holds no .txt, .vec or .bin file: give an archive of word vectors."
        )
    raise UserError(
        f"{path} does not hold exactly one file for embedding.dim={format_value(dim)}: set "
        f"embedding.dim to the width of one of {', '.join(possible)}, or embedding.path to a file "
        f"unpacked from it."
    )


def _read_lines(lines, name: str, row_of: dict, dim: int, header: tuple) -> VectorRows:
    """Read vectors from text lines, see `read_vector_file`.

    Args:
        lines: lines after the header
        header: number of words in the header, or None; and number of its lines
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
        if number <= SAMPLE_WORDS:
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
        _parse_numbers(line, name, number, dim)  # always checks the last line, to detect truncation
    return VectorRows(vectors, known, [word.decode(errors="replace") for word in sample])


def _find_separator(line: bytes, dim: int) -> bytes:
    """Return the separator of a line's fields, a tab or a space."""
    stripped = line.rstrip()
    word = stripped.rsplit(None, dim)[0] if stripped else b""
    return b"\t" if stripped[len(word) : len(word) + 1] == b"\t" else b" "


def _read_header(first: bytes, name: str, dim: int) -> tuple[int | None, int]:
    """Return the number of words in word2vec's header (or None) and its number of lines.

    A line of column names is a header without the number of words.

    Raises:
        UserError: if the file has no vectors, or vectors of another dimension.
    """
    fields = first.split()
    count, lines, width = None, 0, len(fields) - 1
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
        count, lines, width = int(fields[0]), 1, int(fields[1])
    elif width == dim and b"\t" in first and not any(map(_is_number, fields[1:])):
        lines = 1
    elif width != dim:  # the word may have spaces
        width = _count_numbers(first)
    if width < 1:
        raise _build_no_vectors_error(name)
    if width != dim:
        raise UserError(
            f"{name} has {width} numbers per word where embedding.dim={dim}: set "
            f"embedding.dim={width}, or give another file."
        )
    return count, lines


def _count_numbers(line: bytes) -> int:
    """Count the numbers at the end of a line, without its first field."""
    return sum(1 for _ in takewhile(_is_number, reversed(line.split()[1:])))


def _build_no_vectors_error(name: str) -> UserError:
    return UserError(
        f"{name}, line 1: a word and its numbers, between spaces or tabs, are expected, as in "
        f"GloVe's or word2vec's text format: give another file."
    )


def _parse_numbers(line: bytes, name: str, number: int, dim: int) -> np.ndarray | None:
    """Parse the [E] numbers of a line; return None if its word has spaces.

    Raises:
        UserError: if numbers are missing, invalid or not finite.
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
