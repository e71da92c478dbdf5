"""Find duplicate texts, both as written and as a model reads them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class DuplicateStats(NamedTuple):
    """Counts of duplicate texts.

    rows: number of rows with the same text as an earlier row
    conflicting: number of texts with different labels
    in_test: number of test rows whose text is also in the training or validation part
    cleaned: number of additional rows with the same words as an earlier row after cleaning
    """

    rows: int
    conflicting: int
    in_test: int
    cleaned: int = 0


def hash_texts(lengths: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return [texts] uint64 hashes, equal for the same sequence of words.

    The probability of a collision among 4,000,000 different texts is about 10⁻⁶.

    Args:
        lengths: [texts] number of words of each text, may be 0
        codes: [sum of lengths] word indices from 0, less than 2³¹
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
    """Return [texts] ids, equal for texts with the same words, numbered by appearance.

    Texts without words are compared as written: they may differ only in removed characters, and as
    one group they could fill a whole part of the split.

    Args:
        hashes: see `hash_texts`
        written: [texts] equal for texts that are equal as written
    """
    is_empty = lengths == 0
    keys = hashes.copy()
    keys[is_empty] = _mix(written[is_empty].astype(np.uint64) | np.uint64(1 << 63))
    return factorize(keys)


def factorize(values: np.ndarray) -> np.ndarray:
    """Return [rows] numbers of the values: 0 for the first value, 1 for the next new one, …"""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def count_repeats(
    written: np.ndarray, read: np.ndarray, labels: np.ndarray, parts: Mapping[Any, np.ndarray]
) -> DuplicateStats:
    """Count duplicate texts.

    Args:
        written: [rows] ids of texts as written, numbered from 0
        read: [rows] ids of texts by their words after cleaning, numbered from 0
        labels: [rows] class numbers
        parts: row numbers of each part
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
    """Mix the bits of uint64 numbers in place (SplitMix64's finalizer)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers ^= numbers >> np.uint64(shift)
        numbers *= np.uint64(factor)
    numbers ^= numbers >> np.uint64(31)
    return numbers
