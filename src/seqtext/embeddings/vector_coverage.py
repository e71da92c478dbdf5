"""Why a file of word vectors has few of the words that are wanted."""

from collections.abc import Sequence

import numpy as np

from seqtext.display import make_printable

MIN_COVERAGE = 0.1  # of the words; fewer are worth a warning


def explain_coverage(words: Sequence[str], known: np.ndarray, sample: Sequence[str]) -> str:
    """Return the likely reason why few words have a vector, as a sentence; "" where many have one.

    Args:
        words: wanted, the most frequent first
        known: [words] bool, which of them have a vector
        sample: some words of the file as they are written there
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
    """Pair words with the file's spellings that differ from them in nothing but case."""
    spellings = {word.lower(): word for word in reversed(sample)}
    pairs = [(word, spellings.get(word.lower())) for word in missing]
    return [(ours, theirs) for ours, theirs in pairs if theirs is not None]


def _show(word: str) -> str:
    return make_printable(repr(word))
