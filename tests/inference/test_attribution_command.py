"""predict.py with explain=true, end to end."""

import io
import sys
from pathlib import Path

import pytest

from seqtext.command_line import parse_args
from seqtext.errors import UserError
from seqtext.inference import attribution_command as explaining
from seqtext.inference.predict_options import PredictOptions
from tests.conftest import csv_of


@pytest.fixture
def explained(predict, finished):
    """Call predict.py and return standard output."""

    def call(*arguments: str) -> str:
        status, shown, error = predict(f"run={finished.path}", "explain=true", *arguments)
        assert (status, error) == (0, "")
        return shown

    return call


def test_texts(explained):
    shown = explained("the superb film", "", "-- [red]").splitlines()
    assert [line.partition("\t")[0] for line in shown[::2]] == ["positive"] * 3
    assert shown[0].endswith("\tthe superb film")
    assert shown[1].startswith("  integrated gradients, for (+) and against (-) positive: superb +")


def test_standard_input(explained, monkeypatch):
    written = io.TextIOWrapper(io.BytesIO(b"superb\ndreadful\n"))
    monkeypatch.setattr(sys, "stdin", written)
    shown = explained()
    assert len(shown.splitlines()) == 4


def test_a_page_of_texts(explained):
    shown = explained("output=pages/page.html", "a superb film", "</style><b>dreadful</b>")
    assert shown == "Explained in pages/page.html: 2 texts\n"
    page = Path("pages/page.html").read_text()
    assert page.count("<article>") == 2
    assert "</style><b>" not in page
    assert list(Path("pages").iterdir()) == [Path("pages/page.html")]


def test_a_page_of_a_file(explained, monkeypatch):
    monkeypatch.setattr(explaining, "MAX_TEXTS", 70)  # more than are explained together
    names = [f"film{a}{b}" for a in "abcdefgh" for b in "klmnopqrst"][:71]
    rows = [("", "positive"), *((name, "positive") for name in names[1:])]
    Path("more.csv").write_text(csv_of(rows, ("review", "label")))
    shown = explained("input=more.csv", "text=review", "output=page.htm")
    assert shown.splitlines() == [
        "Explained in page.htm: 70 texts",
        "Only the first 70 texts are explained: there are more.",
    ]
    page = Path("page.htm").read_text()
    assert page.count("<article>") == 70
    assert page.index(">filmal<") < page.index(">filmgt<"), "in the file's order"
    assert ">filmhk<" not in page
    shown = explained("input=more.csv", "text=review").splitlines()
    assert len(shown) == 141


def test_nothing_to_explain(predict, finished):
    Path("more.csv").write_text("review\n")
    arguments = "explain=true", "input=more.csv", "text=review", "output=page.html"
    status, _, error = predict(f"run={finished.path}", *arguments)
    assert (status, error) == (2, "There is no text to explain.\n")
    assert not Path("page.html").exists()


def test_without_captum(predict, finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    status, _, error = predict(f"run={finished.path}", "explain=true", "a text")
    assert status == 2
    assert error == "explain=true needs captum for this model: pip install -e '.[explain]'\n"


def test_words():
    assert not parse_args(PredictOptions, ["run=r", "text"]).explain
    assert not parse_args(PredictOptions, ["run=r", "explain=False", "text"]).explain
    options = parse_args(PredictOptions, ["run=r", "explain=true", "output=page.html", "text"])
    assert (options.explain, options.output) == (True, Path("page.html"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain=yes"], "explain=yes must be true or false"),
        (["explain=false", "output=page.html", "text"], "output= needs a file"),
        (["explain=true", "output=page.csv", "text"], r"output=page.csv must end in \.html"),
        (["explain=true", "input=a.csv", "label=b"], "label= and explain=true cannot be combined"),
        (["explain=true", "text=b"], "text= needs a file"),
    ],
)
def test_mistakes(arguments, words):
    with pytest.raises(UserError, match=words):
        parse_args(PredictOptions, ["run=x", *arguments])
