"""Each character of a cleaned text is traced to the original text."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtext.data.cleaning import CLEANING_STEPS, DROP_STOPWORDS, TextCleaner
from seqtext.data.cleaning_origins import find_origins

STEPS = [*CLEANING_STEPS, DROP_STOPWORDS]


def trace(text: str, *steps: str) -> dict[str, str]:
    """Return the original of each cleaned word."""
    cleaned, origins = find_origins(TextCleaner(steps), text)
    words, start = {}, 0
    for word in cleaned.split():
        start = cleaned.index(word, start)
        stop = start + len(word)
        words[word] = text[origins[start, 0] : origins[stop - 1, 1]]
        start = stop
    return words


def test_words_are_found_in_the_original_text():
    text = "<b>The</b> film, isn't GOOD:  a 10/10!"
    assert trace(text, "strip_html", "lower", "keras_filter", DROP_STOPWORDS) == {
        "film": "film", "isn't": "isn't", "good": "GOOD", "10": "10",
    }  # fmt: skip
    assert trace(text, "strip_html", "lower", "drop_punctuation")["isnt"] == "isn't"
    assert trace("好电影 Film", "separate_characters", "lower") == {
        "好": "好", "电": "电", "影": "影", "film": "Film",
    }  # fmt: skip


@given(
    st.text("ab Is\t\n\u00a0é🙂\u0301<>!.1电İ", max_size=30),
    st.lists(st.sampled_from(STEPS), max_size=4),
)
def test_the_cleaned_text_is_the_cleaners(text, steps):
    cleaner = TextCleaner(steps)
    cleaned, origins = find_origins(cleaner, text)
    assert [cleaned] == cleaner(pa.array([text])).to_pylist()
    assert origins.shape == (len(cleaned), 2)
    assert ((origins >= 0) & (origins <= len(text))).all()
    if "lower" not in steps:
        for character, (start, stop) in zip(cleaned, origins, strict=True):
            assert character == " " or character in text[start:stop]


@pytest.mark.parametrize("text", ["", " ", "!!"])
def test_nothing_left(text):
    cleaned, origins = find_origins(TextCleaner(["keras_filter", "squeeze_spaces"]), text)
    assert (cleaned, len(origins)) == ("", 0)
