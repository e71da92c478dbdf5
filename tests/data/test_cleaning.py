"""Cleaning steps equal a plain Python reference, also on unusual texts."""

import re
import string

import hypothesis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from seqtext.data.cleaning import (
    CLEANING_STEPS,
    DROP_STOPWORDS,
    TextCleaner,
    read_stopwords,
)
from seqtext.errors import UserError
from tests.inference import onnx_only_program

STOPWORDS = re.compile(rf"\b(?:{'|'.join(sorted(ENGLISH_STOP_WORDS))})\b")
KERAS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
UNSPACED = [
    *("\u0e00\u0eff", "\u1000\u109f", "\u1780\u17ff", "\u3005\u3007", "\u3040\u30ff"),
    *("\u31f0\u31ff", "\u3400\u4dbf", "\u4e00\u9fff", "\uf900\ufaff", "\U00020000\U000323af"),
]
REFERENCE = {
    "strip_html": lambda text: re.sub("<[^>]*>", " ", text),
    "keep_letters": lambda text: re.sub("[^a-zA-Z]+", " ", text),
    "drop_single_letters": lambda text: re.sub(r"\b[a-zA-Z]\b", " ", text, flags=re.ASCII),
    "squeeze_spaces": lambda text: re.sub(r"\s+", " ", text).strip(" "),
    "drop_punctuation": lambda text: text.translate(
        str.maketrans(dict.fromkeys(string.punctuation, ""))
    ),
    "drop_stopwords": lambda text: STOPWORDS.sub(" ", text),
    "separate_characters": lambda text: "".join(
        f" {c} " if any(first <= c <= last for first, last in UNSPACED) else c for c in text
    ),
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
    "这部电影very好看。 ภาพยนตร์ とても面白い",
    KERAS,
]


@pytest.mark.parametrize("step", REFERENCE)
def test_step_equals_reference(step):
    cleaned = TextCleaner([step])(pa.array(TEXTS)).to_pylist()
    assert cleaned == [REFERENCE[step](text) for text in TEXTS]


@pytest.mark.parametrize("step", REFERENCE)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_step_equals_reference_on_strange_texts(step, texts):
    cleaned = TextCleaner([step])(pa.array(texts, pa.string())).to_pylist()
    assert cleaned == [REFERENCE[step](text) for text in texts]


def test_lower():
    assert TextCleaner(["lower"])(pa.array(["ÀB c İ"]))[0].as_py().startswith("àb c")


@pytest.mark.parametrize("step", [*REFERENCE, "lower"])
def test_step_spelled_out_does_the_same(step):
    _compare_spelled_out(step, TEXTS)


@pytest.mark.parametrize("step", [*REFERENCE, "lower"])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
@hypothesis.settings(max_examples=30)
def test_step_spelled_out_does_the_same_with_strange_texts(step, texts):
    _compare_spelled_out(step, texts)


def _compare_spelled_out(step, texts):
    cleaning = TextCleaner([step])
    cleaned = [onnx_only_program.cleaned(text, cleaning.list_operations()) for text in texts]
    assert cleaned == cleaning(pa.array(texts, pa.string())).to_pylist()


def test_stop_words_of_ones_own_spelled_out():
    cleaning = TextCleaner(["lower", DROP_STOPWORDS], ["don't", "c++", "don"])
    text = "DON'T do c++ don x_don"
    assert (
        onnx_only_program.cleaned(text, cleaning.list_operations())
        == cleaning(pa.array([text]))[0].as_py()
    )
    assert onnx_only_program.cleaned(text, cleaning.list_operations()).split() == ["do", "x_don"]


def test_every_step_is_compared():
    assert {*CLEANING_STEPS, DROP_STOPWORDS} == set(REFERENCE) | {"lower"}


def test_steps_apply_in_order():
    text = pa.array(["I <i>LOVED</i> it, a lot"])
    steps = ["strip_html", "keep_letters", "drop_single_letters", "lower"]
    assert TextCleaner(steps)(text)[0].as_py().split() == ["loved", "it", "lot"]


def test_unknown_step_is_named():
    with pytest.raises(UserError, match=r"keep_leters.*keep_letters"):
        TextCleaner(["lower", "keep_leters"])


WORDS = ["the", "it's", "é", "_", "-", " ", "the the", "The", "²", "\u0301", "x9", "so", "ñ"]


@given(text=st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
def test_stop_words_between_strange_letters(text):
    dropped = TextCleaner([DROP_STOPWORDS])(pa.array([text]))
    assert dropped.to_pylist() == [STOPWORDS.sub(" ", text)]


def test_stop_words_of_a_file(tmp_path):
    file = tmp_path / "stop.txt"
    file.write_text("\ufeffétait don\ndon't c++\n", encoding="utf-8")
    cleaning = TextCleaner(["drop_stopwords"], read_stopwords(str(file)))
    assert cleaning(pa.array(["don't était là, do c++ the"]))[0].as_py().split() == [
        "là,",
        "do",
        "the",
    ]
    assert cleaning.settings() == {
        "steps": ["drop_stopwords"],
        "stopwords": ["c++", "don", "don't", "était"],
    }


def test_thousands_of_stop_words():
    words = [f"word{number}" for number in range(5000)]
    cleaned = TextCleaner([DROP_STOPWORDS], words)(pa.array([" ".join(words) + " other"]))
    assert cleaned[0].as_py().split() == ["other"]


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"", "holds no words"), (b"\xe9", "not UTF-8")]
)
def test_useless_file_of_stop_words(tmp_path, content, said):
    if content is not None:
        (tmp_path / "stop.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"dataset\.stopwords=.*stop\.txt .*{said}"):
        read_stopwords(str(tmp_path / "stop.txt"))
