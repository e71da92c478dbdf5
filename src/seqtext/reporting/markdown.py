"""Format tables, code and escaped user texts in Markdown."""

import re

from seqtext.display import make_printable
from seqtext.reporting.results_table import ENSEMBLE, OURS, Cell, ResultsTable, Row

# An underscore within a word, as in macro_f1, is not emphasis and needs no escape.
SPECIAL_CHARACTERS = re.compile(r"[\\`*{}\[\]|~#!$]|(?<![^\W_])_|_(?![^\W_])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape_markdown(text: str) -> str:
    """Join a text into one line and escape Markdown and HTML."""
    line = make_printable(" ".join(text.split()))
    line = "".join(ENTITIES.get(character, character) for character in line)
    return SPECIAL_CHARACTERS.sub(r"\\\g<0>", line)


def format_code(text: str) -> str:
    """Join a text into one line and format it as a code span; it may contain backticks."""
    line = make_printable(" ".join(text.split()))
    ticks = "`" * (_count_longest_backticks(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def format_code_block(text: str, language: str = "") -> str:
    """Format lines as a fenced code block; they may contain backticks."""
    fence = "`" * max(3, _count_longest_backticks(text) + 1)
    return "\n".join([fence + language, make_printable(text, keep="\n"), fence])


def format_markdown_table(table: ResultsTable) -> str:
    """Format a pipe table with the best of each column in bold, other rows than ours in italics."""
    titles = ["", *map(escape_markdown, table.columns)]
    lines = [" | ".join(titles), " | ".join(["---", *["---:"] * len(table.columns)])]
    lines += [" | ".join([_format_label(row), *map(_format_cell, row.cells)]) for row in table.rows]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def _format_label(row: Row) -> str:
    label = escape_markdown(row.label)
    return label if row.kind in (OURS, ENSEMBLE) else f"*{label}*"


def _format_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    return f"**{text}**" if cell.best else text


def _count_longest_backticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
