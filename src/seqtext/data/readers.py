"""Tables of texts in blocks: some columns, as strings; errors name the file, row and column."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.compression import open_file
from seqtext.data.csv_format import CsvFormat, build_csv_format
from seqtext.data.csv_reader import CsvReader, Warn
from seqtext.data.encodings import not_decodable
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
from seqtext.data.json_reader import json_blocks, read_names
from seqtext.data.labels import find_class, normalize_label
from seqtext.errors import UserError

log = logging.getLogger(__name__)
BUILT_IN = CsvFormat(prefix=None)  # of the files of known data sets


def read_table(
    path: Path,
    columns: Sequence[Column],
    header: bool = True,
    separator: str | None = None,
    encoding: str = "utf-8",
    quoting: str = "auto",
    escapechar: str | None = None,
    warn: Warn = log.warning,
) -> Iterator[pa.Table]:
    """Yield columns as strings, and `row`, the number from 0; the suffix says the format.

    Args:
        columns: names or numbers; the block's columns are in this order, and named ``str(column)``
        header: the first row of a CSV file holds the names
        separator: of a CSV file, as a person types it; None: a comma, in .tsv files a tab
        encoding: of a text file
        quoting: see `CsvFormat`, as for `escapechar`
        warn: called with a sentence for each thing that is odd, once the file is read

    Raises:
        UserError: if the format is not known, the file is damaged or malformed, a column missing.
    """
    suffix = file_format(path, separator)
    default = SEPARATORS.get(suffix, ",")
    format = build_csv_format(default, separator, header, encoding, quoting, escapechar)
    if suffix in PARQUET:
        return _read_parquet(path, columns)
    if suffix in JSON_LINES:
        return _read_json(path, columns, format.encoding)
    return read_csv(path, columns, format, warn)


def read_csv(
    path: Path,
    columns: Sequence[Column],
    format: CsvFormat = BUILT_IN,
    warn: Warn = lambda sentence: None,
) -> Iterator[pa.Table]:
    """Read CSV as `read_table` does; values in quotes may span lines, missing ones are empty."""
    reader = CsvReader(path, format, warn)
    positions = find_positions(columns, reader.names, path)
    in_data = _find_data_in_header(reader, columns, positions)
    start = 0
    for block in reader.blocks():
        for column in [c for c, (p, name) in in_data.items() if name in block[p]][:1]:
            warn(
                f"{path}: the first row, which names the columns, looks like a row of data: "
                f"{in_data[column][1]!r} stands in column {column} of other rows too; set "
                f"{format.option('header', 'false')} if it is one."
            )
            in_data.clear()
        yield _block([block[position] for position in positions], columns, start, path)
        start += len(block[0])


def read_lines(path: Path) -> Iterator[pa.Table]:
    """Yield the lines of a text file as `line`, and `row`, the number from 0; no empty ones.

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
            raise not_decodable(path, "utf-8") from error
        reason = "it is empty" if "Empty CSV" in str(error) else " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read: {reason}.") from error


def encode_labels(
    table: pa.Table,
    column: str,
    class_names: Sequence[str],
    path: Path,
    name: str | None = None,
    ignore_case: bool = False,
) -> pa.Array:
    """Encode the labels in a column as numbers 0, 1, …, in the order of `class_names`.

    Args:
        name: of the column in the file, for messages; None: the same
        ignore_case: case and white space make no other label

    Raises:
        UserError: naming the first row whose label is none of these.
    """
    encoded = table[column].combine_chunks().dictionary_encode()
    classes = [
        find_class(normalize_label(label), class_names, ignore_case)
        for label in encoded.dictionary.to_pylist()
    ]
    number_of: dict[str | None, int] = {known: number for number, known in enumerate(class_names)}
    numbers = pa.array([number_of.get(found) for found in classes], pa.int64()).take(
        encoded.indices
    )
    if numbers.null_count:
        place = pc.index(pc.is_null(numbers), True).as_py()
        label = table[column][place].as_py()
        said = f"{label!r} is none of" if label else "there is no label: it must be one of"
        raise UserError(
            f"{path}, row {table['row'][place].as_py() + 1}, column {name or column!r}: {said} "
            f"the classes {', '.join(class_names)}."
        )
    return numbers


