"""Which texts are the same: as they are written, and as a model reads them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class DuplicateStats(NamedTuple):
    """Texts that stand in several rows.

    rows: how many rows repeat the text of an earlier one as it is written
    conflicting: how many texts have unlike labels
    in_test: how many test rows have a text that stands in the training or validation part too
    cleaned: how many more rows repeat the words of an earlier one, after cleaning
    """

    rows: int
    conflicting: int
    in_test: int
    cleaned: int = 0


def hash_texts(lengths: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return [texts] uint64, equal where the words are the same, in the same order.

    Of 4,000,000 unlike texts two are equal once in 10⁶ times.

    Args:
        lengths: [texts] words in each text; one without words has 0
        codes: [sum of lengths] their words, numbered from 0, less than 2³¹
    """
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(codes), dtype=np.uint64) - np.repeat(starts, lengths).astype(np.uint64)
    places |= codes.astype(np.uint64) << np.uint64(32)
    hashes = np.zeros(len(lengths), np.uint64)
    has_words = lengths > 0
    if has_words.any():
        hashes[has_words] = np.add.reduceat(_mix(places), starts[has_words])
    return hashes


def assign_text_ids(hashes: np.ndarray, lengths: np.ndarray, written: np.ndarray) -> np.ndarray:
    """Return [texts] the same number for texts with the same words, in order of appearance.

    Texts without words are the same where they are written alike: they may differ in what cleaning
    removed, and together they could fill a part.

    Args:
        hashes: see `hash_texts`
        written: [texts] equal where texts are written alike
    """
    is_empty = lengths == 0
    keys = hashes.copy()
    keys[is_empty] = _mix(written[is_empty].astype(np.uint64) | np.uint64(1 << 63))
    return factorize(keys)


def factorize(values: np.ndarray) -> np.ndarray:
    """Return [rows] the same number for the same value; the first is 0, the next new one 1, …"""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def count_repeats(
    written: np.ndarray, read: np.ndarray, labels: np.ndarray, parts: Mapping[Any, np.ndarray]
) -> DuplicateStats:
    """Return how often texts repeat.

    Args:
        written, read: [rows] equal where texts are written alike, and where they have the same
            words after cleaning; both numbered from 0
        labels: [rows] class numbers
        parts: row numbers of each
    """
    classes = int(labels.max()) + 1
    texts_with_labels = np.unique(read * classes + labels) // classes
    labels_of_text = np.bincount(texts_with_labels)
    used = np.zeros(len(labels_of_text), bool)
    used[read[parts["train"]]] = used[read[parts["val"]]] = True
    written_alike = len(written) - int(written.max()) - 1
    return DuplicateStats(
        rows=written_alike,
        conflicting=int((labels_of_text > 1).sum()),
        in_test=int(used[read[parts["test"]]].sum()),
        cleaned=len(read) - len(labels_of_text) - written_alike,
    )


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Change uint64 numbers, in place, to others that look random (SplitMix64's finalizer)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers ^= numbers >> np.uint64(shift)
        numbers *= np.uint64(factor)
    numbers ^= numbers >> np.uint64(31)
    return numbers
