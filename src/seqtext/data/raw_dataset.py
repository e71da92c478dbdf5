"""The rows of a source on disk: texts, labels, official parts, and which texts are equal."""

import json
from collections.abc import Iterable, Iterator, Sequence
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

MAX_CLASSES = 10_000  # a probability of each class is kept for each row
FEW_CLASSES = 50  # may be as many as half the rows: a small file is no column of ids


@dataclass(frozen=True)
class RawDataset:
    """N rows of a source, memory-mapped.

    texts: [N] as they are in the source
    labels: [N] int64 class numbers
    text_ids: [N] int64, equal where texts are equal as written, in order of appearance
    numbers: [N] int64, row numbers in the source, whose rows without a text may be left out
    official: [N] int8 index in `PARTS`; None: the source does not say
    class_names: of class 0, 1, …
    notes: what there was to say when they were read
    warnings: what was likely wrong
    digest: of texts, labels, official parts and class names
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
        """Memory-map what `write_rows` wrote."""
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
    """Write blocks of rows for `RawDataset.load`, in bounded memory.

    Args:
        blocks: columns `text` (string) and `label`: class numbers, or names where `class_names`
            is None; optionally `part` (one of `PARTS`) and `row` (number in the source)
        source: in words, for messages
        notes, warnings: read when all blocks are through
        ignore_case: classes that differ in case or white space only are one; None: the data set
            has no such option

    Raises:
        UserError: if there are no rows, or one class, or too many; naming the row without text or
            label.
    """
    columns = _Columns(class_names, source)
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
    class_names, labels = columns.named_labels(bool(ignore_case))
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


class _Columns:
    """Everything of the rows but their texts."""

    def __init__(self, class_names: Sequence[str] | None, source: str):
        self.class_names, self.source = class_names, source
        self.count = 0
        self.known: dict[str, int] = {}  # classes in order of appearance
        self.labels: list[Any] = []
        self.digests: list[Any] = []
        self.numbers: list[Any] = []
        self.official: list[Any] = []

    def add(self, block: pa.Table) -> None:
        """Check a block of rows and take it up."""
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
        self.labels.append(self._numbered(block["label"]))
        self.digests.append(_digests(block["text"]))
        if "part" in there:
            index = pc.index_in(block["part"], value_set=pa.array(PARTS))
            self.official.append(index.combine_chunks().to_numpy().astype(np.int8))
        self.count += block.num_rows

    def named_labels(self, ignore_case: bool) -> tuple[list[str], np.ndarray]:
        """Class names, and [rows] numbers of classes: those found, in order, unless given.

        Raises:
            UserError: if labels are so many that they cannot be classes.
        """
        labels = np.concatenate(self.labels)
        if self.class_names is not None:
            return list(self.class_names), labels
        counts = np.bincount(labels, minlength=len(self.known)).tolist()
        class_of = merge_labels(dict(zip(self.known, counts, strict=True)), ignore_case)
        ordered = sort_labels(set(class_of.values()))
        if len(ordered) > max(FEW_CLASSES, len(labels) / 2):
            raise self._no_classes(f"{len(ordered):,} different values in {len(labels):,} rows")
        position = {name: number for number, name in enumerate(ordered)}
        return ordered, np.array([position[class_of[label]] for label in self.known])[labels]

    def digest(self, class_names: Sequence[str], labels: np.ndarray) -> str:
        """Return a digest of all rows; the names and numbers of files and rows do not count."""
        digest = blake2b(json.dumps(list(class_names)).encode(), digest_size=16)
        for column in (self.digests, [labels.astype(np.int64)], self.official):
            for block in column:
                digest.update(np.ascontiguousarray(block))
            digest.update(b"|")
        return digest.hexdigest()

    def _numbered(self, labels: pa.ChunkedArray) -> np.ndarray:
        if self.class_names is not None:
            return pc.cast(labels, pa.int64()).to_numpy()
        encoded = normalize_labels(labels).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        numbers = [self.known.setdefault(name, len(self.known)) for name in names]
        if len(self.known) > MAX_CLASSES:
            raise self._no_classes(f"more than {MAX_CLASSES:,} different values")
        return np.array(numbers, np.int64)[encoded.indices.to_numpy()]

    def _no_classes(self, count: str) -> UserError:
        such = ", ".join(repr(name[:50]) for name in list(self.known)[:3])
        return UserError(
            f"{self.source}: the label column has {count}, such as {such}: this looks like ids or "
            f"free text; name the column of classes."
        )


def _digests(texts: pa.ChunkedArray) -> np.ndarray:
    """Hash texts: [rows] uint64; two of 4,000,000 unlike ones collide once in 10⁶ times."""
    digests = (blake2b(text, digest_size=8).digest() for text in _bytes(texts))
    return np.frombuffer(b"".join(digests), np.uint64)


def _bytes(texts: pa.ChunkedArray) -> Iterator[memoryview]:
    for chunk in texts.chunks:
        _, offsets, content = chunk.buffers()
        if content is None:  # empty texts only
            yield from [memoryview(b"")] * len(chunk)
            continue
        width = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
        ends = np.frombuffer(offsets, width)[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
        view = memoryview(content)
        yield from (view[ends[i] : ends[i + 1]] for i in range(len(chunk)))
