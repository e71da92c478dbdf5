"""Files of rows as they are, all columns, in blocks: CSV, JSON Lines, Parquet."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtext.data.archives import inner_name, open_file
from seqtext.options import UserError

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 20_000  # rows
SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
Column = str | int  # name, or number from 0


def kind_of(path: Path, separator: str | None = None) -> str:
    """The suffix that says the format of a file, beneath compression.

    Args:
        separator: of a CSV file, whatever its name ends in

    Raises:
        UserError: if the format is not known.
    """
    suffix = Path(inner_name(path)).suffix.lower()
    if separator or suffix in (*SEPARATORS, *JSON_LINES, *PARQUET):
        return suffix
    known = ", ".join((*SEPARATORS, *JSON_LINES, *PARQUET))
    raise UserError(f"{path} must end in one of {known} (and .gz, .bz2, .xz or .zip): rename it.")


def csv_names(
    path: Path, header: bool = True, separator: str = ",", encoding: str = "utf-8"
) -> list[str] | list[int]:
    """The columns' names; without a header their numbers.

    Raises:
        UserError: as `read_table`.
    """
    with _told_as_csv(path, header, encoding), open_file(path) as stream:
        first = _first_row(stream, separator, encoding)
        return first if header else list(range(len(first)))


def csv_blocks(
    path: Path, header: bool = True, separator: str = ",", encoding: str = "utf-8"
) -> Iterator["pd.DataFrame"]:
    """All columns of a CSV file as strings, numbered (names may come twice); at least one block.

    Raises:
        UserError: as `read_table`.
    """
    import pandas as pd

    with _told_as_csv(path, header, encoding), open_file(path) as stream:
        blocks = pd.read_csv(
            stream,
            sep=separator,
            header=None,
            dtype=str,
            na_filter=False,
            encoding=encoding,
            chunksize=BLOCK,
        )
        yield next(blocks)[int(header) :]
        yield from blocks


def json_blocks(path: Path, encoding: str) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The objects of a JSON Lines file in blocks, each with its place in words.

    Raises:
        UserError: as `read_table`.
    """
    with open_file(path) as stream:
        records = (
            (place, _json_record(line, place, encoding))
            for number, line in enumerate(stream, 1)
            if line.strip()
            for place in [f"{path}, line {number}"]
        )
        while block := list(islice(records, BLOCK)):
            yield block


def parquet_blocks(path: Path, columns: Sequence[Column] | None = None) -> Iterator[pa.Table]:
    """These columns of a Parquet file, or all, as they are; there is at least one block.

    Raises:
        UserError: as `read_table`.
    """
    try:
        with open_file(path) as stream:
            seekable = stream if path.suffix.lower() in PARQUET else io.BytesIO(stream.read())
            file = pq.ParquetFile(seekable)
            names = file.schema_arrow.names
            wanted = columns and [names[position_of(column, names, path)] for column in columns]
            empty = file.schema_arrow.empty_table()
            if not file.metadata.num_rows:
                yield empty.select(wanted) if wanted else empty
            for batch in file.iter_batches(BLOCK, columns=wanted):
                table = pa.Table.from_batches([batch])
                yield table.select(wanted) if wanted else table
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _unreadable(path, error) from error


def position_of(column: Column, names: Sequence[Column], path: Path) -> int:
    """Where a column stands among those of a file.

    Raises:
        UserError: if it is not there, or more than once.
    """
    if isinstance(column, int):
        if not -len(names) <= column < len(names):
            last = len(names) - 1
            raise UserError(f"{path} has no column {column}: its columns are 0 to {last}.")

        return column % len(names)
    found = [position for position, name in enumerate(names) if name == column]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{path} has several columns {column!r}: rename or drop all but one.")
    if names[0] == 0:
        raise UserError(f"{path} is read without a header: give {column!r} as a number from 0.")
    there = ", ".join(repr(name) for name in names)
    if len(names) == 1:
        raise UserError(f"{path} has the one column {there[:500]}: is there another separator?")
    raise UserError(f"{path} has no column {column!r}: name one of its columns {there[:500]}.")


def strings(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """A Parquet column as strings, null as the empty one.

    Raises:
        UserError: if its values have no such form.
    """
    try:
        return pc.fill_null(pc.cast(column, pa.string()), "")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _unreadable(path, error) from error


def known_encoding(encoding: str) -> str:
    """Its usual name.

    Raises:
        UserError: if there is no such encoding.
    """
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise UserError(
            f"dataset.encoding={encoding}: there is no such encoding; try utf-8 or cp1252."
        ) from error


def undecodable(path: Path, encoding: str) -> UserError:
    """The error for a file that is no text of this encoding, naming the line."""
    with open_file(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode(encoding)
            except UnicodeError:
                place = f", line {number},"
                break
        else:
            place = ""
    return UserError(
        f"{path}{place} is not {encoding} text: save it as UTF-8, or name its encoding."
    )


@contextmanager
def _told_as_csv(path: Path, header: bool, encoding: str) -> Iterator[None]:
    import pandas as pd

    try:
        yield
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise UserError(f"{path}{_told(str(error), header)}") from error
    except UnicodeError as error:
        raise undecodable(path, encoding) from error


def _told(error: str, header: bool) -> str:
    """What a parser says, with the row's number from 1 after the header."""
    if found := re.search(r"EOF inside string starting at row (\d+)", error):
        return f", row {int(found[1]) + 1 - header}: a quote is opened and never closed: mend it."
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", error):
        return (
            f", row {int(found[2]) - header}: {found[3]} columns where the first row has "
            f"{found[1]}: put texts that hold the separator in quotes."
        )
    reason = "it is empty" if "No columns" in error else " ".join(error.split())
    return f" cannot be read as CSV: {reason}."


def _first_row(stream: Iterable[bytes], separator: str, encoding: str) -> list[str]:
    text = io.TextIOWrapper(stream, _marked(encoding), newline="")
    for row in csv.reader(text, delimiter=separator):
        if row:
            return row
    raise csv.Error("it is empty")


def _json_record(line: bytes, place: str, encoding: str) -> dict[str, Any]:
    try:
        record = json.loads(line.decode(_marked(encoding)))
    except UnicodeError as error:
        raise UserError(f"{place}, is not {encoding} text: name its encoding.") from error
    except ValueError as error:
        raise UserError(f"{place}: no JSON object ({error}): JSON Lines has one a line.") from error
    if not isinstance(record, dict):
        raise UserError(f"{place}: {str(record)[:50]} is no JSON object with columns.")
    return record


def _marked(encoding: str) -> str:
    """The same encoding, without the byte-order mark that a file may begin with."""
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}.")
