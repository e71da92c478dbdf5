"""Normalize class labels, so that a class has one spelling in all file formats."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.display import count_noun
from seqtext.errors import UserError

# How tools write a missing value; pandas reads the same ones as missing. They are case-sensitive:
# "none" is a class of many data sets.
MISSING_LABELS = frozenset(
    [
        *("", "None", "NaN", "nan", "-NaN", "-nan", "NA", "N/A", "n/a", "<NA>", "NULL", "null"),
        *("#NA", "#N/A", "#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    ]
)
WHOLE_NUMBER = re.compile(r"([+-]?)(0|[1-9][0-9]*)(?:\.0+)?")
NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
BOOLEANS = {"false": "0", "true": "1"}
MAX_NAMED = 5  # labels shown in a message


def normalize_label(label: object) -> str:
    """Return the canonical spelling of a label: 1, 1.0, "+1" and " 1 " are "1", True is "true".

    A number with leading zeros is a code and does not change.
    """
    text = str(label).strip()
    if text.lower() in BOOLEANS:
        return text.lower()
    if found := WHOLE_NUMBER.fullmatch(text):
        sign = "-" if found[1] == "-" and found[2] != "0" else ""
        return sign + found[2]
    return text


def normalize_labels(labels: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return [rows] labels normalized by `normalize_label`; null is the empty string."""
    encoded = _encode(labels)
    spellings = [normalize_label(label) for label in encoded.dictionary.to_pylist()]
    return pa.array(spellings, pa.string()).take(encoded.indices)


def find_labels(labels: pa.Array | pa.ChunkedArray, wanted: Callable[[str], bool]) -> np.ndarray:
    """Return [rows] bool, the results of `wanted`, which is called once per distinct label."""
    encoded = _encode(labels)
    is_wanted = np.array([wanted(label) for label in encoded.dictionary.to_pylist()], bool)
    return is_wanted[encoded.indices.to_numpy()]


def casefold_label(label: str) -> str:
    """Return a key for comparing labels without case, white space and invisible characters."""
    visible = "".join(c for c in label if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).casefold().split())


def is_missing_label(label: str, kept: Collection[str] = ()) -> bool:
    """Return whether a normalized label represents a missing value.

    Args:
        kept: class names that look like missing values
    """
    return label in MISSING_LABELS and (not label or label not in kept)


def is_number(label: str) -> bool:
    """Return whether a label is a decimal number."""
    return NUMBER.fullmatch(label) is not None


