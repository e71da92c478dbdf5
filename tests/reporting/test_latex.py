"""The LaTeX table: escaped, and no wider or longer than a page."""

import re

import pytest

from seqtext.reporting.latex import escape_latex, format_latex_table
from seqtext.reporting.results_table import OURS, REPORTED, Cell, ResultsTable, Row

SCORES = [f"test metric {n}" for n in range(9)]
COLUMNS = ["val acc.", "test acc.", "n", "training", "parameters", *SCORES]


def rows(count: int, kind: str, label: str = "gru units=8") -> list[Row]:
    return [
        Row(f"{label} {n}", kind, [Cell("0.1234 ± 0.0012")] * len(COLUMNS)) for n in range(count)
    ]


def body(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.endswith(r"\\")]


def test_wide_tables_are_cut_and_say_so():
    text = format_latex_table(ResultsTable(COLUMNS, rows(3, OURS)), "caption")
    widths = {len(re.findall("(?<!\\\\)&", line)) for line in body(text)}
    assert widths == {7}  # five scores, n, training
    assert r"\resizebox{\ifdim\width>\linewidth" in text
    assert "report.csv has also the columns parameters, test metric 3, test metric 4" in text


def test_long_tables_are_cut_and_say_so():
    text = format_latex_table(ResultsTable(COLUMNS, rows(60, OURS) + rows(18, REPORTED)), "caption")
    assert len(body(text)) == 1 + 40
    assert "gru units=8 21" in text
    assert "gru units=8 22 &" not in text
    assert "38 more rows" in text


def test_long_labels_are_broken():
    text = format_latex_table(
        ResultsTable(COLUMNS, rows(1, OURS, "gru path=a/very_long/" + "x" * 40)), ""
    )
    assert r"\parbox[t]{0.35\linewidth}{\raggedright gru path\allowbreak{}=" in text
    assert r"very\allowbreak{}\_\allowbreak{}long\allowbreak{}/\allowbreak{}xxx" in text
    assert max(map(len, re.findall("x+", text))) == 24


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 5% $x$ #1 {y}", r"a\_b \& 5\% \$x\$ \#1 \{y\}"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("[0] *", "{[}0{]} {*}"),  # after a line's end they would be its options
        ("a|b<c>~^`", r"a$|$b$<$c$>$\textasciitilde{}\textasciicircum{}\textasciigrave{}"),
        ("a\n\nb % c\u202e", r"a b \% c?"),
    ],
)
def test_texts_stand_for_themselves(text, escaped):
    assert escape_latex(text) == escaped
