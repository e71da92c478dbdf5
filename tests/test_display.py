"""Texts cannot steer a terminal."""

import io

import pytest

from seqtext.display import build_console, count_noun, printable

ESC = "\x1b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain café 名 😍 a\u00a0b\u3000c \u200d", "plain café 名 😍 a\u00a0b\u3000c \u200d"),
        (f"{ESC}]0;title\x07", "\ufffd]0;title\ufffd"),
        ("\x9b31mred\x7f\x00", "\ufffd31mred\ufffd\ufffd"),
        ("a\u202eb\u2066c\u200fd", "a\ufffdb\ufffdc\ufffdd"),
        ("line\u2028break\rback\ttab", "line\ufffdbreak\ufffdback\ufffdtab"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_controls_are_replaced(text, shown):
    assert printable(text) == shown


def test_kept_controls_stay():
    assert printable("a\nb\x1b", keep="\n") == "a\nb\ufffd"


@pytest.mark.parametrize("text", ["[/bold]", "[red]x", ":smile:", "[link=x]y[/link]", "\\[a]"])
def test_a_console_takes_texts_as_they_are(text):
    stream = io.StringIO()
    build_console(stream).print(text)
    assert stream.getvalue() == f"{text}\n"


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (1200, "1,200 jobs")]
)
def test_count_noun(count, shown):
    assert count_noun(count, "job") == shown


def test_count_noun_with_a_verb():
    assert [count_noun(n, "row is", "rows are") for n in (1, 2)] == ["1 row is", "2 rows are"]
