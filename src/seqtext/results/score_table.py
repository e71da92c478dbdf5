"""Scores as a table in the terminal, of a run and of a file that was scored."""

from collections.abc import Mapping

from rich.table import Table

from seqtext.display import printable, shorten

NAME_LENGTH = 60  # characters of a score's name, which may hold that of a class
CLASSES = 20  # whose recall has a row
RECALL = "recall_"


def build_score_table(title: str, columns: Mapping[str, Mapping[str, float | None]]) -> Table:
    """Return a table with a row for each score; of many classes the first have one.

    Args:
        columns: scores by their names, under the heading of the column; a dash stands for a score
            that is missing in one of them, or None
    """
    table = Table("score", *columns, title=printable(title), title_justify="left")
    names = list(dict.fromkeys(name for scores in columns.values() for name in scores))
    hidden = dict.fromkeys([name for name in names if name.startswith(RECALL)][CLASSES:])
    for name in names:
        if name == next(iter(hidden), None):
            table.add_row(f"… and of {len(hidden):,} more classes")
        if name not in hidden:
            cells = [_format(scores.get(name)) for scores in columns.values()]
            table.add_row(printable(shorten(name, NAME_LENGTH)), *cells)
    return table


def _format(score: float | None) -> str:
    return "–" if score is None else f"{score:.4f}"