def are_booleans(class_names: Collection[str]) -> bool:
    """Return whether the classes are exactly true and false."""
    return set(class_names) == set(BOOLEANS)


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Sort numbers by value, then all other labels alphabetically."""

    def key(label: str) -> tuple[bool, float, str]:
        return (False, float(label), label) if is_number(label) else (True, 0.0, label)

    return sorted(labels, key=key)


def merge_labels(counts: Mapping[str, int], ignore_case: bool = False) -> dict[str, str]:
    """Map each normalized label to the name of its class.

    Among numbers, true and false are 1 and 0.

    Args:
        counts: number of rows of each label
        ignore_case: merge labels that differ only in case or white space, under the most frequent
            spelling
    """
    others = [label for label in counts if label not in BOOLEANS]
    of_numbers = bool(others) and all(map(is_number, others))
    classes = {label: BOOLEANS.get(label, label) if of_numbers else label for label in counts}
    if ignore_case:
        names: dict[str, str] = {}
        for spellings in _group(classes.values(), casefold_label):
            names |= dict.fromkeys(
                spellings, max(sorted(spellings), key=lambda s: counts.get(s, 0))
            )
        classes = {label: names[name] for label, name in classes.items()}
    return classes


def find_class(label: str, class_names: Sequence[str], ignore_case: bool = False) -> str | None:
    """Return the class of a normalized label; None if there is none or more than one.

    An exact class name has priority. True and false match the classes 1 and 0, and vice versa,
    whatever the order of the classes.
    """
    if label in class_names:
        return label
    if label in BOOLEANS and all(map(is_number, class_names)):
        return BOOLEANS[label] if BOOLEANS[label] in class_names else None
    if label in BOOLEANS.values() and are_booleans(class_names):
        return next(name for name in BOOLEANS if BOOLEANS[name] == label)
    if not ignore_case:
        return None
    found = [name for name in class_names if casefold_label(name) == casefold_label(label)]
    return found[0] if len(found) == 1 else None


def check_labels(class_names: Sequence[str], ignore_case_option: str = "") -> list[str]:
    """Return warnings about suspicious classes.

    Args:
        ignore_case_option: option that merges classes that differ only in case; empty: none
    """
    warnings = []
    if alike := [each for each in _group(class_names, casefold_label) if len(each) > 1]:
        merged = f"; {ignore_case_option} makes each of these one class"
        warnings.append(
            f"Classes differ in case or white space only: {_name(alike)}"
            f"{merged if ignore_case_option else ''}."
        )
    numbers = [name for name in class_names if is_number(name)]
    if equal := [each for each in _group(numbers, float) if len(each) > 1]:
        warnings.append(f"Classes are equal as numbers: {_name(equal)}; write each in one way.")
    if several := find_several_labels(class_names):
        warnings.append(
            f"Some labels look like several in one ({', '.join(map(repr, several[:MAX_NAMED]))}): "
            f"each row has exactly one class here, and each of these labels is a separate class."
        )
    return warnings


def describe_empty_names(class_names: Sequence[str]) -> list[str]:
    """Return notes about classes whose names may mean that a label is missing."""
    return [
        f"The label {name!r} is a class like the others: dataset.drop_labels=[{name}] leaves its "
        f"rows out."
        for name in class_names
        if casefold_label(name) in {casefold_label(label) for label in MISSING_LABELS}
    ]


def find_several_labels(class_names: Sequence[str]) -> list[str]:
    """Return labels that are lists, or join other labels, such as "a|b" beside "a" and "b"."""
    found = [name for name in class_names if re.fullmatch(r"\[.*\]|\{.*\}", name, re.DOTALL)]
    for sign in "|;,":
        parts_of = {name: [part.strip() for part in name.split(sign)] for name in class_names}
        times = Counter(part for parts in parts_of.values() for part in set(parts))
        found += [
            name
            for name, parts in parts_of.items()
            if len(parts) > 1 and all(part and times[part] > 1 for part in parts)
        ]
    return list(dict.fromkeys(found))


class LabelFilter:
    """Drops the rows of some classes and counts them.

    Args:
        drop: labels as typed by the user
        class_names: names of class 0, 1, …; None: the blocks contain names instead of numbers

    Raises:
        UserError: if `class_names` is given and a label is not in it.
    """

    def __init__(self, drop: Sequence[object], class_names: Sequence[str] | None):
        self.drop = [normalize_label(label) for label in drop]
        self.all_names = self.class_names = class_names
        if class_names is not None:
            if unknown := [label for label in self.drop if label not in class_names]:
                raise UserError(
                    f"dataset.drop_labels: {unknown[0]!r} is none of the classes "
                    f"{', '.join(class_names)}."
                )
            self.class_names = [name for name in class_names if name not in self.drop]
        self.counts: Counter[str] = Counter()

    def filter_rows(self, blocks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the remaining rows of blocks, in the format of `write_rows`."""
        if not self.drop:
            yield from blocks
            return
        start = 0
        for block in blocks:
            numbers = pa.array(range(start, start + block.num_rows), pa.int64())
            start += block.num_rows
            has_numbers = "row" in block.column_names
            yield self._filter_block(block if has_numbers else block.append_column("row", numbers))

    def _filter_block(self, block: pa.Table) -> pa.Table:
        if self.all_names is None or self.class_names is None:
            names = normalize_labels(block["label"])
            kept = ~find_labels(names, lambda label: label in self.drop)
            self.counts.update(names.filter(pa.array(~kept)).to_pylist())
            return block.filter(pa.array(kept))
        old = pc.cast(block["label"], pa.int64()).to_numpy()
        number = {name: place for place, name in enumerate(self.class_names)}
        new = np.array([number.get(name, -1) for name in self.all_names], np.int64)[old]
        self.counts.update(self.all_names[place] for place in old[new < 0])
        place = block.column_names.index("label")
        return block.set_column(place, "label", pa.array(new)).filter(pa.array(new >= 0))

    def notes(self) -> list[str]:
        """Return a sentence for each dropped label."""
        return [
            f"{count_noun(self.counts[label], 'row')} with the label {label!r} left out "
            f"(dataset.drop_labels)."
            for label in self.drop
        ]


def _encode(labels: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    if isinstance(labels, pa.ChunkedArray):
        labels = labels.combine_chunks()
    return pc.fill_null(pc.cast(labels, pa.string()), "").dictionary_encode()


def _group(labels: Iterable[str], key: Callable[[str], object]) -> list[list[str]]:
    groups = defaultdict(list)
    for label in dict.fromkeys(labels):
        groups[key(label)].append(label)
    return list(groups.values())


def _name(groups: Sequence[Sequence[str]]) -> str:
    named = [" and ".join(map(repr, group[:MAX_NAMED])) for group in groups[:MAX_NAMED]]
    return "; ".join(named) + ("; …" if len(groups) > MAX_NAMED else "")
