"""Store the rows of a source on disk: texts, labels, official parts and ids of equal texts."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.arrow_io import open_array, open_table
from seqtext.data.duplicates import factorize
from seqtext.data.labels import (
    check_labels,
    describe_empty_names,
    merge_labels,
    normalize_labels,
    sort_labels,
)
from seqtext.data.split import PARTS
from seqtext.errors import UserError

MAX_CLASSES = 10_000  # predictions store a probability per row and class
FEW_CLASSES = 50  # accepted even for half as many rows; more look like ids


@dataclass(frozen=True)
class RawDataset:
    """Hold N rows of a source, memory-mapped.

    texts: [N] as in the source
    labels: [N] int64 class numbers
    text_ids: [N] int64, equal for equal texts, numbered by appearance
    numbers: [N] int64, row numbers in the source, from which rows may have been dropped
    official: [N] int8 index in `PARTS`; None if the source defines no parts
    class_names: names of class 0, 1, …
    notes: sentences about dropped or changed rows
    warnings: sentences about likely errors in the data
    digest: digest of texts, labels, official parts and class names
    """

    texts: pa.ChunkedArray
    labels: np.ndarray
    text_ids: np.ndarray
    numbers: np.ndarray
    official: np.ndarray | None
    class_names: list[str]
    notes: list[str]
    warnings: list[str]
    digest: str

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def load(cls, folder: Path) -> "RawDataset":
        """Memory-map the files written by `write_rows`."""
        facts = json.loads((folder / "facts.json").read_text())
        return cls(
            texts=open_table(folder / "texts.arrow")["text"],
            labels=open_array(folder / "labels.bin", np.int64),
            text_ids=open_array(folder / "text_ids.bin", np.int64),
            numbers=open_array(folder / "numbers.bin", np.int64),
            official=open_array(folder / "official.bin", np.int8) if facts["official"] else None,
            class_names=facts["class_names"],
            notes=facts["notes"],
            warnings=facts["warnings"],
            digest=facts["digest"],
        )


def write_rows(
    blocks: Iterable[pa.Table],
    class_names: Sequence[str] | None,
    source: str,
    folder: Path,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    ignore_case: bool | None = None,
) -> None:
    """Write blocks of rows for `RawDataset.load`; memory use is bounded.

    Args:
        blocks: columns `text` (string) and `label` (class number, or name if `class_names` is
            None); optionally `part` (one of `PARTS`) and `row` (number in the source)
        source: description of the source for messages
        notes, warnings: sentences, read after all blocks
        ignore_case: merge classes that differ only in case or white space; None: the data set has
            no such option

    Raises:
        UserError: if there are no rows, a single class or too many classes, or a row has no text or
            no label.
    """
    columns = _RowCollector(class_names, source)
    schema = pa.schema({"text": pa.string()})
    with (
        pa.OSFile(str(folder / "texts.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        for block in blocks:
            columns.add(block)
            writer.write_table(pa.table({"text": block["text"]}, schema))
    also = "".join(f" {warning}" for warning in warnings)
    if not columns.count:
        raise UserError(f"{source} has no rows: give a file with texts and labels.{also}")
    is_found = class_names is None
    class_names, labels = columns.number_classes(bool(ignore_case))
    if len(class_names) < 2:
        raise UserError(
            f"{source} has rows of one class only: {class_names[0]!r}; give others.{also}"
        )
    notes, warnings = list(notes), list(warnings)
    if is_found:
        notes += describe_empty_names(class_names)
        option = "" if ignore_case is None else "dataset.ignore_label_case=true"
        warnings += check_labels(class_names, option)

    labels.tofile(folder / "labels.bin")
    factorize(np.concatenate(columns.digests)).tofile(folder / "text_ids.bin")
    np.concatenate(columns.numbers).tofile(folder / "numbers.bin")
    if columns.official:
        np.concatenate(columns.official).tofile(folder / "official.bin")
    facts = {
        "class_names": class_names,
        "official": bool(columns.official),
        "notes": notes,
        "warnings": warnings,
        "digest": columns.digest(class_names, labels),
    }
    (folder / "facts.json").write_text(json.dumps(facts))


class _RowCollector:
    """Collects all columns of the rows except their texts."""

    def __init__(self, class_names: Sequence[str] | None, source: str):
        self.class_names, self.source = class_names, source
        self.count = 0
        self.known: dict[str, int] = {}  # number of each class, by appearance
        self.labels: list[Any] = []
        self.digests: list[Any] = []
        self.numbers: list[Any] = []
        self.official: list[Any] = []

    def add(self, block: pa.Table) -> None:
        """Check and add a block of rows."""
        there = block.column_names
        numbers = (
            block["row"].to_numpy()
            if "row" in there
            else np.arange(self.count, self.count + block.num_rows)
        )
        for column in ("text", "label"):
            absent = pc.is_null(block[column])
            if pa.types.is_string(block[column].type) and column == "label":
                absent = pc.equal(pc.fill_null(block[column], ""), "")
            if pc.any(absent).as_py():
                row = numbers[pc.index(absent, True).as_py()]
                raise UserError(f"{self.source}, row {row + 1}, has no {column}: fill or drop it.")
        self.numbers.append(numbers.astype(np.int64))
        self.labels.append(self._number_labels(block["label"]))
        self.digests.append(_hash_each_text(block["text"]))
        if "part" in there:
            index = pc.index_in(block["part"], value_set=pa.array(PARTS))
            self.official.append(index.combine_chunks().to_numpy().astype(np.int8))
        self.count += block.num_rows

    def number_classes(self, ignore_case: bool) -> tuple[list[str], np.ndarray]:
        """Return class names and [rows] class numbers; names found in the rows are sorted.

        Raises:
            UserError: if there are too many different labels for classes.
        """
        labels = np.concatenate(self.labels)
        if self.class_names is not None:
            return list(self.class_names), labels
        counts = np.bincount(labels, minlength=len(self.known)).tolist()
        class_of = merge_labels(dict(zip(self.known, counts, strict=True)), ignore_case)
        ordered = sort_labels(set(class_of.values()))
        if len(ordered) > max(FEW_CLASSES, len(labels) / 2):
            raise self._build_no_classes_error(
                f"{len(ordered):,} different values in {len(labels):,} rows"
            )
        position = {name: number for number, name in enumerate(ordered)}
        return ordered, np.array([position[class_of[label]] for label in self.known])[labels]

    def digest(self, class_names: Sequence[str], labels: np.ndarray) -> str:
        """Return a digest of all rows that is independent of file names and row numbers."""
        digest = blake2b(json.dumps(list(class_names)).encode(), digest_size=16)
        for column in (self.digests, [labels.astype(np.int64)], self.official):
            for block in column:
                digest.update(np.ascontiguousarray(block).data)
            digest.update(b"|")
        return digest.hexdigest()

    def _number_labels(self, labels: pa.ChunkedArray) -> np.ndarray:
        if self.class_names is not None:
            return pc.cast(labels, pa.int64()).to_numpy()
        encoded = normalize_labels(labels).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        numbers = [self.known.setdefault(name, len(self.known)) for name in names]
        if len(self.known) > MAX_CLASSES:
            raise self._build_no_classes_error(f"more than {MAX_CLASSES:,} different values")
        return np.array(numbers, np.int64)[encoded.indices.to_numpy()]

    def _build_no_classes_error(self, count: str) -> UserError:
        such = ", ".join(repr(name[:50]) for name in list(self.known)[:3])
        return UserError(
            f"{self.source}: the label column has {count}, such as {such}: this looks like ids or "
            f"free text; name the column of classes."
        )


def _hash_each_text(texts: pa.ChunkedArray) -> np.ndarray:
    """Return [rows] uint64 hashes; 4,000,000 different texts collide with probability 10⁻⁶."""
    blocks = (chunk.cast(pa.large_binary()).to_pylist() for chunk in texts.chunks)
    digests = (blake2b(text, digest_size=8).digest() for block in blocks for text in block)
    return np.frombuffer(b"".join(digests), np.uint64)
