"""Options of CSV files as users type them."""

import pytest

from seqtext.data.csv_format import build_csv_format, normalize_escapechar, normalize_separator
from seqtext.errors import UserError


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (";", ";"),
        ("|", "|"),
        (r"\|", "|"),
        ("\t", "\t"),
        (r"\t", "\t"),
        (r"'\t'", "\t"),
        ("TAB", "\t"),
        ("';'", ";"),
        ("semicolon", ";"),
        ("comma", ","),
        ("pipe", "|"),
        ("space", " "),
        (" ", " "),
        ("\x01", "\x01"),
        ("§", "§"),
        (None, None),
    ],
)
def test_separators(typed, meant):
    assert normalize_separator(typed) == meant


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("||", "one character, or tab, comma, semicolon, pipe or space"),
        (r"\s+", "write space or tab"),
        (r"\t+", "write space or tab"),
        ("t", "for a tab, write tab"),
        ("", "it must be one character"),
        ("a", "it must be one character"),
        ('"', "it must be one character"),
        ("\n", r"separator=\\n is not possible"),
        ("\0", r"separator=\\x00 is not possible"),
    ],
)
def test_no_separators(typed, words):
    with pytest.raises(UserError, match=words):
        normalize_separator(typed)


def test_escape_characters():
    assert {normalize_escapechar(typed) for typed in ("\\", r"\\", "backslash", r"'\'")} == {"\\"}
    assert normalize_escapechar("^") == "^"
    for typed in ("", "ab", "n", '"', " "):
        with pytest.raises(UserError, match=r"dataset\.escapechar=.* is not possible"):
            normalize_escapechar(typed)


def test_options_that_do_not_go_together():
    with pytest.raises(UserError, match="escapechar and separator are the same"):
        build_csv_format(",", "|", escapechar="|", prefix="")
    with pytest.raises(UserError, match=r"quoting=all is not possible: .* auto, minimal, none"):
        build_csv_format(",", quoting="all", prefix="")
    for encoding in ("rot13", "hex", "idna", "undefined", "a\0b", ""):
        with pytest.raises(UserError, match=r"^encoding=.*; try utf-8"):
            build_csv_format(",", encoding=encoding, prefix="")
