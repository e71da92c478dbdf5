"""Read fastText's own model files: words, and vectors of words and of their character n-grams.

The matrix is mapped, and only the rows of wanted words are read. gensim's `load_facebook_vectors`
composes the vectors of all words: with 200,000 words and 2,000,000 n-grams of 100 numbers, 20,000
words are read in 0.9 s here and in 25 s there, with half of the memory.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, NamedTuple

import numpy as np

from seqtext.data.compression import find_compression
from seqtext.errors import UserError

MAGIC = struct.pack("<i", 793_712_314)  # first bytes of the format
HEADER = struct.Struct("<2i12id3iqq")  # magic, version, options, sizes
SUPERVISED, VERSIONS = 3, (11, 12)
ENTRY = struct.Struct("<qb")  # count and type (0: word, 1: label), after a word and a zero byte
MATRIX = struct.Struct("<?qq")  # whether it is quantized, rows, columns
LINE_END = "</s>"  # a word without n-grams
BEGIN, END = "<", ">"  # of a word, so that prefixes and suffixes differ from other n-grams
FNV_BASIS, FNV_PRIME = np.uint32(2_166_136_261), np.uint32(16_777_619)
MAX_ORDER = 100  # characters of an n-gram; more are of a damaged file
BLOCK_WORDS = 2_000  # words composed together


class _Header(NamedTuple):
    """Hold what determines the layout of a model file."""

    dim: int
    bucket: int
    min_n: int
    max_n: int
    size: int  # words and labels
    words: int
    pruned: int  # entries of the index of a pruned model; -1: none


def is_fasttext_model(path: Path) -> bool:
    """Return whether a file, not compressed, begins as fastText's own models do."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def read_fasttext_dimension(path: Path) -> int:
    """Return E, the dimension of the vectors.

    Raises:
        UserError: as `read_fasttext`.
    """
    with path.open("rb") as stream:
        return _unpack_header(stream.read(HEADER.size), str(path)).dim


