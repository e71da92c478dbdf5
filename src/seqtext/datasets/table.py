"""A user's own data set in table files, in one file or one per part."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.csv_format import Quoting, normalize_escapechar, normalize_separator
from seqtext.data.encodings import normalize_encoding
from seqtext.data.formats import Column, detect_format
from seqtext.data.labels import find_labels, is_missing_label, normalize_label, normalize_labels
from seqtext.data.readers import encode_labels
from seqtext.data.split import Part
from seqtext.data.table_reader import TableReader, join_texts
from seqtext.datasets.base import TextDataModule
from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.files import check_is_file
from seqtext.validation import validate_args

FORMAT_OPTIONS = ("header", "separator", "encoding", "quoting", "escapechar")
SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
PART_OF = {spelling: part for part, spellings in SPELLINGS.items() for spelling in spellings}


class TableDataset(TextDataModule):
    """Loads CSV, TSV, JSON or Parquet files, optionally compressed.

    Rows without a text or a label are dropped and counted. Labels such as None, NaN, NA, n/a and
    null are missing, unless `classes` contains them. Labels are strings, numbers or booleans (1,
    1.0 and "1" are equal). Classes are sorted: numbers by value, then other labels alphabetically.

    Args:
        path: file of all rows; of the training rows if `test` or `val` is given
        text: column of the text, by name or number (from 0); several are joined with spaces
        label: column of the class
        classes: labels of class 0, 1, …; None: all labels found
        part: column with the part of each row: train, val or test
        ignore_label_case: merge labels that differ only in case or white space
        val: file of the validation rows; None: split from the training rows
        test: file of the test rows; None: split from the rows of `path`
        header: whether the first row of a CSV file contains the names of the columns
        separator: separator of a CSV file, as typed (see `normalize_separator`); None: a comma, or
            a tab in .tsv files
        encoding: encoding of a text file
        quoting: meaning of quotes in a CSV file, see `CsvFormat`
        escapechar: character that escapes the next character in a CSV file; None: there is none
        shared: see `TextDataModule`

    Raises:
        UserError: if options contradict each other.
    """

    @validate_args
    def __init__(
        self,
        path: str | None = None,
        text: str | int | list[str | int] = "text",
        label: str | int = "label",
        classes: list[str | int | float | bool] | None = None,
        ignore_label_case: bool = False,
        part: str | int | None = None,
        val: str | None = None,
        test: str | None = None,
        header: bool = True,
        separator: str | None = None,
        encoding: str = "utf-8",
        quoting: Quoting = "auto",
        escapechar: str | None = None,
        **shared: Any,
    ):
        super().__init__(**shared)
        if path is None:
            raise UserError("dataset=table needs a file: give dataset.path=my.csv.")
        paths: dict[Part, str | None] = {"train": path, "val": val, "test": test}
        self.paths = {part: Path(p).expanduser() for part, p in paths.items() if p}
        self.name = self.paths["train"].name.split(".")[0]
        self.text: list[Column] = list(text) if isinstance(text, list | tuple) else [text]
        self.text_columns = self.text
        self.label, self.part = label, part
        self.ignore_label_case = ignore_label_case
        if classes is not None:
            names = [normalize_label(label) for label in classes]
            if not names:
                raise UserError("dataset.classes=[] names no class: name all, or use null.")
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise UserError(f"dataset.classes names {twice[0]!r} twice: drop one.")
            self.class_names = names + [c for c in self.drop_labels if c not in names]
        self.header, self.encoding = header, normalize_encoding(encoding)
        self.separator = normalize_separator(separator)
        self.quoting, self.escapechar = quoting, normalize_escapechar(escapechar)
        self.use_official_split = part is not None or len(self.paths) > 1
        self._check_columns()
        self._check_parts()

    def locate_files(self) -> tuple[str, Sequence[Path]]:
        for name, path in self.paths.items():
            check_is_file(path, f"dataset.{'path' if name == 'train' else name}")
        return " and ".join(map(str, self.paths.values())), list(self.paths.values())

    def settings(self) -> dict:
        names = ["text", "label", "part", "class_names", "ignore_label_case", *FORMAT_OPTIONS]
        # The suffix of a name gives the format.
        files = {part: path.name for part, path in self.paths.items()}
        return {"files": files, **{name: getattr(self, name) for name in names}}

    def read_tables(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        for name, path in self.paths.items():
            yield from self._read_rows(path, name)

    def get_table_options(self, path: Path) -> dict[str, Any]:
        """Return the format of the data set's files for an unlabelled file of the same kind."""
        is_same = detect_format(path) == detect_format(self.paths["train"])
        return {name: getattr(self, name) for name in FORMAT_OPTIONS} if is_same else {}

    def _check_columns(self) -> None:
        if not self.text:
            raise UserError("dataset.text=[] names no column: name the column of the text.")
        options = [("text", column) for column in self.text]
        options += [("label", self.label), *([] if self.part is None else [("part", self.part)])]
        for place, (option, column) in enumerate(options):
            for other, same in options[:place]:
                if same == column:
                    both = f"dataset.{other} and dataset.{option} both name the column {column!r}"
                    if other == option:
                        both = f"dataset.{option} names the column {column!r} twice"
                    raise UserError(f"{both}: name another, or drop it.")

    def _check_parts(self) -> None:
        if self.part is not None and len(self.paths) > 1:
            raise UserError("dataset.part names parts, and so do dataset.val and .test: drop one.")
        if self.use_official_split and (self.split.folds or self.split.use_official_split is False):
            option = "split.folds" if self.split.folds else "split.use_official_split=false"
            raise UserError(
                f"{option} creates its own test parts: leave out dataset.part, .val and .test."
            )

    def _read_rows(self, path: Path, part: str) -> Iterator[pa.Table]:
        columns = [*self.text, self.label, *([] if self.part is None else [self.part])]
        count = len(self.text)
        left_out = _MissingRowFilter(path, kept=[*self.class_names, *self.drop_labels])
        options = {name: getattr(self, name) for name in FORMAT_OPTIONS}
        reader = TableReader(path, **options, warn=self.row_warnings.append)
        for block in reader.read_columns(columns):
            rows = {
                "text": join_texts(block.columns[:count]),  # by position: names may be equal
                "label": normalize_labels(block.column(count)),
                "row": block.columns[-1],
            }
            if self.use_official_split:
                each = pa.repeat(part, block.num_rows)
                rows["part"] = each if self.part is None else self._read_parts(block, path)
            yield self._encode_labels(left_out.filter_rows(pa.table(rows)), path)
        self.log_notes += left_out.notes()
        self.row_warnings += left_out.warnings()

    def _encode_labels(self, rows: pa.Table, path: Path) -> pa.Table:
        if not self.class_names:
            return rows
        labels, ignore_case = rows.select(["label", "row"]), bool(self.ignore_label_case)
        numbers = encode_labels(
            labels, "label", self.class_names, path, str(self.label), ignore_case
        )
        return rows.set_column(rows.column_names.index("label"), "label", numbers)

    def _read_parts(self, block: pa.Table, path: Path) -> pa.Array:
        names = pc.utf8_lower(pc.utf8_trim_whitespace(block.columns[-2])).to_pylist()
        for value, row in zip(names, block.columns[-1].to_pylist(), strict=True):
            if value not in PART_OF:
                raise UserError(
                    f"{path}, row {row + 1}, column {self.part!r}: {value!r} is no part: "
                    f"it must be one of {', '.join(PART_OF)}."
                )
        return pa.array([PART_OF[value] for value in names], pa.string())


