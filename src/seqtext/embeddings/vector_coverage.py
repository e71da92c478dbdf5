"""Explain low vocabulary coverage of a file of word vectors."""

from collections.abc import Sequence

import numpy as np

from seqtext.display import make_printable

MIN_COVERAGE = 0.1  # share of the words; less causes a warning


def explain_coverage(words: Sequence[str], known: np.ndarray, sample: Sequence[str]) -> str:
    """Return a sentence with the likely reason of low coverage, or "" if coverage is sufficient.

    Args:
        words: words of the vocabulary, most frequent first
        known: [words] bool, whether a word has a vector
        sample: some words of the file, in its spelling
    """
    missing = [word for word, is_known in zip(words, known, strict=True) if not is_known]
    if not missing or known.sum() >= MIN_COVERAGE * len(known):
        return ""
    pairs = _find_other_case(missing, sample)
    if len(pairs) > known.sum():
        ours, theirs = pairs[0]
        advice = (
            "take vectors of lower-case words, or leave the step lower out of dataset.cleaning"
            if ours == ours.lower()
            else "add the step lower to dataset.cleaning"
        )
        return (
            f"The file writes words in other upper and lower case ({_show(theirs)} where the texts "
            f"have {_show(ours)}): {advice}."
        )
    theirs = next((word for word in sample if word.isalpha()), sample[0] if sample else "")
    return (
        f"The file's words are such as {_show(theirs)}, those of the texts such as "
        f"{_show(missing[0])}: are they of the same language, and cleaned alike?"
    )


def _find_other_case(missing: Sequence[str], sample: Sequence[str]) -> list[tuple[str, str]]:
    """Pair words with the file's spellings that differ only in case."""
    spellings = {word.lower(): word for word in reversed(sample)}
    pairs = [(word, spellings.get(word.lower())) for word in missing]
    return [(ours, theirs) for ours, theirs in pairs if theirs is not None]


def _show(word: str) -> str:
    return make_printable(repr(word))