def read_fasttext(
    path: Path, words: Sequence[str], dim: int, sampled: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read the vectors of words, known to the model or not (Bojanowski et al., 2017).

    The vector of a word is the mean of the vectors of its character n-grams, and of its own if the
    model knows it. Only a word without n-grams that the model does not know has no vector.

    Args:
        words: distinct words
        dim: E, dimension of the vectors
        sampled: number of the file's first words to return

    Returns:
        vectors: [words, E] float32, zeros for missing words
        known: [words] bool, whether a word has a vector
        sample: first words of the file

    Raises:
        UserError: if the file is compressed, damaged, or of another dimension or kind.
    """
    name = str(path)
    if find_compression(path):
        raise UserError(f"{name} is a compressed fastText model: unpack it.")
    with path.open("rb") as stream:
        header = _unpack_header(stream.read(HEADER.size), name)
        if header.dim != dim:
            raise UserError(
                f"{name} has {header.dim} numbers per word where embedding.dim={dim}: set "
                f"embedding.dim={header.dim}, or give another file."
            )
        rows, sample = _read_words(stream, header, set(words), name, sampled)
        matrix = _map_matrix(stream, header, path)
    orders = header.min_n, header.max_n
    vectors, known = compose_vectors(words, matrix, orders, rows, header.words)
    if not np.isfinite(vectors).all():
        raise UserError(f"{name} holds numbers that are not finite: fetch the file again.")
    return vectors, known, sample


def compose_vectors(
    words: Sequence[str],
    matrix: np.ndarray,
    orders: tuple[int, int],
    rows: Mapping[str, int] = MappingProxyType({}),
    first: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each word's own vector, if it has one, and those of its n-grams.

    Args:
        matrix: [first + buckets, E] float32 vectors of words, then of n-grams
        orders: number of characters of the shortest and of the longest n-grams
        rows: rows of words that have a vector of their own
        first: row of the first n-gram

    Returns:
        vectors: [words, E] float32, zeros for a word with neither
        known: [words] bool, whether a word has a vector
    """
    vectors = np.zeros((len(words), matrix.shape[1]), np.float32)
    known = np.zeros(len(words), bool)
    for start in range(0, len(words), BLOCK_WORDS):
        block = words[start : start + BLOCK_WORDS]
        spelled = ["" if word == LINE_END else word for word in block]
        numbers, hashes = hash_ngrams(spelled, *orders, max(len(matrix) - first, 1))
        keep = np.array([bool(word) for word in spelled], bool)[numbers]
        own = np.array([rows.get(word, -1) for word in block], np.int64)
        listed = np.flatnonzero(own >= 0)
        numbers = np.concatenate([listed, numbers[keep]])
        places = np.concatenate([own[listed], first + hashes[keep]])
        counts = np.bincount(numbers, minlength=len(block))
        there = counts > 0
        known[start : start + len(block)] = there
        if there.any():
            order = np.argsort(numbers, kind="stable")
            starts = (np.cumsum(counts) - counts)[there]
            sums = np.add.reduceat(matrix[places[order]], starts)
            vectors[start : start + len(block)][there] = sums / counts[there, None]
    return vectors, known


def hash_ngrams(
    words: Sequence[str], min_n: int, max_n: int, buckets: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hash the character n-grams of "<word>" as fastText does: FNV-1a of signed UTF-8 bytes.

    Args:
        min_n, max_n: number of characters of the shortest and of the longest n-grams
        buckets: number of different hash values

    Returns:
        word_numbers: [n-grams] index of the word of each n-gram
        hashes: [n-grams] int64 from 0 to `buckets` - 1
    """
    joined = "".join(f"{BEGIN}{word}{END}" for word in words)
    lengths = np.array([len(word) + 2 for word in words], np.int64)  # characters
    data = np.frombuffer(joined.encode("utf-8", "surrogatepass"), np.int8)
    signed = data.astype(np.int32).view(np.uint32)
    starts = np.flatnonzero((data.view(np.uint8) & 0xC0) != 0x80)  # first byte of each character
    bounds = np.append(starts, len(data))
    word_of = np.repeat(np.arange(len(words)), lengths)
    last = np.repeat(np.cumsum(lengths), lengths)  # end of each character's word
    first = last - np.repeat(lengths, lengths)
    places = np.arange(len(starts))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for n in range(max(min_n, 1), max_n + 1):
        is_ngram = places + n <= last
        if n == 1:  # the marks alone are no n-grams
            is_ngram &= (places > first) & (places + 1 < last)
        at = places[is_ngram]
        begin, stop = bounds[at], bounds[at + n]
        state = np.full(len(at), FNV_BASIS)
        for offset in range(int((stop - begin).max(initial=0))):
            inside = begin + offset < stop
            state[inside] = (state[inside] ^ signed[(begin + offset)[inside]]) * FNV_PRIME
        found.append((word_of[at], state.astype(np.int64) % buckets))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    numbers, hashes = (np.concatenate(each) for each in zip(*found, strict=True))
    return numbers, hashes


def _unpack_header(first: bytes, name: str) -> _Header:
    try:
        values = HEADER.unpack_from(first)
    except struct.error as error:
        raise _build_damaged_error(name) from error
    version, dim, bucket, size, words, labels = (values[n] for n in (1, 2, 10, 15, 16, 17))
    min_n, max_n = values[11:13]
    if version not in VERSIONS:
        raise UserError(f"{name} is a fastText model of the unknown version {version}.")
    if version == 11 and values[9] == SUPERVISED:
        max_n = 0  # of that version's models of texts, whatever the file says
    is_valid = dim > 0 and bucket >= 0 and min_n >= 0 and max_n <= MAX_ORDER
    if not is_valid or not 0 <= words <= size or size != words + labels:
        raise _build_damaged_error(name)
    return _Header(dim, bucket, min_n, max_n if bucket else 0, size, words, values[19])


def _read_words(
    stream: IO[bytes], header: _Header, wanted: set[str], name: str, sampled: int
) -> tuple[dict[str, int], list[str]]:
    """Read the words after the header; return the rows of the wanted ones, and the first words."""
    if header.pruned > 0:
        raise UserError(
            f"{name} is a pruned fastText model, which is not read: give its .vec file."
        )
    buffer, at = b"", 0
    rows: dict[str, int] = {}
    sample: list[str] = []
    for number in range(header.size):
        end = buffer.find(b"\0", at)
        while end < 0 or len(buffer) < end + 1 + ENTRY.size:
            block = stream.read(1 << 20)
            if not block or (end < 0 and len(buffer) - at > 1 << 20):
                raise _build_damaged_error(name)
            buffer, at = buffer[at:] + block, 0
            end = buffer.find(b"\0")
        word = buffer[at:end].decode(errors="replace")
        at = end + 1 + ENTRY.size
        if number < header.words:
            if word in wanted:
                rows.setdefault(word, number)
            if number < sampled:
                sample.append(word)
    stream.seek(at - len(buffer), 1)
    return rows, sample


def _map_matrix(stream: IO[bytes], header: _Header, path: Path) -> np.ndarray:
    """Map the matrix of vectors of words and n-grams: [words + buckets, E] float32."""
    content = stream.read(MATRIX.size)
    if len(content) < MATRIX.size:
        raise _build_damaged_error(str(path))
    is_quantized, count, dim = MATRIX.unpack(content)
    if is_quantized:
        raise UserError(f"{path} is a quantized fastText model: give its .bin or .vec file.")
    begin = stream.tell()
    fits = dim == header.dim and count == header.words + header.bucket
    if not fits or path.stat().st_size < begin + 4 * count * dim:
        raise _build_damaged_error(str(path))
    return np.memmap(path, "<f4", mode="r", offset=begin, shape=(count, dim))


def _build_damaged_error(name: str) -> UserError:
    return UserError(f"{name} is no fastText model, or is damaged: fetch it again.")
