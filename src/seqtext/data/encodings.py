"""Read text files in any encoding, with or without a byte order mark."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seqtext.data.compression import open_file
from seqtext.errors import UserError

BYTE_ORDER_MARK = "\ufeff"
BOM_ENCODINGS = {  # UTF-32 first: its mark starts with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
ENCODINGS_WITHOUT_BOM = {
    "utf-16": "utf-16-le",
    "utf-32": "utf-32-le",
}  # byte order of a file without a mark
NO_FILE_ENCODINGS = ("idna", "punycode", "undefined")  # registered in Python, but not for files
CHUNK_BYTES = 1 << 18  # bytes decoded at once


def normalize_encoding(encoding: str, option: str = "dataset.encoding") -> str:
    """Return the canonical name of an encoding.

    Raises:
        UserError: if there is no such text encoding.
    """
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError):  # ValueError: a name with a null character
        found = None
    is_text = getattr(found, "_is_text_encoding", True)
    if found is None or not is_text or found.name in NO_FILE_ENCODINGS:
        what = "is no encoding of text" if found else "there is no such encoding"
        shown = encoding if encoding.isprintable() else ascii(encoding)
        raise UserError(f"{option}={shown}: {what}; try utf-8 or cp1252.")
    return found.name


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a plain or compressed text file; line ends are kept, a byte order mark is removed.

    If UTF-8 is expected, a file with the mark of UTF-16 or UTF-32 is decoded accordingly.

    Raises:
        UserError: when opening or reading, if the file is damaged or not in this encoding.
    """
    try:
        with open_file(path) as stream:
            text = io.TextIOWrapper(stream, _detect_encoding(stream, encoding), newline="")
            # Reads lines of compressed files a third faster; the attribute is CPython's own.
            text._CHUNK_SIZE = CHUNK_BYTES  # type: ignore[attr-defined]
            yield text
    except UnicodeDecodeError as error:
        raise build_decoding_error(path, encoding) from error
    except UnicodeEncodeError:  # not caused by this file's bytes
        raise
    except UnicodeError as error:
        raise build_decoding_error(path, encoding) from error


def read_lines_of_text(stream: io.TextIOWrapper) -> Iterator[str]:
    """Yield lines with their line ends; a byte order mark in the first line is removed."""
    first = True
    for line in stream:
        yield line.removeprefix(BYTE_ORDER_MARK) if first else line
        first = False


def build_decoding_error(path: Path, encoding: str) -> UserError:
    """Build the error for a file that is not text in this encoding, with the line number."""
    with open_file(path) as stream:
        used = _detect_encoding(stream, encoding)
        number = _find_undecodable_line(stream, used)
    place = f", line {number}," if number else ""
    return UserError(
        f"{path}{place} is not {encoding} text: save it as UTF-8, or name its encoding."
    )


def _find_undecodable_line(stream: IO[bytes], encoding: str) -> int | None:
    """Return the number of the line with the first bytes that cannot be decoded."""
    decoder, lines, last = codecs.getincrementaldecoder(encoding)(), 1, ""
    while True:
        content = stream.read(CHUNK_BYTES)
        try:
            text = decoder.decode(content, final=not content)
        except UnicodeDecodeError as error:
            text = error.object[: error.start].decode(encoding, "ignore")
            return lines + _count_line_ends(text, last)
        except UnicodeError:
            return lines
        if not content:
            return None
        lines += _count_line_ends(text, last)
        last = text[-1:] or last


def _count_line_ends(text: str, before: str) -> int:
    pairs = text.count("\r\n") + (before == "\r" and text.startswith("\n"))
    return text.count("\n") + text.count("\r") - pairs


def _detect_encoding(stream: IO[bytes], encoding: str) -> str:
    """Return the encoding to decode with; the stream's position does not change."""
    # All that `open_file` opens can peek, although not all of its types declare it.
    start = stream.peek(4)[:4]  # type: ignore[attr-defined]
    marked = next((name for mark, name in BOM_ENCODINGS.items() if start.startswith(mark)), None)
    if encoding in ENCODINGS_WITHOUT_BOM and marked is None:
        return ENCODINGS_WITHOUT_BOM[encoding]
    return marked if marked and encoding == "utf-8" else encoding
