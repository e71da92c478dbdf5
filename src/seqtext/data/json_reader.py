"""Read JSON Lines (one object per line) and JSON arrays of objects."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from seqtext.data import formats
from seqtext.data.encodings import BYTE_ORDER_MARK, open_text, read_lines_of_text
from seqtext.errors import UserError

Record = tuple[str, dict[str, Any]]  # description of the place in the file, object
CHARACTERS = 1 << 16  # characters of an array read at once
SPACE = " \t\r\n"


def iter_json_blocks(path: Path, encoding: str) -> Iterator[list[Record]]:
    """Yield the objects of a JSON Lines file, or of a JSON array, in blocks.

    Raises:
        UserError: if the file is damaged, in another encoding, or has a line or an array item that
            is not a JSON object.
    """
    with open_text(path, encoding) as stream:
        start = stream.read(CHARACTERS).removeprefix(BYTE_ORDER_MARK)
        if is_array(start):
            further = iter(lambda: stream.read(CHARACTERS), "")
            yield from _iter_in_blocks(read_array(chain([start], further), path))
            return
    with open_text(path, encoding) as stream:
        yield from _iter_in_blocks(read_objects(read_lines_of_text(stream), path))


def read_names(path: Path, encoding: str) -> list[str]:
    """Return the keys of all objects of a file, in the order of the objects' keys."""
    names: list[str] = []
    known: set[str] = set()
    for block in iter_json_blocks(path, encoding):
        for _, record in block:
            if not record.keys() <= known:
                merge_names(names, known, list(record))
    return names


def merge_names(names: list[str], known: set[str], further: list[str]) -> None:
    """Insert new names into `names` and `known`, each before its successor in `further`."""
    for name, later in zip(reversed(further), [None, *reversed(further)], strict=False):
        if name not in known:  # `later` is known: names are added from the last
            names.insert(len(names) if later is None else names.index(later), name)
            known.add(name)


def is_array(start: str) -> bool:
    """Return whether a file with this start is an array of objects."""
    start = start.strip(SPACE)
    return start.startswith("[") and start[1:].lstrip(SPACE)[:1] in ("", "{", "]")


def read_objects(lines: Iterable[str], path: Path) -> Iterator[Record]:
    """Yield the objects of JSON Lines; empty lines are skipped."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{path}, line {number}"
            yield place, _parse_object(line, place)


def read_array(parts: Iterable[str], path: Path) -> Iterator[Record]:
    """Yield the objects of a JSON array read in parts, with few objects in memory at a time."""
    text = _JsonStream(parts)
    text.skip("[")
    number = 0
    while text.next_character() != "]":
        number += 1
        place = f"{path}, row {number}"
        if text.next_character() != "{":
            shown = ascii(text.rest[text.position :][:50])
            raise UserError(f"{place}: {shown} is no JSON object with columns: fix it.")
        yield place, text.read_object(place)
        if text.next_character() not in (",", "]"):
            raise UserError(f"{place}: no comma and no ] follows: is the file cut off?")
        if text.next_character() == ",":
            text.skip(",")
            if text.next_character() == "]":
                raise UserError(f"{place}: a comma follows, and no object: drop it.")
    text.skip("]")
    if text.next_character():
        raise UserError(f"{path}: more follows the end of the array: give one array.")


class _JsonStream:
    """Reads JSON objects from a text in parts, one at a time."""

    def __init__(self, parts: Iterable[str]):
        self.parts, self.rest, self.position = iter(parts), "", 0

    def next_character(self) -> str:
        """Return the next character other than white space; an empty string at the end."""
        while True:
            while self.position < len(self.rest) and self.rest[self.position] in SPACE:
                self.position += 1
            if self.position < len(self.rest):
                return self.rest[self.position]
            if not self._read(1):
                return ""

    def skip(self, character: str) -> None:
        """Skip the next character, which must be `character`."""
        assert self.next_character() == character
        self.position += 1

    def read_object(self, place: str) -> dict[str, Any]:
        """Read the object that starts here."""
        count = 1
        while True:
            try:
                value, self.position = json.JSONDecoder().raw_decode(self.rest, self.position)
                return value
            except json.JSONDecodeError as error:
                if not self._read(count):
                    raise _build_no_object_error(place, error.msg) from error
                count *= 2  # bounds the attempts to parse a malformed object
            except (ValueError, RecursionError) as error:
                raise _build_no_object_error(place, error) from error

    def _read(self, count: int) -> bool:
        """Read more parts; return False at the end."""
        further = list(islice(self.parts, count))
        self.rest = "".join([self.rest[self.position :], *further])
        self.position = 0
        return bool(further)


def _iter_in_blocks(records: Iterator[Record]) -> Iterator[list[Record]]:
    while block := list(islice(records, formats.BLOCK_ROWS)):
        yield block


def _parse_object(line: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{place}: no JSON object ({_describe_reason(error)}): JSON Lines has one a line, and "
            f"a JSON array holds objects: [{{…}}, {{…}}]."
        ) from error
    if not isinstance(record, dict):
        raise UserError(f"{place}: {str(record)[:50]} is no JSON object with columns.")
    return record


def _build_no_object_error(place: str, error: Exception | str) -> UserError:
    return UserError(f"{place}: no JSON object ({_describe_reason(error)}): fix it.")


def _describe_reason(error: Exception | str) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
