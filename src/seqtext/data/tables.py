"""Tables of texts in blocks: CSV, JSON Lines, Parquet; errors name the file, row and column."""

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


@contextmanager
def _told_as_csv(path: Path, header: bool, encoding: str) -> Iterator[None]:
    import pandas as pd

    try:
        yield
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise UserError(f"{path}{_told(str(error), header)}") from error
    except UnicodeError as error:
        raise _undecodable(path, encoding) from error


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
            raise _undecodable(path, "utf-8") from error
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


def _marked(encoding: str) -> str:
    """The same encoding, without the byte-order mark that a file may begin with."""
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _first_row(stream: Iterable[bytes], separator: str, encoding: str) -> list[str]:
    text = io.TextIOWrapper(stream, _marked(encoding), newline="")
    for row in csv.reader(text, delimiter=separator):
        if row:
            return row
    raise csv.Error("it is empty")


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


def _undecodable(path: Path, encoding: str) -> UserError:
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


def _read_json_lines(path: Path, columns: Sequence[Column], encoding: str) -> Iterator[pa.Table]:
    start = 0
    for records in json_blocks(path, encoding):
        rows = [values_of(record, columns, place) for place, record in records]
        yield _block(list(zip(*rows, strict=True)), columns, start)
        start += len(rows)


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


def values_of(record: dict[str, Any], columns: Sequence[Column], place: str) -> list[str]:
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


def text_of(value: Any) -> str:
    """A JSON value as a column of strings has it."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def string_array(values: Any) -> pa.Array | pa.ChunkedArray:
    """A column as pyarrow's strings."""
    return values if isinstance(values, pa.ChunkedArray) else pa.array(values, pa.string())


def _block(values: Sequence[Any], columns: Sequence[Column], start: int) -> pa.Table:
    """Columns of texts, and the rows' numbers from `start`."""
    numbers = pa.array(range(start, start + len(values[0])), pa.int64())
    texts = [string_array(column) for column in values]
    return pa.table([*texts, numbers], names=[*map(str, columns), "row"])


def _read_parquet(path: Path, columns: Sequence[Column]) -> Iterator[pa.Table]:
    start = 0
    for table in parquet_blocks(path, columns):
        yield _block([strings(column, path) for column in table.columns], columns, start)
        start += len(table)


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


def strings(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """A Parquet column as strings, null as the empty one.

    Raises:
        UserError: if its values have no such form.
    """
    try:
        return pc.fill_null(pc.cast(column, pa.string()), "")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}.")
