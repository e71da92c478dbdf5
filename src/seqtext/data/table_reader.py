"""Files of rows in blocks, whatever their format; errors name the file, row and column."""

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
    column_index,
    file_format,
    find_positions,
    parquet_blocks,
    strings,
)
from seqtext.data.json_reader import Record, json_blocks, read_names
from seqtext.errors import UserError

log = logging.getLogger(__name__)
Block: TypeAlias = pa.Table | list[Record]


class TableReader:
    """Read a file of rows: CSV, TSV, JSON (lines or an array) or Parquet, also compressed.

    Args:
        path: its suffix gives the format
        header: the first row of a CSV file holds the columns' names; else "0", "1", … are
        separator: of a CSV file, as a person types it; None: a comma, in .tsv files a tab
        encoding: of a text file
        quoting: see `CsvFormat`, as for `escapechar` and `prefix`
        warn: called with a sentence for each thing that is odd, once the file is read

    Raises:
        UserError: if the format is not known; from all methods, if the file is damaged or
            malformed, naming the place.
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
        self.path, self.kind = path, file_format(path, separator)
        default = SEPARATORS.get(self.kind, ",")
        self.format = build_csv_format(
            default, separator, header, encoding, quoting, escapechar, prefix
        )
        self._csv = CsvReader(path, self.format, warn)

    @cached_property
    def names(self) -> list[str]:
        """Return the columns' names; of JSON those of all objects, for any object may lack some."""
        if self.kind in JSON_LINES:
            return read_names(self.path, self.format.encoding)
        if self.kind in PARQUET:
            return next(parquet_blocks(self.path)).column_names
        return [str(name) for name in self._csv.names]

    def find_positions(self, columns: Sequence[Column]) -> list[int]:
        """Return where columns stand among those of the file.

        Raises:
            UserError: if one is not there, or more than once, or asked for twice.
        """
        if self.kind in JSON_LINES or self.kind in PARQUET:
            return find_positions(columns, self.names, self.path)
        if not self.format.header:
            columns = [int(c) if str(c).isdecimal() else c for c in columns]
        return find_positions(columns, self._csv.names, self.path)

    def blocks(self) -> Iterator[Block]:
        """Yield all columns of some thousand rows at a time; at least one block, maybe empty."""
        if self.kind in JSON_LINES:
            blocks = json_blocks(self.path, self.format.encoding)
            yield next(blocks, [])
            yield from blocks
        elif self.kind in PARQUET:
            yield from parquet_blocks(self.path)
        else:
            yield from self._csv_blocks(range(len(self.names)))

    def read_columns(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """Yield columns as strings, null as the empty one, and `row`, the number from 0.

        Args:
            columns: names or numbers; the tables' columns are in this order, and named
                ``str(column)``

        Raises:
            UserError: if a column is missing.
        """
        blocks: Iterator[pa.Table]
        if self.kind in JSON_LINES:
            blocks = self._json_columns(columns)
        elif self.kind in PARQUET:
            blocks = parquet_blocks(self.path, columns)
        else:
            blocks = self._csv_columns(columns)
        start = 0
        for block in blocks:
            each = zip(block.columns, columns, strict=True)
            texts = [strings(values, self.path, column) for values, column in each]
            rows = pa.array(range(start, start + len(block)), pa.int64())
            yield pa.table([*texts, rows], names=[*map(str, columns), "row"])
            start += len(block)

    def select_strings(
        self, block: Block, columns: Sequence[str], start: int = 0
    ) -> list[pa.Array]:
        """Return columns of a block as strings, null as the empty one.

        A JSON object may lack some of the columns, not all of them.

        Args:
            start: how many rows of the file came before, for messages

        Raises:
            UserError: if there is no such column, naming those that there are.
        """
        if isinstance(block, pa.Table):
            found = [column_index(column, block.column_names, self.path) for column in columns]
            each = zip(found, columns, strict=True)
            return [strings(block.column(p), self.path, c).combine_chunks() for p, c in each]
        rows = [_select_values(record, columns, place) for place, record in block]
        values = zip(*rows, strict=True) if rows else [()] * len(columns)
        return [string_array(column, self.path, start) for column in values]

    def _json_columns(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """Yield columns of JSON objects.

        A number is that of a name among those of all objects.
        """
        names, start = [str(column) for column in columns], 0
        first = {name for _, record in next(self.blocks()) for name in record}
        if first and not first.issuperset(columns):  # numbers, or names that few objects have
            names = [self.names[position] for position in self.find_positions(columns)]
        for block in self.blocks():
            yield pa.table(self.select_strings(block, names, start), names=names)
            start += len(block)

    def _csv_columns(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """Yield columns of a CSV file; warn if the header is likely to be a row of data."""
        suspected = self.format.header
        for block in self._csv_blocks(self.find_positions(columns)):
            if suspected and (found := _find_data_in_header(block, columns)):
                column, name = found
                self._csv.warn(
                    f"{self.path}: the first row, which names the columns, looks like a row of "
                    f"data: {name!r} stands in column {column} of other rows too; set "
                    f"{self.format.option('header', 'false')} if it is one."
                )
                suspected = False
            yield block

    def _csv_blocks(self, positions: Sequence[int]) -> Iterator[pa.Table]:
        names, start = [self.names[position] for position in positions], 0
        for block in self._csv.blocks():
            columns = [string_array(block[p], self.path, start) for p in positions]
            yield pa.table(columns, names=names)
            start += len(block[0])


def string_array(values: Sequence[str], path: Path, start: int = 0) -> pa.Array:
    """Return a column as pyarrow's strings.

    Args:
        start: how many rows of the file came before, for messages

    Raises:
        UserError: naming the row that holds half of a pair of surrogates, which JSON can spell.
    """
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        row = next(n for n, value in enumerate(values, start + 1) if not _is_encodable(value))
        half = ascii(error.object[error.start])
        raise UserError(f"{path}, row {row}, holds {half}, no whole character: mend it.") from error


def join_texts(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array | pa.ChunkedArray:
    """Join columns of strings by spaces."""
    return pc.binary_join_element_wise(*columns, " ") if columns[1:] else columns[0]


def to_text(value: Any) -> str:
    """Convert a JSON value to a string."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _select_values(record: dict[str, Any], names: Sequence[str], place: str) -> list[str]:
    """Return columns of a JSON object as strings; what is absent or null is empty.

    Raises:
        UserError: if it has none of them, or one is an object or a list.
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
    """Return a column given by number whose name is one of its values: header=false is likely.

    There is none if each number is the name of a column.
    """
    each = zip(columns, block.column_names, block.columns, strict=True)
    numbered = [(column, name, values) for column, name, values in each if isinstance(column, int)]
    if all(name == str(column) for column, name, _ in numbered):
        return None
    found = ((c, name) for c, name, values in numbered if pc.index(values, name).as_py() >= 0)
    return next(found, None)


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
