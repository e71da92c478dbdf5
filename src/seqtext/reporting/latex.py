r"""Format the table of a data set in LaTeX, not wider than a page."""

import re
import unicodedata

from seqtext.display import REPLACEMENT, make_printable
from seqtext.reporting.results_table import REPORTED, ResultsTable, Row

ALWAYS_SHOWN = ("n", "training")  # columns after the main scores that every table has
MAX_SCORES = 5  # columns of scores, including the main ones
MAX_ROWS = 40  # rows that fit on a page
LONG_LABEL = 34  # characters; longer labels are broken into lines
BREAKABLE = re.compile(r"[^\W_]{1,24}|[\W_]")  # units between which a long label may be broken
PREAMBLE = r"% \usepackage{booktabs,graphicx}; with other scripts than Latin: XeLaTeX or LuaLaTeX"
# Shrinks a table only if it is wider than the text.
SHRINK_TO_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"

LATEX_ESCAPES = {"\\": r"\textbackslash{}", "±": r"$\pm$", "–": "--", "~": r"\textasciitilde{}"}
LATEX_ESCAPES |= {
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': r"\char34{}",
}
LATEX_ESCAPES |= {"[": "{[}", "]": "{]}", "*": "{*}", "`": r"\textasciigrave{}"}
LATEX_ESCAPES |= {"…": r"\ldots{}", REPLACEMENT: "?"}
LATEX_ESCAPES |= {character: f"\\{character}" for character in "&%$#_{}"}


def escape_latex(text: str) -> str:
    """Join a text into one line and escape LaTeX's special characters."""
    line = unicodedata.normalize("NFC", make_printable(" ".join(text.split())))
    return "".join(LATEX_ESCAPES.get(character, character) for character in line)


def format_latex_table(table: ResultsTable, caption: str) -> str:
    r"""Format a booktabs table with the best value of each column in bold.

    It has the main scores, runs, training time, and as many further scores as fit on a page in
    small type. A note lists the columns and rows that only report.csv has.
    """
    columns = _choose_columns(table)
    rows = _choose_rows(table)
    shown = len(rows[0]) + len(rows[1])
    head = " & ".join(["", *(escape_latex(table.columns[n]) for n in columns)])
    bodies = [[_format_row(row, columns) for row in part] for part in rows]
    rule = [r"\midrule"] if all(bodies) else []
    return "\n".join(
        [
            PREAMBLE,
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape_latex(caption)}}}",
            r"  \footnotesize",
            f"  {SHRINK_TO_FIT}",
            rf"  \begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"    \toprule",
            rf"    {head} \\",
            r"    \midrule",
            *(f"    {line}" for line in [*bodies[0], *rule, *bodies[1]]),
            r"    \bottomrule",
            r"  \end{tabular}}",
            *_format_note(table, [table.columns[n] for n in columns], len(table.rows) - shown),
            r"\end{table}",
        ]
    )


def _choose_columns(table: ResultsTable) -> list[int]:
    """Return the positions of the columns that fit on a page."""
    scores = [n for n, name in enumerate(table.columns) if name.startswith(("val ", "test "))]
    few = scores[:MAX_SCORES]
    return [n for n, name in enumerate(table.columns) if n in few or name in ALWAYS_SHOWN]


def _choose_rows(table: ResultsTable) -> tuple[list[Row], list[Row]]:
    """Return the first of our rows and of the reported rows that fit on a page."""
    reported = [row for row in table.rows if row.kind == REPORTED]
    own = [row for row in table.rows if row.kind != REPORTED]
    most = max(MAX_ROWS - len(reported), MAX_ROWS // 2)
    own = own[:most]
    return own, reported[: MAX_ROWS - len(own)]


def _format_row(row: Row, columns: list[int]) -> str:
    cells = [row.cells[n] for n in columns]
    texts = [
        rf"\textbf{{{escape_latex(c.text)}}}" if c.best else escape_latex(c.text) for c in cells
    ]
    return " & ".join([_format_label(row.label), *texts]) + r" \\"


def _format_label(label: str) -> str:
    if len(label) <= LONG_LABEL:
        return escape_latex(label)
    words = [BREAKABLE.findall(word) for word in label.split()]
    breakable = " ".join(r"\allowbreak{}".join(map(escape_latex, parts)) for parts in words)
    return rf"\parbox[t]{{0.35\linewidth}}{{\raggedright {breakable}\strut}}"


def _format_note(table: ResultsTable, columns: list[str], rows_left_out: int) -> list[str]:
    left_out = [name for name in table.columns if name not in columns]
    parts = [f"the columns {', '.join(left_out)}"] if left_out else []
    if rows_left_out:
        parts += ["1 more row" if rows_left_out == 1 else f"{rows_left_out} more rows"]
    if not parts:
        return []
    note = escape_latex(f"report.csv has also {' and '.join(parts)}.")
    return [rf"  \par\smallskip\parbox{{\linewidth}}{{\raggedright\scriptsize {note}}}"]
