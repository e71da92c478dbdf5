"""Measure how many texts have no words left after cleaning, and how many tokens are known."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

MAX_UNKNOWN = 0.1  # maximum share of unknown tokens of a part before a warning
MAX_RARE = 0.001  # a larger share in the training part: the vocabulary's size is limited


class Coverage(NamedTuple):
    """Counts of a group of encoded texts.

    texts: number of texts
    empty: number of texts without words after cleaning
    words: number of tokens, without truncated ones
    known: number of tokens that are in the vocabulary
    """

    texts: int = 0
    empty: int = 0
    words: int = 0
    known: int = 0

    @property
    def unknown(self) -> float:
        """Return the share of tokens that are not in the vocabulary; 0 without tokens."""
        return 1 - self.known / self.words if self.words else 0.0

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
    coverage: Mapping[str, Coverage], cleaning: Sequence[str], reads_vocabulary: bool = True
) -> list[str]:
    """Return warnings if texts are empty, or many tokens are unknown.

    Args:
        coverage: coverage of each part
        cleaning: names of the cleaning steps
        reads_vocabulary: whether unknown tokens are one token for the model
    """
    warnings = []
    total = sum(coverage.values(), Coverage())
    if total.empty:
        share = total.empty / total.texts
        warnings.append(
            f"{total.empty:,} of {total.texts:,} texts ({share:.1%}) have no words left after "
            f"cleaning: dataset.cleaning=[{','.join(cleaning)}] may not suit their script or "
            f"content."
        )
    if not reads_vocabulary:
        return warnings
    train, val = (coverage.get(part, Coverage()) for part in ("train", "val"))
    is_limited = train.unknown > MAX_RARE  # words of the training part are left out
    if max(train.unknown, val.unknown) > MAX_UNKNOWN:
        advice = "raise tokenizer.vocab_size, or choose" if is_limited else "choose"
        warnings.append(
            f"{train.unknown:.1%} of the tokens of the training part and {val.unknown:.1%} of the "
            f"validation part are not in the vocabulary, and the model cannot tell them apart: "
            f"{advice} tokenizer=bpe or embedding=ngrams."
        )
    return warnings
