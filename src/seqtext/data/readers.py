"""Read columns or lines of files in blocks, and encode labels as numbers."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.compression import open_file
from seqtext.data.encodings import build_decoding_error
from seqtext.data.formats import Column
from seqtext.data.labels import find_class, normalize_label
from seqtext.data.table_reader import TableReader
from seqtext.errors import UserError, format_reason


def read_csv(path: Path, columns: Sequence[Column]) -> Iterator[pa.Table]:
    """Read a CSV file of a known data set, without warnings and format options."""
    reader = TableReader(path, prefix=None, warn=lambda sentence: None)
    return reader.read_columns(columns)


def read_lines(path: Path) -> Iterator[pa.Table]:
    """Yield the non-empty lines of a text file as `line`, with their number from 0 as `row`.

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
            raise build_decoding_error(path, "utf-8") from error
        reason = "it is empty" if "Empty CSV" in str(error) else format_reason(error)[:200]
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
        name: name of the column in the file, for messages; None: `column`
        ignore_case: ignore case and white space

    Raises:
        UserError: for the first row whose label is not a class.
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
        problem = f"{label!r} is none of" if label else "there is no label: it must be one of"
        raise UserError(
            f"{path}, row {table['row'][place].as_py() + 1}, column {name or column!r}: {problem} "
            f"the classes {', '.join(class_names)}."
        )
    return numbers
