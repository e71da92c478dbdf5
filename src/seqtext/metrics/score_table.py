"""Build the table of scores that training and prediction print."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from seqtext.display import make_printable, shorten

NAME_LENGTH = 60  # characters of a score's name, which may contain a class name
MAX_CLASSES = 20  # maximum number of classes with a row for their recall
RECALL_PREFIX = "recall_"
OF_CLASS_1 = ("precision", "recall", "f1", "average_precision", "recall_at_precision_98")


def build_score_table(
    title: str,
    columns: Mapping[str, Mapping[str, float | None]],
    class_names: Sequence[str] = (),
) -> Table:
    """Build a table with a row for each score, and for the recall of the first classes.

    Args:
        columns: scores by name, for each column's heading; a missing score or None is a dash
        class_names: of two classes, the second is added to the names of its scores
    """
    table = Table("score", *columns, title=make_printable(title), title_justify="left")
    names = list(dict.fromkeys(name for scores in columns.values() for name in scores))
    hidden = dict.fromkeys([name for name in names if name.startswith(RECALL_PREFIX)][MAX_CLASSES:])
    for name in names:
        if name == next(iter(hidden), None):
            table.add_row(f"… and of {len(hidden):,} more classes")
        if name not in hidden:
            cells = [_format(scores.get(name)) for scores in columns.values()]
            marked = len(class_names) == 2 and name in OF_CLASS_1
            shown = f"{name} ({class_names[1]})" if marked else name
            table.add_row(make_printable(shorten(shown, NAME_LENGTH)), *cells)
    return table


def _format(score: float | None) -> str:
    return "–" if score is None else f"{score:.4f}"
