"""Write blocks of rows to a file with additional columns."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from seqtext.data.compression import OPENERS, find_compression
from seqtext.data.formats import JSON_LINES, PARQUET, SEPARATORS
from seqtext.data.json_reader import Record
from seqtext.data.table_reader import Block, to_text
from seqtext.errors import UserError, format_reason
from seqtext.files import replace_file

Columns = Mapping[str, pa.Array]


class TableWriter:
    """Writes blocks of rows to a file, see `open_writer`.

    Args:
        path: its suffix gives the format
        stream: stream to write to
    """

    def __init__(self, path: Path, stream: IO[bytes]):
        self.path, self.stream, self.kind = path, stream, find_output_format(path)
        self._writer: pa.csv.CSVWriter | pq.ParquetWriter | None = None
        self._names: list[str] | None = None  # columns, if JSON objects are written as a table

    def write(self, block: Block, further: Columns) -> None:
        """Write rows, with `further` columns after their own.

        Raises:
            UserError: if the columns do not fit the file.
        """
        _check_names(block, further)
        try:
            if self.kind in JSON_LINES:
                self._write_lines(block, further)
            else:
                self._write_table(block, further)
        except (UnicodeEncodeError, UserError):  # errors of the input
            raise
        except (pa.ArrowException, ValueError, OverflowError, RecursionError) as error:
            reason = format_reason(error)
            raise UserError(f"output={self.path} cannot hold these columns: {reason}.") from error

    def close(self) -> None:
        """Finish the file."""
        if self._writer:
            self._writer.close()

    def _build_writer(self, schema: pa.Schema) -> pa.csv.CSVWriter | pq.ParquetWriter:
        if self.kind in PARQUET:
            return pq.ParquetWriter(self.stream, schema)
        options = pa.csv.WriteOptions(delimiter=SEPARATORS[self.kind])
        return pa.csv.CSVWriter(self.stream, schema, write_options=options)

    def _write_table(self, block: Block, further: Columns) -> None:
        table = block if isinstance(block, pa.Table) else self._build_table(block)
        if self.kind in PARQUET:
            table = _rename_repeated(table)
        for name, column in further.items():
            table = table.append_column(name, column)
        self._writer = self._writer or self._build_writer(table.schema)
        self._writer.write_table(table)

    def _write_lines(self, block: Block, further: Columns) -> None:
        block = _rename_repeated(block) if isinstance(block, pa.Table) else block
        records = block.to_pylist() if isinstance(block, pa.Table) else [r for _, r in block]
        added = pa.table(dict(further)).to_pylist()
        for record, more in zip(records, added, strict=True):
            line = json.dumps(record | more, ensure_ascii=False, default=str)
            self.stream.write(line.encode() + b"\n")

    def _build_table(self, records: list[Record]) -> pa.Table:
        """Build a table of strings, with the columns of the first object."""
        self._names = self._names or (list(records[0][1]) if records else [])
        for place, record in records:
            if unknown := [name for name in record if name not in self._names]:
                raise UserError(
                    f"{place} has {unknown[0]!r}, which the first line has not: give output= a "
                    f"name that ends in .jsonl."
                )
        columns = ([to_text(record.get(name)) for _, record in records] for name in self._names)
        return pa.table([pa.array(c, pa.string()) for c in columns], names=self._names)


def _rename_repeated(table: pa.Table) -> pa.Table:
    """Rename a second column ``x`` to ``x.1``, as pandas does, for formats with unique names."""
    names = list(table.column_names)
    if len(set(names)) == len(names):
        return table
    for place, name in enumerate(names):
        numbers = count(1)
        while names[place] in names[:place] or (
            names[place] != name and names[place] in table.column_names
        ):
            names[place] = f"{name}.{next(numbers)}"
    return table.rename_columns(names)


def _check_names(block: Block, further: Columns) -> None:
    names = block.column_names if isinstance(block, pa.Table) else [n for _, r in block for n in r]
    if taken := sorted(set(names) & set(further)):
        raise UserError(f"The input has a column {taken[0]!r} already: rename or drop it.")


def find_output_format(path: Path) -> str:
    """Return the suffix of the format, without that of compression.

    Raises:
        UserError: if the format cannot be written.
    """
    inner = path.stem if find_compression(path) else path.name
    suffix, known = Path(inner).suffix.lower(), (*SEPARATORS, *JSON_LINES, *PARQUET)
    if suffix not in known:
        raise UserError(
            f"output={path} must end in one of {', '.join(known)} (and .gz, .bz2, .xz or .zip)."
        )
    return suffix


@contextmanager
def open_writer(path: Path) -> Iterator[TableWriter]:
    """Write to a temporary file, then rename it, so that the output is complete or absent."""
    find_output_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary, _open_stream(temporary, path) as stream:
        output = TableWriter(path, stream)
        yield output
        output.close()


@contextmanager
def _open_stream(aside: Path, path: Path) -> Iterator[IO[bytes]]:
    if find_compression(path) == ".zip":
        with (
            zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(path.stem, "w", force_zip64=True) as file,
        ):
            yield file
    else:
        with OPENERS.get(find_compression(path), open)(aside, "wb") as file:
            yield file
