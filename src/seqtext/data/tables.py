"""CSV files as tables of texts, with errors that name the file and the column."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from seqtext.options import UserError


def read_csv(stream: IO[bytes], path: Path, columns: Sequence[str]) -> pa.Table:
    """Read these columns, as strings; quoted values may span lines.

    Raises:
        UserError: if the file is empty or malformed, a column is missing, or a value is.
    """
    types = pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()))
    try:
        with stream:
            table = pa.csv.read_csv(
                stream,
                parse_options=pa.csv.ParseOptions(newlines_in_values=True),
                convert_options=types,
            )
    except (pa.ArrowInvalid, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        reason = "it is empty" if "Empty CSV" in str(error) else " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as CSV: {reason}.") from error
    for column in columns:
        if table.column_names.count(column) > 1:
            raise UserError(f"{path} has several columns {column!r}: rename or drop all but one.")
        if column not in table.column_names:
            there = ", ".join(repr(name) for name in table.column_names)
            raise UserError(f"{path} has no column {column!r}: its columns are {there}.")
    return table.select(columns)


def read_lines(path: Path) -> pa.ChunkedArray:
    """The lines of a text file, which may be compressed (.bz2, .gz); empty ones left out.

    Raises:
        UserError: if the file is empty, damaged or not UTF-8.
    """
    no_columns = pa.csv.ParseOptions(delimiter="\x01", quote_char=False, escape_char=False)
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            table = pa.csv.read_csv(
                stream,
                pa.csv.ReadOptions(column_names=["line"]),
                no_columns,
                pa.csv.ConvertOptions(column_types={"line": pa.string()}),
            )
    except (pa.ArrowInvalid, OSError) as error:
        reason = "it is empty" if "Empty CSV" in str(error) else " ".join(str(error).split())
        raise UserError(f"{path} cannot be read: {reason}.") from error
    return table["line"]


def class_numbers(
    table: pa.Table, column: str, class_names: Sequence[str], path: Path
) -> pa.ChunkedArray:
    """The labels in a column as numbers 0, 1, …, in the order of `class_names`.

    Raises:
        UserError: naming the first row whose label is none of these.
    """
    numbers = pc.index_in(table[column], value_set=pa.array(class_names, pa.string()))
    if numbers.null_count:
        row = pc.index(pc.is_null(numbers), True).as_py()
        raise UserError(
            f"{path}, row {row + 1}, column {column!r}: {table[column][row].as_py()!r} is none of "
            f"the classes {', '.join(class_names)}."
        )
    return numbers
