"""Texts cannot control the terminal."""

import io
import logging
import sys

import pytest
import torch
from rich.table import Table

from seqtext.display import (
    PrintableFormatter,
    build_console,
    count_noun,
    format_duration,
    make_printable,
    name_classes,
    print_line,
    shorten,
)

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
    assert make_printable(text) == shown


def test_kept_controls_stay():
    assert make_printable("a\nb\x1b", keep="\n") == "a\nb\ufffd"


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


def test_tables_take_texts_as_they_are():
    stream = io.StringIO()
    table = Table("[/head]", title=f"[/title]{ESC}[2J")
    table.add_row(f"[/bold] :smile: {ESC}]52;c;aGk=\x07 a\u202eb")
    build_console(stream, width=60).print(table)
    assert "[/head]" in stream.getvalue()
    assert "[/title]\ufffd[2J" in stream.getvalue()
    assert "[/bold] :smile: \ufffd]52;c;aGk=\ufffd a\ufffdb" in stream.getvalue()


def test_a_line_stays_one(capsys):
    print_line(f"a\nb\tc{ESC}", sys.stderr)
    print_line("on\rtop")
    assert capsys.readouterr() == ("on\ufffdtop\n", "a\ufffdb\tc\ufffd\n")


def test_shortened():
    assert shorten(" a\n\tb \u2028 c ", 5) == "a b c"
    assert shorten("abcdefg", 5) == "abcde ..."


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a", "b\nc"], ["a", "b c"]),
        (["x" * 31, "x" * 32], [f"class {n} ({'x' * 30} ...)" for n in range(2)]),
        (["a", "a ", "b"], ["class 0 (a)", "class 1 (a)", "b"]),
        (["\x1b", "", "b"], ["class 0 (\ufffd)", "class 1", "b"]),
        (["q", "q ", "class 0 (q)"], ["class 0 (q)", "class 1 (q)", "class 2 (class 0 (q))"]),
    ],
)
def test_classes_have_names_of_their_own(names, shown):
    assert name_classes(names) == shown


def format_record(name: str, message: str, *arguments: object) -> str:
    record = logging.LogRecord(name, logging.INFO, "", 0, message, arguments, None)
    return PrintableFormatter("INFO %(message)s").format(record)


def test_log_lines_cannot_be_forged():
    """Data stay on the line of the message that contains them."""
    forged = f"x\nINFO all is well{ESC}[2J"
    assert format_record("seqtext.training.train", "class %s", forged) == (
        "INFO class x\ufffdINFO all is well\ufffd[2J"
    )
    assert "\n" not in format_record("seqtext.training.train", "%s failed", ValueError("a\nb"))
    assert format_record("seqtext.training.train", "%(name)s", {"name": "a\nb"}) == "INFO a\ufffdb"
    numbers = (3, 0.5, torch.tensor(0.25))
    assert format_record("seqtext.training.train", "%d %.1f %.2f", *numbers) == "INFO 3 0.5 0.25"


def test_other_log_messages_keep_their_lines():
    assert format_record("seqtext.training.train", "a table\nof 100 %") == "INFO a table\nof 100 %"
    assert format_record("py.warnings", "%s", f"a\nb{ESC}") == "INFO a\nb\ufffd"


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.21, "3.2 s"), (64, "64 s"), (200, "3.3 min"), (9000, "2.5 h")]
)
def test_duration(seconds, said):
    assert format_duration(seconds) == said
