"""Each cleaning step equals a plain-Python reference, on strange texts too."""

import re
import string

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from seqtext.data.cleaning import STEPS, check_steps, clean
from seqtext.options import UserError

STOPWORDS = re.compile(rf"\b(?:{'|'.join(sorted(ENGLISH_STOP_WORDS))})\b", re.ASCII)
KERAS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
REFERENCE = {
    "strip_html": lambda text: re.sub("<[^>]*>", " ", text),
    "keep_letters": lambda text: re.sub("[^a-zA-Z]+", " ", text),
    "drop_single_letters": lambda text: re.sub(r"\b[a-zA-Z]\b", " ", text, flags=re.ASCII),
    "squeeze_spaces": lambda text: re.sub(r"\s+", " ", text).strip(" "),
    "drop_punctuation": lambda text: text.translate(
        str.maketrans(dict.fromkeys(string.punctuation, ""))
    ),
    "drop_stopwords": lambda text: STOPWORDS.sub(" ", text),
    "keras_filter": lambda text: text.translate(str.maketrans(dict.fromkeys(KERAS, " "))),
}
TEXTS = [
    "A <b>bold</b> film!<br /><br />It's a 10/10, isn't it?",
    "a b c I'm x",
    "<not closed",
    "it is not what i wanted, and the rest isn't",
    "two\nlines\tand <a\nb> tag",
    "",
    "   ",
    "ÉCLAIR Straße ǅ 🙂 e\u0301 \x00 _x_ 9a",
    "x" * 100_000,
    KERAS,
]


@pytest.mark.parametrize("step", REFERENCE)
def test_step_equals_reference(step):
    cleaned = STEPS[step](pa.array(TEXTS)).to_pylist()
    assert cleaned == [REFERENCE[step](text) for text in TEXTS]


@pytest.mark.parametrize("step", REFERENCE)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_step_equals_reference_on_strange_texts(step, texts):
    cleaned = STEPS[step](pa.array(texts, pa.string())).to_pylist()
    assert cleaned == [REFERENCE[step](text) for text in texts]


def test_lower():
    assert STEPS["lower"](pa.array(["ÀB c İ"])).to_pylist()[0].startswith("àb c")


def test_every_step_is_compared():
    assert set(STEPS) == set(REFERENCE) | {"lower"}


def test_steps_apply_in_order():
    text = pa.array(["I <i>LOVED</i> it, a lot"])
    steps = ["strip_html", "keep_letters", "drop_single_letters", "lower"]
    assert clean(text, steps)[0].as_py().split() == ["loved", "it", "lot"]


def test_unknown_step_is_named():
    with pytest.raises(UserError, match=r"keep_leters.*keep_letters"):
        check_steps(["lower", "keep_leters"])
