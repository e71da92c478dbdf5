"""Read table files of any supported format in blocks; errors name the file, row and column."""

import json
import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.csv_format import build_csv_format
from seqtext.data.csv_reader import CsvReader, Warn
from seqtext.data.formats import (
    JSON_LINES,
    PARQUET,
    SEPARATORS,
    Column,
    cast_to_strings,
    detect_format,
    find_position,
    find_positions,
    iter_parquet_blocks,
)
from seqtext.data.json_reader import Record, iter_json_blocks, read_names
from seqtext.errors import UserError

log = logging.getLogger(__name__)
Block: TypeAlias = pa.Table | list[Record]


class TableReader:
    """Reads a table file: CSV, TSV, JSON (lines or an array) or Parquet, optionally compressed.

    Args:
        path: file whose suffix gives the format
        header: whether the first row of a CSV file contains the names of the columns; else they are
            "0", "1", …
        separator: separator of a CSV file, as typed; None: a comma, or a tab in .tsv files
        encoding: encoding of a text file
        quoting, escapechar, prefix: see `CsvFormat`
        warn: called with a sentence for each kind of irregularity after the file was read

    Raises:
        UserError: if the format is unknown; by all methods, if the file is damaged or malformed,
            with the place.
    """

    def __init__(
        self,
        path: Path,
        header: bool = True,
        separator: str | None = None,
        encoding: str = "utf-8",
        quoting: str = "auto",
        escapechar: str | None = None,
        prefix: str | None = "dataset.",
        warn: Warn = log.warning,
    ):
        self.path, self.kind = path, detect_format(path, separator)
        default = SEPARATORS.get(self.kind, ",")
        self.format = build_csv_format(
            default, separator, header, encoding, quoting, escapechar, prefix
        )
        self._csv = CsvReader(path, self.format, warn)

    @cached_property
    def names(self) -> list[str]:
        """Return the names of the columns; for JSON, the keys of all objects."""
        if self.kind in JSON_LINES:
            return read_names(self.path, self.format.encoding)
        if self.kind in PARQUET:
            return next(iter_parquet_blocks(self.path)).column_names
        return [str(name) for name in self._csv.names]

    def find_positions(self, columns: Sequence[Column]) -> list[int]:
        """Return the positions of columns in the file.

        Raises:
            UserError: if one is missing, ambiguous, or requested twice.
        """
        if self.kind in JSON_LINES or self.kind in PARQUET:
            return find_positions(columns, self.names, self.path)
        if not self.format.header:
            columns = [int(c) if str(c).isdecimal() else c for c in columns]
        return find_positions(columns, self._csv.names, self.path)

    def blocks(self) -> Iterator[Block]:
        """Yield blocks of rows with all columns; at least one block, which may be empty."""
        if self.kind in JSON_LINES:
            blocks = iter_json_blocks(self.path, self.format.encoding)
            yield next(blocks, [])
            yield from blocks
        elif self.kind in PARQUET:
            yield from iter_parquet_blocks(self.path)
        else:
            yield from self._iter_csv_blocks(range(len(self.names)))

    def read_columns(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """Yield columns as strings, null as an empty string, and `row`, the row number from 0.

        Args:
            columns: names or numbers; the tables have the columns in this order, named
                ``str(column)``

        Raises:
            UserError: if a column is missing.
        """
        blocks: Iterator[pa.Table]
        if self.kind in JSON_LINES:
            blocks = self._iter_json_columns(columns)
        elif self.kind in PARQUET:
            blocks = iter_parquet_blocks(self.path, columns)
        else:
            blocks = self._iter_csv_columns(columns)
        start = 0
        for block in blocks:
            each = zip(block.columns, columns, strict=True)
            texts = [cast_to_strings(values, self.path, column) for values, column in each]
            rows = pa.array(range(start, start + len(block)), pa.int64())
            yield pa.table([*texts, rows], names=[*map(str, columns), "row"])
            start += len(block)

    def select_strings(
        self, block: Block, columns: Sequence[str], start: int = 0
    ) -> list[pa.Array]:
        """Return columns of a block as strings, null as an empty string.

        A JSON object may lack some of the columns, but not all of them.

        Args:
            start: number of rows of the file before this block, for messages

        Raises:
            UserError: if there is no such column; the message has the existing ones.
        """
        if isinstance(block, pa.Table):
            found = [find_position(column, block.column_names, self.path) for column in columns]
            each = zip(found, columns, strict=True)
            return [
                cast_to_strings(block.column(p), self.path, c).combine_chunks() for p, c in each
            ]
        rows = [_select_values(record, columns, place) for place, record in block]
        values = zip(*rows, strict=True) if rows else [()] * len(columns)
        return [build_string_array(column, self.path, start) for column in values]

    def _iter_json_columns(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """Yield columns of JSON objects.

        A number is the position of a key among the keys of all objects.
        """
        names, start = [str(column) for column in columns], 0
        first = {name for _, record in next(self.blocks()) for name in record}
        if first and not first.issuperset(columns):  # numbers, or rare keys
            names = [self.names[position] for position in self.find_positions(columns)]
        for block in self.blocks():
            yield pa.table(self.select_strings(block, names, start), names=names)
            start += len(block)

    def _iter_csv_columns(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """Yield columns of a CSV file; warn if the header is likely to be a row of data."""
        suspected = self.format.header
        for block in self._iter_csv_blocks(self.find_positions(columns)):
            if suspected and (found := _find_data_in_header(block, columns)):
                column, name = found
                self._csv.warn(
                    f"{self.path}: the first row, which names the columns, looks like a row of "
                    f"data: {name!r} is in column {column} of other rows too; set "
                    f"{self.format.option('header', 'false')} if it is one."
                )
                suspected = False
            yield block

    def _iter_csv_blocks(self, positions: Sequence[int]) -> Iterator[pa.Table]:
        names, start = [self.names[position] for position in positions], 0
        for block in self._csv.blocks():
            columns = [build_string_array(block[p], self.path, start) for p in positions]
            yield pa.table(columns, names=names)
            start += len(block[0])


def build_string_array(values: Sequence[str], path: Path, start: int = 0) -> pa.Array:
    """Convert a column to pyarrow strings.

    Args:
        start: number of rows of the file before this block, for messages

    Raises:
        UserError: for the first row with an unpaired surrogate, which JSON can encode.
    """
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        row = next(n for n, value in enumerate(values, start + 1) if not _is_encodable(value))
        half = ascii(error.object[error.start])
        raise UserError(f"{path}, row {row}, holds {half}, no whole character: fix it.") from error


def join_texts(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array | pa.ChunkedArray:
    """Join columns of strings with spaces."""
    return pc.binary_join_element_wise(*columns, " ") if columns[1:] else columns[0]


def to_text(value: Any) -> str:
    """Convert a JSON value to a string."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _select_values(record: dict[str, Any], names: Sequence[str], place: str) -> list[str]:
    """Return values of a JSON object as strings; missing or null values are empty.

    Raises:
        UserError: if all are missing, or one is an object or a list.
    """
    if not any(name in record for name in names):
        there = ", ".join(map(repr, record))
        raise UserError(f"{place} has no {names[0]!r}: its columns are {there[:500]}.")
    return [_to_plain_text(record.get(name), place, name) for name in names]


def _to_plain_text(value: Any, place: str, name: str) -> str:
    if isinstance(value, dict | list):
        what = "an object" if isinstance(value, dict) else "a list"
        raise UserError(f"{place}, column {name!r} holds {what} of JSON: give a column of texts.")
    return to_text(value)


def _find_data_in_header(block: pa.Table, columns: Sequence[Column]) -> tuple[Column, str] | None:
    """Return a column given by number, with its name, if that is also one of its values.

    Then the header is likely a row of data. None if there is no such column, or if each number is
    the name of a column.
    """
    each = zip(columns, block.column_names, block.columns, strict=True)
    numbered = [(column, name, values) for column, name, values in each if isinstance(column, int)]
    if all(name == str(column) for column, name, _ in numbered):
        return None
    found = ((c, name) for c, name, values in numbered if pc.index(values, name).as_py() >= 0)
    return next(found, None)


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
