"""Cleaning as named steps, each a function of a whole column of texts (pyarrow kernels)."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.options import UserError, unknown_option

MOST_IN_PATTERN = 500  # a regular expression has a greatest size


def lower(texts: pa.Array) -> pa.Array:
    """Lower-case, by Unicode's simple case mapping."""
    return pc.utf8_lower(texts)


def strip_html(texts: pa.Array) -> pa.Array:
    """Each ``<…>`` becomes one space (study 4)."""
    return pc.replace_substring_regex(texts, "<[^>]*>", " ")


def keep_letters(texts: pa.Array) -> pa.Array:
    """Everything but ASCII letters becomes a space (study 4)."""
    return pc.replace_substring_regex(texts, "[^a-zA-Z]+", " ")


def drop_single_letters(texts: pa.Array) -> pa.Array:
    """ASCII letters that touch no other letter, digit or underscore become spaces (study 4)."""
    return pc.replace_substring_regex(texts, r"\b[a-zA-Z]\b", " ")


def keras_filter(texts: pa.Array) -> pa.Array:
    """The punctuation that Keras' Tokenizer removes, tab and newline become spaces."""
    return pc.replace_substring_regex(texts, r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\t\n]""", " ")


def squeeze_spaces(texts: pa.Array) -> pa.Array:
    """Runs of white space become one space, those at the ends go (study 4)."""
    squeezed = pc.replace_substring_regex(texts, r"[\s\x0b\x1c-\x1f\x85\pZ]+", " ")
    return pc.utf8_trim(squeezed, " ")


def drop_punctuation(texts: pa.Array) -> pa.Array:
    """ASCII punctuation is taken out, and nothing put in its place (study 5)."""
    return pc.replace_substring_regex(texts, r"[[:punct:]]", "")


def drop_words(texts: pa.Array, words: Sequence[str]) -> pa.Array:
    """These words become spaces where no letter, digit or underscore touches them (study 5)."""
    for pattern in _word_patterns(tuple(words)):
        for _ in range(2):  # of two neighbours that share a space, the first pass finds one
            texts = pc.replace_substring_regex(texts, pattern, r"\1 \2")
    return texts


@cache
def english_stop_words() -> tuple[str, ...]:
    """scikit-learn's list, in lower case."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return tuple(sorted(ENGLISH_STOP_WORDS))


@cache
def _word_patterns(words: tuple[str, ...]) -> list[str]:
    longest_first = sorted(words, key=len, reverse=True)  # don't before don
    edge = r"[^\pL\pN_]"
    parts = [longest_first[i : i + MOST_IN_PATTERN] for i in range(0, len(words), MOST_IN_PATTERN)]
    return [rf"(^|{edge})(?:{'|'.join(map(_escaped, part))})({edge}|$)" for part in parts]


def _escaped(word: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else f"\\x{{{ord(c):x}}}" for c in word)


STEPS: dict[str, Callable[[pa.Array], pa.Array]] = {
    step.__name__: step
    for step in (
        lower,
        strip_html,
        keep_letters,
        drop_single_letters,
        squeeze_spaces,
        keras_filter,
        drop_punctuation,
    )
}
DROP_STOPWORDS = "drop_stopwords"


class Cleaning:
    """Named steps, applied in order.

    Args:
        steps: names in `STEPS`, or "drop_stopwords"
        stopwords: what that one drops; None: scikit-learn's English list

    Raises:
        UserError: if a name is not that of a cleaning step.
    """

    def __init__(self, steps: Sequence[str], stopwords: Sequence[str] | None = None):
        known = [*STEPS, DROP_STOPWORDS]
        for step in steps:
            if step not in known:
                raise UserError(f"dataset.cleaning: {unknown_option(str(step), known)}")
        self.steps = tuple(steps)
        self.stopwords = None if stopwords is None else tuple(stopwords)

    def __call__(self, texts: pa.Array) -> pa.Array:
        """A column of texts, cleaned."""
        for step in self.steps:
            if step == DROP_STOPWORDS:
                texts = drop_words(texts, self.stopwords or english_stop_words())
            else:
                texts = STEPS[step](texts)
        return texts

    def settings(self) -> dict[str, list[str] | None]:
        """The arguments, as plain values."""
        stopwords = None if self.stopwords is None else list(self.stopwords)
        return {"steps": list(self.steps), "stopwords": stopwords}


def read_stopwords(path: str) -> list[str]:
    """The words of a file, one or more a line.

    Raises:
        UserError: if it is missing, empty or not UTF-8.
    """
    try:
        words = Path(path).expanduser().read_text(encoding="utf-8-sig").split()
    except OSError as error:
        raise UserError(f"dataset.stopwords={path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"dataset.stopwords={path} is not UTF-8 text: save it as UTF-8.") from error
    if not words:
        raise UserError(f"dataset.stopwords={path} holds no words: write one word a line.")
    return sorted(set(words))
