"""Read word2vec's binary files: a line of counts, then words with float32 numbers."""

from collections.abc import Mapping
from typing import IO

import numpy as np

from seqtext.display import make_printable
from seqtext.embeddings.fasttext_binary import MAGIC as FASTTEXT
from seqtext.errors import UserError

BLOCK_BYTES = 1 << 20  # bytes read at once
MAX_WORD_BYTES = 1 << 16  # bytes
MAGIC = {  # first bytes: description of the format
    FASTTEXT: "a compressed fastText model: unpack it",
    b"\x80": "a Python pickle (gensim's?), which is not read: save it in word2vec's format",
    b"\x93NUMPY": "a NumPy array: let its name end in .npy, with its words in a file beside it",
    b"PAR1": "a Parquet file: give word vectors as text",
    b"\x89HDF": "an HDF5 file: give word vectors as text",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"\x1f\x8b": "compressed by gzip: let its name end in .gz",
    b"PK\x03\x04": "a zip archive: let its name end in .zip",
    b"BZh": "compressed by bzip2: let its name end in .bz2",
}


def refuse_other_formats(first: bytes, name: str) -> None:
    """Refuse files that are neither text nor in word2vec's binary format.

    Args:
        first: first line of the file

    Raises:
        UserError: if the format is not supported; it is named if it has known first bytes.
    """
    for magic, what in MAGIC.items():
        if first.startswith(magic) and not _is_text(first):
            raise UserError(f"{name} is {what}.")
    if b"\0" in first:
        raise UserError(
            f"{name} is neither text nor a binary file of word2vec: give word vectors in one of "
            f"these formats."
        )


def is_binary(line: bytes) -> bool:
    """Return whether the bytes after the header, up to a line end, are not a line of text.

    In a text file the word may contain any bytes, but the line ends in a number.
    """
    try:
        float(line.split()[-1])
    except (ValueError, IndexError):
        return not _is_text(line)
    return False


def read_binary_rows(
    stream: IO[bytes],
    begun: bytes,
    name: str,
    row_of: Mapping[bytes, int],
    shape: tuple[int, int],
    sampled: int,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read the vectors of wanted words after the header.

    Args:
        stream: stream of the file
        begun: bytes already read after the header
        name: name of the file for messages
        row_of: wanted words and their rows in the result
        shape: N, E: number of words in the file, dimension of the vectors
        sampled: number of the file's first words to return

    Returns:
        vectors: [wanted, E] float32, zeros for missing words
        known: [wanted] bool, whether a word was found
        sample: first words of the file

    Raises:
        UserError: if the file is truncated, or a number of a wanted word is not finite.
    """
    count, dim = shape
    vectors, known = np.zeros((len(row_of), dim), np.float32), np.zeros(len(row_of), bool)
    buffer, at, sample = begun, 0, []
    for number in range(count):
        space = buffer.find(b" ", at)
        while space < 0 or len(buffer) < space + 1 + 4 * dim:
            block = stream.read(BLOCK_BYTES)
            if not block or (space < 0 and len(buffer) - at > MAX_WORD_BYTES):
                raise UserError(
                    f"{name} ends with word {number} of the {count} that its first line "
                    f"announces, or is damaged: fetch it again."
                )
            buffer, at = buffer[at:] + block, 0
            space = buffer.find(b" ")
        word, at = buffer[at:space].lstrip(b"\n"), space + 1 + 4 * dim
        if number < sampled:
            sample.append(word.decode(errors="replace"))
        row = row_of.get(word)
        if row is not None and not known[row]:
            values = np.frombuffer(buffer, "<f4", dim, space + 1)
            if not np.isfinite(values).all():
                raise UserError(
                    f"{name}, word {number + 1} ({make_printable(repr(word.decode()))}): not all "
                    f"of its {dim} numbers are finite: fetch the file again."
                )
            vectors[row], known[row] = values, True
    return vectors, known, sample


def _is_text(line: bytes) -> bool:
    """Return whether a line is printable ASCII: GloVe has words such as PAR1."""
    return all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in line)