class _MissingRowFilter:
    """Drops the rows of a file that have no text or no label, and counts them.

    Args:
        kept: class names that look like missing values
    """

    def __init__(self, path: Path, kept: Sequence[str]):
        self.path, self.kept = path, kept
        self.counts = {"text": 0, "label": 0}
        self.first: dict[str, int] = {}
        self.spellings: dict[str, int] = {}  # counts of labels that mean a missing value

    def filter_rows(self, rows: pa.Table) -> pa.Table:
        """Return the rows that have a text and a label."""
        blank = pc.equal(pc.utf8_trim_whitespace(rows["text"]), "").to_numpy()
        rows = self._drop(rows, "text", blank)
        missing = find_labels(rows["label"], lambda label: is_missing_label(label, self.kept))
        for label in rows["label"].filter(pa.array(missing)).to_pylist() if missing.any() else ():
            self.spellings[label] = self.spellings.get(label, 0) + 1
        return self._drop(rows, "label", missing)

    def _drop(self, rows: pa.Table, column: str, is_empty: np.ndarray) -> pa.Table:
        if not (count := int(is_empty.sum())):
            return rows
        self.counts[column] += count
        self.first.setdefault(column, rows["row"][int(is_empty.argmax())].as_py())
        return rows.filter(pa.array(~is_empty))

    def notes(self) -> list[str]:
        """Return notes on the dropped rows."""
        return [
            count_noun(count, f"row without a {column} is", f"rows without a {column} are")
            + f" left out of {self.path.name}: the first is row {self.first[column] + 1}."
            for column, count in self.counts.items()
            if count
        ]

    def warnings(self) -> list[str]:
        """Return warnings about labels treated as missing, which may be names of classes."""
        name = self.path.name
        return [
            count_noun(count, f"row left out of {name}", f"rows left out of {name}")
            + f" with the label {label!r}: if it is a class, name all classes "
            f"in dataset.classes=[…,{label}]."
            for label, count in self.spellings.items()
            if label
        ]
