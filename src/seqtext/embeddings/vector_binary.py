"""word2vec's binary files: a line with the counts, then words and their float32 numbers."""

from collections.abc import Mapping
from typing import IO

import numpy as np

from seqtext.display import make_printable
from seqtext.errors import UserError

BLOCK = 1 << 20  # bytes that are read at once
MAX_WORD_BYTES = 1 << 16  # bytes
FASTTEXT = (793_712_314).to_bytes(4, "little")
MAGIC = {  # first bytes → what has them
    FASTTEXT: "a fastText model: give its .vec file, which has the words' vectors as text",
    b"\x80": "a Python pickle (gensim's?), which is not read: save it in word2vec's format",
    b"\x93NUMPY": "a NumPy array, which holds no words: give a file with words and vectors",
    b"PAR1": "a Parquet file: give word vectors as text",
    b"\x89HDF": "an HDF5 file: give word vectors as text",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"\x1f\x8b": "compressed by gzip: let its name end in .gz",
    b"PK\x03\x04": "a zip archive: let its name end in .zip",
    b"BZh": "compressed by bzip2: let its name end in .bz2",
}


def refuse_other_formats(first: bytes, name: str) -> None:
    """Refuse files that hold no vectors as text or in word2vec's binary format.

    Args:
        first: line

    Raises:
        UserError: saying what the file is, where its first bytes tell.
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
    """Tell whether what follows the header, up to the next line end, is no line of text.

    A text's word may hold any bytes, but its line ends in a number.
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
    """Read the wanted rows of what follows the header.

    Args:
        stream: of the file
        begun: what was read of it after the header
        name: of the file, for messages
        row_of: wanted words → their rows
        shape: N, E: words in the file, numbers per word
        sampled: how many of its first words to return

    Returns:
        vectors: [wanted, E] float32, zeros where there is none
        known: [wanted] bool
        sample: the file's first words

    Raises:
        UserError: if the file ends before the last word, or a wanted number is not finite.
    """
    count, dim = shape
    vectors, known = np.zeros((len(row_of), dim), np.float32), np.zeros(len(row_of), bool)
    buffer, at, sample = begun, 0, []
    for number in range(count):
        space = buffer.find(b" ", at)
        while space < 0 or len(buffer) < space + 1 + 4 * dim:
            block = stream.read(BLOCK)
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
    """Return whether all of a line is printable ASCII: GloVe has words such as PAR1."""
    return all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in line)
