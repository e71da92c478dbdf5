"""Command-line overrides as users type them."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from seqtext.config.overrides import (
    explain_unreadable,
    quote_value,
    quote_values,
    read_override_values,
)
from seqtext.errors import UserError

UNCHANGED = (
    *("model.units=[64,32]", "split.fold=range(5)", "model=gru,lstm", "x={a:1,b:[c]}", "x="),
    *("x=${oc.env:HOME}/a", "name=null", "dataset.path='reviews (1).csv'", "x=a\\ b", "~x", "-m"),
    *("optimizer.lr=tag(log, interval(1e-4, 1e-2))", "name=007", "dataset.text=5", "seed=3"),
    *("dataset.path=a.csv,b.csv", "+x=choice(1,2)", "imdb", "x=a:b", 'x="a",b'),
)


@pytest.mark.parametrize("argument", UNCHANGED)
def test_what_hydra_reads_keeps_its_meaning(argument):
    assert quote_value(argument, is_multirun=True) == argument


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("dataset.path=reviews (1).csv", "reviews (1).csv"),
        ("dataset.path=отзывы.csv", "отзывы.csv"),
        ("dataset.path=a#b.csv", "a#b.csv"),
        ("dataset.path=~/a.csv", "~/a.csv"),
        ("dataset.path=a=b.csv", "a=b.csv"),
        ("dataset.path={x}[1].csv", "{x}[1].csv"),
        ("dataset.path=C:\\données\\x.csv", "C:\\données\\x.csv"),
        ("hydra.run.dir=out (1)\\", "out (1)\\"),
        ("dataset.text=文本", "文本"),
        ("dataset.text=rating(1)", "rating(1)"),
        ("dataset.label=it's", "it's"),
        ("dataset.text=[title,отзыв]", ["title", "отзыв"]),
        ("x=[б,[c,д (1)]]", ["б", ["c", "д (1)"]]),
        ("dataset.text=true", "true"),
        ("dataset.separator=;", ";"),
        ("dataset.separator=,", ","),
        ("dataset.separator= ", " "),
        ("name=2024", "2024"),
        ("name=1e3", "1e3"),
        ("name=true", "true"),
        ("+x=é", "é"),
    ],
)
def test_what_is_meant_as_text_is_read_as_text(argument, value):
    read = OverridesParser.create().parse_override(quote_value(argument)).value()
    assert read == value


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("dataset.label=оценка,stars", ["оценка", "stars"]),
        ("x='a,b',é", ["a,b", "é"]),
        ("x=choice(б,c)", ["б", "c"]),
    ],
)
def test_items_of_a_sweep_are_quoted_one_by_one(argument, values):
    override = OverridesParser.create().parse_override(quote_value(argument, is_multirun=True))
    assert override.is_sweep_override()
    items = [str(item).strip("'") for item in override.sweep_string_iterator()]
    assert items == values


def test_a_file_with_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.csv").write_text("")
    argument = "dataset.path=a,b.csv"
    assert quote_values([argument]) == ["dataset.path='a,b.csv'"]
    assert quote_values(["-m", argument]) == ["-m", argument]


@pytest.mark.parametrize("argument", ["model.units=[1", "x={a:б}", "x='a'b'", "x=range(a,b)"])
def test_what_is_unclear_is_refused(argument):
    with pytest.raises(UserError) as caught:
        quote_value(argument)
    assert argument in str(caught.value)
    assert "quote it for Hydra too" in str(caught.value)


def test_the_hint_shows_what_works():
    assert "\"x='a (1)'\"" in explain_unreadable("x=a (1)")
    assert "no option наме" in explain_unreadable("наме=1")


def test_values_of_flags_are_left_alone():
    assert quote_values(["--config-dir", "a=ä", "x=ä"]) == ["--config-dir", "a=ä", "x='ä'"]


def test_plain_values():
    assert read_override_values(["from_best='a (1)'", "x=1", "-m"]) == {
        "from_best": "a (1)",
        "x": "1",
    }
