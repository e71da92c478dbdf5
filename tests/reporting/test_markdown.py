"""Users' texts in Markdown."""

import pytest

from seqtext.reporting.markdown import (
    escape_markdown,
    format_code,
    format_code_block,
    format_markdown_table,
)
from seqtext.reporting.results_table import OURS, Cell, ResultsTable, Row


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("gru units=8 ± 0.1", "gru units=8 ± 0.1"),
        ("val/macro_f1", "val/macro_f1"),  # not emphasis within a word
        ("_a_ b__c", r"\_a\_ b\_\_c"),
        ("a|b", r"a\|b"),
        ("*a* `b` [c](d) # ~e~ \\", r"\*a\* \`b\` \[c\](d) \# \~e\~ \\"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("a\n\n# b\tc\u2028d", r"a \# b c d"),
        ("a\x1b\u202eb", "a\ufffd\ufffdb"),
    ],
)
def test_words_are_nothing_but_words(text, escaped):
    assert escape_markdown(text) == escaped


CODES = {"a b": "`a b`", "a`b": "``a`b``", "`a``": "``` `a`` ```", "a\nb": "`a b`"}


@pytest.mark.parametrize(("text", "code"), CODES.items())
def test_code(text, code):
    assert format_code(text) == code


def test_no_line_ends_a_block_of_code():
    block = format_code_block("a\n```\n````b", "bash").splitlines()
    assert block == ["`````bash", "a", "```", "````b", "`````"]


def test_a_table_keeps_its_columns():
    row = Row("a|b\nc", OURS, [Cell("1|2", best=True), Cell("–")])
    lines = format_markdown_table(ResultsTable(["x|y", "z"], [row])).splitlines()
    assert lines[2] == r"| a\|b c | **1\|2** | – |"
    assert lines[0] == r"|  | x\|y | z |"
