"""Cleaning as named steps, each a function of a whole column of texts (pyarrow kernels)."""

from collections.abc import Callable, Sequence
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.options import UserError, unknown_option


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


def drop_stopwords(texts: pa.Array) -> pa.Array:
    """The English stop words of scikit-learn's list, in lower case, become spaces (study 5)."""
    return pc.replace_substring_regex(texts, _stopword_pattern(), " ")


@cache
def _stopword_pattern() -> str:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return rf"\b(?:{'|'.join(sorted(ENGLISH_STOP_WORDS))})\b"


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
        drop_stopwords,
    )
}


def check_steps(names: Sequence[str]) -> None:
    """Raises:
    UserError: if a name is not that of a cleaning step.
    """
    for name in names:
        if name not in STEPS:
            raise UserError(f"dataset.cleaning: {unknown_option(str(name), list(STEPS))}")


def clean(texts: pa.Array, names: Sequence[str]) -> pa.Array:
    """Apply the named steps in order."""
    for name in names:
        texts = STEPS[name](texts)
    return texts
