"""Tables of texts in blocks: some columns, as strings; errors name the file, row and column."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.archives import open_file
from seqtext.data.formats import (
    JSON_LINES,
    PARQUET,
    SEPARATORS,
    Column,
    csv_blocks,
    csv_names,
    json_blocks,
    kind_of,
    known_encoding,
    parquet_blocks,
    position_of,
    strings,
    undecodable,
)
from seqtext.options import UserError


def read_table(
    path: Path,
    columns: Sequence[Column],
    header: bool = True,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[pa.Table]:
    """These columns as strings, and `row`, the number from 0; what a name ends in says the format.

    Args:
        columns: names or numbers; the block's columns are named ``str(column)``
        header: the first row of a CSV file holds the names
        separator: of a CSV file; None: a comma, in .tsv files a tab
        encoding: of a text file

    Raises:
        UserError: if the format is not known, the file is damaged or malformed, a column missing.
    """
    suffix, encoding = kind_of(path, separator), known_encoding(encoding)
    if suffix in PARQUET:
        return _read_parquet(path, columns)
    if suffix in JSON_LINES:
        return _read_json_lines(path, columns, encoding)
    return read_csv(path, columns, header, separator or SEPARATORS[suffix], encoding)


def read_csv(
    path: Path,
    columns: Sequence[Column],
    header: bool = True,
    separator: str = ",",
    encoding: str = "utf-8",
) -> Iterator[pa.Table]:
    """As `read_table`; values in quotes may span lines, missing ones are empty."""
    names = csv_names(path, header, separator, encoding)
    positions = [position_of(column, names, path) for column in columns]
    start = 0
    for block in csv_blocks(path, header, separator, encoding):
        yield _block([block[position] for position in positions], columns, start)
        start += len(block)


def read_lines(path: Path) -> Iterator[pa.Table]:
    """The lines of a text file, as `line`, and `row`, the number from 0; empty ones left out.

    Raises:
        UserError: if the file is empty, damaged or not UTF-8.
    """
    import pyarrow.csv as arrow_csv

    no_columns = arrow_csv.ParseOptions(delimiter="\x01", quote_char=False, escape_char=False)
    start = 0
    try:
        with open_file(path) as stream:
            for batch in arrow_csv.open_csv(
                stream,
                arrow_csv.ReadOptions(column_names=["line"], block_size=1 << 23),
                no_columns,
                arrow_csv.ConvertOptions(column_types={"line": pa.string()}),
            ):
                rows = pa.array(range(start, start + len(batch)), pa.int64())
                start += len(batch)
                yield pa.table({"line": batch.column(0), "row": rows})
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise undecodable(path, "utf-8") from error
        reason = "it is empty" if "Empty CSV" in str(error) else " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read: {reason}.") from error


def class_numbers(
    table: pa.Table, column: str, class_names: Sequence[str], path: Path
) -> pa.ChunkedArray:
    """The labels in a column as numbers 0, 1, …, in the order of `class_names`.

    Raises:
        UserError: naming the first row whose label is none of these.
    """
    numbers = pc.index_in(table[column], value_set=pa.array(class_names, pa.string()))
    if numbers.null_count:
        place = pc.index(pc.is_null(numbers), True).as_py()
        label = table[column][place].as_py()
        said = f"{label!r} is none of" if label else "there is no label: it must be one of"
        raise UserError(
            f"{path}, row {table['row'][place].as_py() + 1}, column {column!r}: {said} "
            f"the classes {', '.join(class_names)}."
        )
    return numbers


def string_array(values: Any) -> pa.Array | pa.ChunkedArray:
    """A column as pyarrow's strings."""
    return values if isinstance(values, pa.ChunkedArray) else pa.array(values, pa.string())


def text_of(value: Any) -> str:
    """A JSON value as a column of strings has it."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _read_json_lines(path: Path, columns: Sequence[Column], encoding: str) -> Iterator[pa.Table]:
    start = 0
    for records in json_blocks(path, encoding):
        rows = [_values_of(record, columns, place) for place, record in records]
        yield _block(list(zip(*rows, strict=True)), columns, start)
        start += len(rows)


def _values_of(record: dict[str, Any], columns: Sequence[Column], place: str) -> list[str]:
    """Columns of a JSON object as strings; what is absent or null is empty.

    Raises:
        UserError: if it has none of them.
    """
    names = list(record)
    values = [record.get(names[c] if isinstance(c, int) and c < len(names) else c) for c in columns]
    if all(value is None for value in values):
        there = ", ".join(repr(name) for name in names)
        raise UserError(f"{place} has no {columns[0]!r}: its columns are {there[:500]}.")
    return [text_of(value) for value in values]


def _read_parquet(path: Path, columns: Sequence[Column]) -> Iterator[pa.Table]:
    start = 0
    for table in parquet_blocks(path, columns):
        yield _block([strings(column, path) for column in table.columns], columns, start)
        start += len(table)


def _block(values: Sequence[Any], columns: Sequence[Column], start: int) -> pa.Table:
    """Columns of texts, and the rows' numbers from `start`."""
    numbers = pa.array(range(start, start + len(values[0])), pa.int64())
    texts = [string_array(column) for column in values]
    return pa.table([*texts, numbers], names=[*map(str, columns), "row"])