def string_array(values: Sequence[str] | pa.ChunkedArray, path: Path, start: int = 0) -> Any:
    """Return a column as pyarrow's strings.

    Args:
        start: how many rows of the file came before, for messages

    Raises:
        UserError: naming the row that holds half of a pair of surrogates, which JSON can spell.
    """
    if isinstance(values, pa.ChunkedArray):
        return values
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        row = next(n for n, value in enumerate(values, start + 1) if not _is_encodable(value))
        half = ascii(error.object[error.start])
        raise UserError(f"{path}, row {row}, holds {half}, no whole character: mend it.") from error


def to_text(value: Any) -> str:
    """Convert a JSON value to a string."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def plain_text_of(value: Any, place: str, column: Column) -> str:
    """Return a JSON value as a text.

    Raises:
        UserError: if it is an object or a list.
    """
    if isinstance(value, dict | list):
        what = "an object" if isinstance(value, dict) else "a list"
        raise UserError(f"{place}, column {column!r} holds {what} of JSON: give a column of texts.")
    return to_text(value)


def _find_data_in_header(
    reader: CsvReader, columns: Sequence[Column], positions: Sequence[int]
) -> dict[Column, tuple[int, str]]:
    """Return position and name of columns by number: a forgotten ``header=false`` is likely.

    There are none if each number is the name of a column.
    """
    if not reader.format.header:
        return {}
    named = {c: (p, reader.names[p]) for c, p in zip(columns, positions, strict=True)}
    numbered: dict[Column, tuple[int, Any]] = {
        c: place for c, place in named.items() if isinstance(c, int)
    }
    return {} if all(name == str(c) for c, (_, name) in numbered.items()) else numbered


def _read_json(path: Path, columns: Sequence[Column], encoding: str) -> Iterator[pa.Table]:
    """Yield columns of JSON Lines or a JSON array.

    A number is that of a name among those of all objects, for any object may lack some.
    """
    if any(isinstance(column, int) for column in columns):
        names = read_names(path, encoding)
        wanted = [names[position] for position in find_positions(columns, names, path)]
    else:
        wanted = [str(column) for column in columns]
    missing, start = set(wanted), 0
    there: dict[str, Any] = {}
    for records in json_blocks(path, encoding):
        for _, record in records:
            if missing:
                missing -= record.keys()
                there |= dict.fromkeys(record)
        rows = [_values_of(record, wanted, place) for place, record in records]
        yield _block(list(zip(*rows, strict=True)), columns, start, path)
        start += len(rows)
    if missing and start:
        name = next(name for name in wanted if name in missing)
        column_index(name, list(there), path)  # raises, naming those that there are


def _values_of(record: dict[str, Any], names: Sequence[str], place: str) -> list[str]:
    """Return columns of a JSON object as strings; what is absent or null is empty.

    Raises:
        UserError: if it has none of them.
    """
    if not any(name in record for name in names):
        there = ", ".join(repr(name) for name in record)
        raise UserError(f"{place} has no {names[0]!r}: its columns are {there[:500]}.")
    return [plain_text_of(record.get(name), place, name) for name in names]


def _read_parquet(path: Path, columns: Sequence[Column]) -> Iterator[pa.Table]:
    start = 0
    for table in parquet_blocks(path, columns):
        texts = [strings(table.column(n), path, name) for n, name in enumerate(columns)]
        yield _block(texts, columns, start, path)
        start += len(table)


def _block(values: Sequence[Any], columns: Sequence[Column], start: int, path: Path) -> pa.Table:
    """Build a table of text columns and the rows' numbers from `start`."""
    numbers = pa.array(range(start, start + len(values[0])), pa.int64())
    texts = [string_array(column, path, start) for column in values]
    return pa.table([*texts, numbers], names=[*map(str, columns), "row"])


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
