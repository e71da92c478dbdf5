"""Measure how many words are left after cleaning, and how many of them are known."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

MIN_KNOWN = 0.1  # minimum known-word share of the validation part before warning
MAX_EMPTY = 0.01  # maximum share of empty texts before warning


class Coverage(NamedTuple):
    """Counts of a group of encoded texts.

    texts: number of texts
    empty: number of texts without words after cleaning
    words: number of words, without truncated ones
    known: number of words that are in the vocabulary
    """

    texts: int = 0
    empty: int = 0
    words: int = 0
    known: int = 0

    def __add__(self, other: "Coverage") -> "Coverage":  # type: ignore[override]
        return Coverage(*(a + b for a, b in zip(self, other, strict=True)))


def measure_coverage(
    is_known: np.ndarray, lengths: np.ndarray, is_empty: np.ndarray, groups: np.ndarray, count: int
) -> list[Coverage]:
    """Return the coverage of each group of encoded texts.

    Args:
        is_known: [sum of lengths] whether a word is known; an empty text is one unknown word
        lengths: [texts] at least 1
        is_empty: [texts] whether no word is left after cleaning
        groups: [texts] group of each text, 0 to `count` - 1; texts with other numbers are ignored
    """
    known = np.add.reduceat(is_known, np.cumsum(lengths) - lengths, dtype=np.int64)
    columns = (np.ones(len(lengths)), is_empty, lengths - is_empty, known)
    sums = [np.bincount(groups, column, count + 1)[:count].astype(int) for column in columns]
    return [Coverage(*of_group) for of_group in zip(*(each.tolist() for each in sums), strict=True)]


def describe_coverage(
    coverage: Mapping[str, Coverage], cleaning: Sequence[str]
) -> tuple[int, str] | None:
    """Return a log level and a sentence if texts are empty or nearly no word is known.

    Args:
        coverage: coverage of each part
        cleaning: names of the cleaning steps
    """
    total = sum(coverage.values(), Coverage())
    facts, hints = [], []
    if total.empty:
        share = total.empty / total.texts
        facts.append(
            f"{total.empty:,} of {total.texts:,} texts ({share:.1%}) have no words left after "
            f"cleaning"
        )
        if share > MAX_EMPTY:
            hints.append(
                f"dataset.cleaning=[{','.join(cleaning)}] may not suit their script or content"
            )
    val = coverage.get("val", Coverage())
    if is_unknown := val.texts > 0 and val.known < MIN_KNOWN * max(val.words, 1):
        share = val.known / max(val.words, 1)
        facts.append(f"{share:.1%} of the words of the validation part are known")
        if val.words:
            hints.append(
                "are these texts without spaces between words (Chinese, Japanese, Thai)? Then "
                "add separate_characters to dataset.cleaning"
            )
    if not facts:
        return None
    is_serious = is_unknown or total.empty > MAX_EMPTY * total.texts
    level = logging.WARNING if is_serious else logging.INFO
    return level, "; ".join([" and ".join(facts), *hints]) + "."
