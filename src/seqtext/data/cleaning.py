"""Clean texts by named steps of operations on whole columns (pyarrow kernels)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.errors import UserError, build_unknown_option_error

MAX_IN_PATTERN = 500  # words; RE2 limits the size of a regular expression


@dataclass(frozen=True)
class RegexReplace:
    """Replaces all matches of a regular expression.

    pattern: regular expression in RE2's syntax, which pyarrow uses
    by: replacement; ``\\1`` is the first group
    python: the equivalent pattern for Python's re, if it differs
    """

    pattern: str
    by: str
    python: str = ""

    def __call__(self, texts: pa.Array) -> pa.Array:
        return pc.replace_substring_regex(texts, self.pattern, self.by)

    def settings(self) -> dict[str, str]:
        """Return the operation as plain values, for other programs."""
        pattern = self.python or self.pattern
        return {"operation": "replace", "pattern": pattern, "by": self.by}


class Lowercase:
    """Lowercases each character separately (Unicode's simple case mapping)."""

    def __call__(self, texts: pa.Array) -> pa.Array:
        return pc.utf8_lower(texts)

    def settings(self) -> dict[str, str]:
        """Return the operation as plain values, for other programs."""
        return {"operation": "lower"}


class Strip:
    """Strips spaces at both ends."""

    def __call__(self, texts: pa.Array) -> pa.Array:
        return pc.utf8_trim(texts, " ")

    def settings(self) -> dict[str, str]:
        """Return the operation as plain values, for other programs."""
        return {"operation": "trim", "characters": " "}


def expand_code_points(pattern: str) -> str:
    r"""Replace each ``\\x{…}`` in a pattern by its character, which all syntaxes understand."""
    return re.sub(r"\\x\{(\w+)\}", lambda found: chr(int(found[1], 16)), pattern)


Operation = RegexReplace | Lowercase | Strip
KERAS = r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\t\n]"""
PUNCTUATION = r"[!-/:-@\[-`{-~]"
SPACES = r"[\s\x0b\x1c-\x1f\x85\pZ]+"
# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Chinese characters.
UNSPACED = (
    r"[\x{e00}-\x{eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}\x{3005}-\x{3007}\x{3040}-\x{30ff}"
    r"\x{31f0}-\x{31ff}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}\x{20000}-\x{323af}]"
)
CLEANING_STEPS: dict[str, list[Operation]] = {
    "lower": [Lowercase()],
    # Each <…> becomes one space.
    "strip_html": [RegexReplace("<[^>]*>", " ")],
    # Everything but ASCII letters becomes a space.
    "keep_letters": [RegexReplace("[^a-zA-Z]+", " ")],
    # ASCII letters that touch no other letter, digit or underscore become spaces.
    "drop_single_letters": [RegexReplace(r"\b[a-zA-Z]\b", " ", python=r"(?a:\b[a-zA-Z]\b)")],
    # Runs of white space become one space; white space at both ends is removed.
    "squeeze_spaces": [RegexReplace(SPACES, " ", python=r"\s+"), Strip()],
    # The punctuation that Keras' Tokenizer removes, tab and newline become spaces.
    "keras_filter": [RegexReplace(KERAS, " ")],
    # ASCII punctuation is removed without a replacement.
    "drop_punctuation": [RegexReplace(PUNCTUATION, "")],
    # Each character of a script without spaces between words becomes a word.
    "separate_characters": [
        RegexReplace(f"({UNSPACED})", r" \1 ", python=expand_code_points(f"({UNSPACED})"))
    ],
}


@cache
def build_word_removal(words: tuple[str, ...]) -> list[Operation]:
    """Build operations that replace whole words by spaces."""
    longest_first = sorted(words, key=len, reverse=True)  # don't before don
    parts = [longest_first[i : i + MAX_IN_PATTERN] for i in range(0, len(words), MAX_IN_PATTERN)]
    passes = [[_build_removal_pass(part)] * 2 for part in parts]
    return [each for both in passes for each in both]  # twice: adjacent matches may share a space


def _build_removal_pass(words: Sequence[str]) -> RegexReplace:
    patterns = []
    for edge, escaped in ((r"[^\pL\pN_]", _escape_for_re2), (r"\W", re.escape)):
        patterns.append(rf"(^|{edge})(?:{'|'.join(map(escaped, words))})({edge}|$)")
    return RegexReplace(patterns[0], r"\1 \2", python=patterns[1])


def _escape_for_re2(word: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else f"\\x{{{ord(c):x}}}" for c in word)


@cache
def get_english_stop_words() -> tuple[str, ...]:
    """Return scikit-learn's English stop words, in lower case."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return tuple(sorted(ENGLISH_STOP_WORDS))


DROP_STOPWORDS = "drop_stopwords"


class TextCleaner:
    """Cleans texts by named steps, in order.

    Args:
        steps: names in `CLEANING_STEPS`, or "drop_stopwords"
        stopwords: words that "drop_stopwords" removes; None: scikit-learn's English list

    Raises:
        UserError: if a name is not that of a cleaning step.
    """

    def __init__(self, steps: Sequence[str], stopwords: Sequence[str] | None = None):
        known = [*CLEANING_STEPS, DROP_STOPWORDS]
        for step in steps:
            if step not in known:
                raise UserError(f"dataset.cleaning: {build_unknown_option_error(str(step), known)}")
        self.steps = tuple(steps)
        self.stopwords = None if stopwords is None else tuple(stopwords)

    def __call__(self, texts: pa.Array) -> pa.Array:
        """Clean a column of texts."""
        for operation in self.operations():
            texts = operation(texts)
        return texts

    def operations(self) -> list[Operation]:
        """Return all operations in order."""
        return [operation for _, operation in self._iter_operations()]

    def list_operations(self) -> list[dict[str, str]]:
        """Return all operations in order, for other programs; patterns are Python's."""
        return [
            {"step": step, **operation.settings()} for step, operation in self._iter_operations()
        ]

    def _iter_operations(self) -> Iterator[tuple[str, Operation]]:
        """Yield (name of the step, operation)."""
        for step in self.steps:
            words = self.stopwords or get_english_stop_words() if step == DROP_STOPWORDS else ()
            for operation in CLEANING_STEPS.get(step) or build_word_removal(words):
                yield step, operation

    def settings(self) -> dict[str, list[str] | None]:
        """Return the arguments as plain values."""
        stopwords = None if self.stopwords is None else list(self.stopwords)
        return {"steps": list(self.steps), "stopwords": stopwords}


def read_stopwords(path: str) -> list[str]:
    """Read the words of a file, one or more per line.

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
