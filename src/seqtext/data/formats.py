"""File formats, column names and positions shared by all readers; the Parquet reader."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqtext.data.compression import get_inner_name, open_file
from seqtext.data.csv_format import SEPARATOR_NAMES
from seqtext.errors import UserError, format_reason

BLOCK_ROWS = 20_000  # rows
SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
Column = str | int  # name, or number from 0


def detect_format(path: Path, separator: str | None = None) -> str:
    """Return the suffix of a file's format, ignoring a compression suffix.

    Args:
        separator: if given, the file is CSV whatever its suffix

    Raises:
        UserError: if the format is unknown.
    """
    suffix = Path(get_inner_name(path)).suffix.lower()
    if separator or suffix in (*SEPARATORS, *JSON_LINES, *PARQUET):
        return suffix
    known = ", ".join((*SEPARATORS, *JSON_LINES, *PARQUET))
    raise UserError(f"{path} must end in one of {known} (and .gz, .bz2, .xz or .zip): rename it.")


def iter_parquet_blocks(path: Path, columns: Sequence[Column] | None = None) -> Iterator[pa.Table]:
    """Yield unconverted columns of a Parquet file, all for None; at least one block.

    Raises:
        UserError: as `read_table`.
    """
    try:
        with open_file(path) as stream:
            seekable = stream if path.suffix.lower() in PARQUET else io.BytesIO(stream.read())
            file = pq.ParquetFile(seekable)
            names = file.schema_arrow.names
            positions = None if columns is None else find_positions(columns, names, path)
            is_unique = len(set(names)) == len(names)
            wanted = [names[p] for p in positions] if positions and is_unique else None
            if not file.metadata.num_rows:
                yield _select(file.schema_arrow.empty_table(), positions)
            for batch in file.iter_batches(BLOCK_ROWS, columns=wanted):
                table = pa.Table.from_batches([batch])
                yield table.select(wanted) if wanted else _select(table, positions)
    except (pa.ArrowException, MemoryError) as error:  # MemoryError: a damaged size
        raise _build_unreadable_error(path, error) from error


def find_positions(columns: Sequence[Column], names: Sequence[Column], path: Path) -> list[int]:
    """Return the positions of columns in a file.

    Raises:
        UserError: if one is missing, ambiguous, or requested twice.
    """
    positions = [find_position(column, names, path) for column in columns]
    for place, position in enumerate(positions):
        if position in positions[:place]:
            same = columns[positions.index(position)]
            raise UserError(
                f"{path}: {same!r} and {columns[place]!r} are one column"
                f"{_explain_column(columns, names)}: drop one."
            )
    return positions


def _explain_column(columns: Sequence[Column], names: Sequence[Column]) -> str:
    """Return a hint if a number was read as a name, as of a row of data in a headerless file."""
    named = [column for column in columns if isinstance(column, int) and str(column) in names]
    if not named:
        return ""
    return (
        f", for the first row names one {str(named[0])!r} (if it is a row of data, set "
        f"dataset.header=false)"
    )


def find_position(column: Column, names: Sequence[Column], path: Path) -> int:
    """Return the position of a column in a file.

    A number is a position from 0, unless the file has a column with this number as its name.

    Raises:
        UserError: if it is missing or ambiguous.
    """
    if not names:
        raise UserError(f"{path} has no columns.")
    if isinstance(column, int) and str(column) not in names:
        if not -len(names) <= column < len(names):
            last = len(names) - 1
            raise UserError(f"{path} has no column {column}: its columns are 0 to {last}.")
        return column % len(names)
    name = str(column)
    found = [position for position, other in enumerate(names) if other == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{path} has several columns {name!r}: rename or drop all but one.")
    if names[0] == 0:
        raise UserError(f"{path} is read without a header: give {name!r} as a number from 0.")
    there = ", ".join(repr(name) for name in names)
    refuse_other_separator(names, path)
    raise UserError(f"{path} has no column {name!r}: name one of its columns {there[:500]}.")


def refuse_other_separator(names: Sequence[Column], path: Path) -> None:
    """Refuse a file whose only column has a separator in its name.

    Raises:
        UserError: with the likely separator.
    """
    likely = ("tab", "semicolon", "pipe", "comma")
    used = [word for word in likely if SEPARATOR_NAMES[word] in str(names[0])]
    if len(names) == 1 and used:
        raise UserError(
            f"{path} has the one column {str(names[0])[:500]!r}: name its separator, "
            f"which may be {used[0]}."
        )


def cast_to_strings(column: pa.ChunkedArray, path: Path, name: Column) -> pa.ChunkedArray:
    """Return a Parquet column as strings, null as an empty string.

    Raises:
        UserError: if its values cannot be converted.
    """
    if pa.types.is_nested(column.type):
        raise UserError(
            f"{path}, column {name!r} holds values of the type {str(column.type)[:100]}: give a "
            f"column of texts."
        )
    try:
        column.validate(full=True)  # strings in Parquet may be invalid UTF-8
        return pc.fill_null(pc.cast(column, pa.string()), "")
    except pa.ArrowException as error:
        reason = format_reason(error)
        raise UserError(f"{path}, column {name!r} cannot be read as text: {reason}.") from error


def _select(table: pa.Table, positions: Sequence[int] | None) -> pa.Table:
    """Return the columns at these positions, with possibly duplicate names; all for None."""
    return table if positions is None else table.select(list(positions))


def _build_unreadable_error(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read as Parquet: {format_reason(error)}.")
