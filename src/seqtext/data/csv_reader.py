"""Read CSV files; malformed rows are errors, irregularities are reported."""

import csv
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from seqtext.data import formats
from seqtext.data.csv_format import CsvFormat
from seqtext.data.encodings import open_text, read_lines_of_text
from seqtext.data.quote_detection import inspect_quotes
from seqtext.errors import UserError

log = logging.getLogger(__name__)
csv.field_size_limit(2**31 - 1)  # characters; the standard library's own limit is 131,072

Row = Sequence[str]
Warn = Callable[[str], None]


class CsvReader:
    """Reads all columns of a CSV file in blocks of rows.

    A row with fewer columns than the first row is padded with empty ones; extra columns must be
    empty. An empty line is a row only if the file has one column.

    Args:
        warn: called with a sentence for each kind of irregularity after the file was read

    Raises:
        UserError: by all methods, if the file is damaged, malformed or in another encoding.
    """

    def __init__(self, path: Path, format: CsvFormat, warn: Warn = log.warning):
        self.path, self.format, self.warn = path, format, warn

    @cached_property
    def first_row(self) -> list[str]:
        """Return the first row that is not an empty line."""
        with self._open_rows() as rows:
            try:
                for row in rows:
                    if row:
                        return row
            except csv.Error as error:
                raise self._build_malformed_error(error, "the first row") from error
        raise UserError(f"{self.path} cannot be read as CSV: it is empty.")

    @cached_property
    def names(self) -> list[str] | list[int]:
        """Return the names of the columns, or their numbers if there is no header."""
        return self.first_row if self.format.header else list(range(len(self.first_row)))

    def blocks(self) -> Iterator[list[Row]]:
        """Yield columns of blocks of rows, `[columns][rows]`; at least one block."""
        width, start = len(self.first_row), 0
        row_checks = _RowChecks(self.path, self.format, width)
        with self._open_rows() as reader:
            if self.format.header:
                next(row for row in reader if row)
            while True:
                line = reader.line_num
                rows: list[list[str]] = []
                try:
                    rows.extend(islice(reader, formats.BLOCK_ROWS))
                except csv.Error as error:  # `rows` contains the rows before the malformed one
                    number = start + len(row_checks.pad_rows(rows, start)) + 1
                    raise self._build_malformed_error(error, f"row {number}") from error
                count = len(rows)
                regular = row_checks.pad_rows(rows, start)
                if reader.line_num - line != count:
                    row_checks.count_spanning(regular, start)
                if count or not start:
                    yield list(zip(*regular, strict=True)) if regular else [()] * width
                start += len(regular)
                if count < formats.BLOCK_ROWS:
                    break
        for sentence in row_checks.describe(start):
            self.warn(sentence)

    @cached_property
    def _has_quoting(self) -> bool:
        separator, quoting = self.format.separator, self.format.quoting
        if quoting != "auto" or separator != "\t":
            return quoting != "none"
        with self._open_lines() as lines:
            if not any('"' in line for line in lines):
                return False
        with self._open_lines() as lines:
            quotes = inspect_quotes(lines, separator, self.format.escapechar)
        if quotes == "in texts":
            self.warn(
                f"{self.path}: quotes are read as a part of the texts, for they are not those of a "
                f"CSV writer; {self.format.option('quoting', 'minimal')} reads them as such."
            )
        return quotes == "around fields"

    @contextmanager
    def _open_lines(self) -> Iterator[Iterator[str]]:
        with open_text(self.path, self.format.encoding) as stream:
            yield read_lines_of_text(stream)

    @contextmanager
    def _open_rows(self) -> Iterator[Any]:
        quoting: Any = csv.QUOTE_MINIMAL if self._has_quoting else csv.QUOTE_NONE
        with self._open_lines() as lines:
            yield csv.reader(
                lines,
                delimiter=self.format.separator,
                quoting=quoting,
                escapechar=self.format.escapechar,
                strict=True,
            )

    def _build_malformed_error(self, error: csv.Error, place: str) -> UserError:
        """Build the error for a row that the standard library's reader refuses."""
        if "unexpected end" in str(error) and self._has_quoting:
            what = "a quote is opened and never closed: close it"
        elif "expected after" in str(error):
            what = "a column goes on after its closing quote: double the quotes within it"
        else:
            return UserError(f"{self.path}, {place}: cannot be read as CSV ({error}): fix it.")
        hint = ""
        if self.format.prefix is not None:
            none = self.format.option("quoting", "none")
            hint = f", or set {none} if quotes are a part of the texts"
            if not self.format.escapechar:
                escaped = self.format.option("escapechar", "backslash")
                hint += f", or {escaped} if they are escaped by backslashes"
        return UserError(f"{self.path}, {place}: {what}{hint}.")


class _RowChecks:
    """Checks rows, and counts short rows, empty lines and rows that span several lines."""

    def __init__(self, path: Path, format: CsvFormat, width: int):
        self.path, self.format, self.width = path, format, width
        self.short, self.first_short = 0, 0
        self.spanning, self.first_spanning = 0, 0
        self.empty_lines, self.first_after_empty = 0, 0
        self._pending = 0  # empty lines not yet followed by a row

    def pad_rows(self, rows: list[list[str]], start: int) -> list[list[str]]:
        """Return the rows with the same number of columns as the first row.

        Args:
            start: number of rows before these

        Raises:
            UserError: for the first row with more columns.
        """
        if not self._pending and set(map(len, rows)) <= {self.width}:
            return rows
        regular: list[list[str]] = []
        for row in rows:
            number = start + len(regular) + 1
            if len(row) != self.width:
                if self.width > 1 and not any(map(str.strip, row)) and len(row) < 2:
                    self._pending += 1
                    continue
                fitted = self._pad_row(row, number)
            else:
                fitted = row
            if self._pending:
                self.empty_lines += self._pending
                self.first_after_empty = self.first_after_empty or number
                self._pending = 0
            regular.append(fitted)
        return regular

    def count_spanning(self, rows: list[list[str]], start: int) -> None:
        """Count the rows that span several lines of the file."""
        spanning = [
            number
            for number, row in enumerate(rows, start + 1)
            if any("\n" in field or "\r" in field for field in row)
        ]
        self.spanning += len(spanning)
        self.first_spanning = self.first_spanning or (spanning[0] if spanning else 0)

    def describe(self, count: int) -> Iterator[str]:
        """Yield a sentence for each irregularity of a file with `count` rows."""
        if 0 < self.spanning < count / 2:
            none = self.format.option("quoting", "none")
            yield (
                f"{self.path}: {self.spanning} of {count} rows span several lines, the first is "
                f"row {self.first_spanning}; if its quotes are a part of the text, set {none}."
            )
        if self.short:
            yield (
                f"{self.path}: {self.short} of {count} rows have fewer columns than the first row, "
                f"which are read as empty; the first is row {self.first_short}."
            )
        if self.empty_lines:
            yield (
                f"{self.path}: {self.empty_lines} empty lines are no rows; the first precedes "
                f"row {self.first_after_empty}."
            )

    def _pad_row(self, row: list[str], number: int) -> list[str]:
        if any(row[self.width :]):
            raise UserError(
                f"{self.path}, row {number}: {len(row)} columns where the first row has "
                f"{self.width}: put texts that hold the separator in quotes."
            )
        if 0 < len(row) < self.width:
            self.short += 1
            self.first_short = self.first_short or number
        return [*row[: self.width], *[""] * (self.width - len(row))]
