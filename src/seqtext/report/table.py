"""One data set's table: rows of text, as Markdown and as LaTeX; numbers, as CSV."""

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, NamedTuple

import pandas as pd

from seqtext.report.groups import ABSENT, Group, shown
from seqtext.report.references import Reference
from seqtext.results.direction import direction

TWO_CLASSES = ("accuracy", "f1", "precision", "recall", "auroc")
MANY_CLASSES = ("accuracy", "macro_f1", "weighted_f1", "auroc")
SHORT = {"accuracy": "acc.", "balanced_accuracy": "bal. acc.", "weighted_f1": "weighted F1"}
SHORT |= {"macro_f1": "macro F1", "f1": "F1", "auroc": "AUC", "average_precision": "AP"}


class Cell(NamedTuple):
    """What stands in a table; `best` where no row of the column has a better value."""

    text: str
    best: bool = False


class Row(NamedTuple):
    """kind: "ours", or "reference", which stands behind them."""

    label: str
    kind: str
    cells: list[Cell]
    note: str = ""


class Table(NamedTuple):
    """columns: their titles, without the first, which names the row."""

    columns: list[str]
    rows: list[Row]


def table(groups: Sequence[Group], others: Sequence[Reference], metric: str) -> Table:
    """The groups in their order, the reference model among them, then what others reported."""
    scores = score_columns(groups, others, metric)
    columns = [_score_cells(groups, part, name) for part, name in scores]
    facts = [[Cell(f"{len(g.runs)}") for g in groups], _times(groups), _sizes(groups)]
    cells = zip(*columns[:2], *facts, *columns[2:], strict=True)
    rows = [
        Row(g.label, "reference" if g.is_reference else "ours", list(each))
        for g, each in zip(groups, cells, strict=True)
    ]
    for other in others:
        known = [other.scores.get(f"{part}/{name}") for part, name in scores]
        texts = ["" if value is None else f"{value:.3f}" for value in known]
        facts = ["" if other.study == "published" else "1", "", ""]
        cells = [Cell(text) for text in (*texts[:2], *facts, *texts[2:])]
        rows.append(Row(other.label, "reference", cells, other.note))
    titles = [f"{part} {SHORT.get(name, name)}" for part, name in scores]
    return Table([*titles[:2], "n", "time", "parameters", *titles[2:]], rows)


def score_columns(
    groups: Sequence[Group], others: Sequence[Reference], metric: str
) -> list[tuple[str, str]]:
    """(part, metric): the deciding one, on validation and test; the usual ones on test; and those
    that the studies of this data set reported."""
    known = groups[0].runs[0].metrics["test"]
    usual = TWO_CLASSES if "specificity" in known else MANY_CLASSES
    reported = [tuple(name.split("/")) for other in others for name in other.scores]
    wanted = [("val", metric), ("test", metric), *(("test", name) for name in usual), *reported]
    return [(part, name) for part, name in dict.fromkeys(wanted) if name in known]


def with_spread(mean: float | None, std: float | None) -> str:
    """``0.912 ± 0.004``: four digits, as the third is often noise and never the fifth a fact."""
    if mean is None:
        return ""
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"


def duration(seconds: float | None) -> str:
    """Seconds below two minutes, then minutes, then hours."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _score_cells(groups: Sequence[Group], part: str, name: str) -> list[Cell]:
    means = [group.mean(part, name) for group in groups]
    known = [mean for mean in means if mean is not None and not isnan(mean)]
    choose: Callable[..., float] = min if direction(name) == "min" else max
    best = choose(known, default=None)
    return [
        Cell(with_spread(mean, group.std(part, name)), mean is not None and mean == best)
        for group, mean in zip(groups, means, strict=True)
    ]


def _sizes(groups: Sequence[Group]) -> list[Cell]:
    return [Cell(f"{group.mean('parameters'):,.0f}") for group in groups]


def _times(groups: Sequence[Group]) -> list[Cell]:
    times = [group.mean("seconds", "total") for group in groups]
    return [Cell(duration(time), time == min(times)) for time in times]


def faults(table: Table) -> list[str]:
    """What is to be known of the numbers that others reported: each note once, with its rows."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.note:
            rows.setdefault(row.note, []).append(row.label.partition(": ")[0])
    return [f"{', '.join(dict.fromkeys(who))}: {note}." for note, who in rows.items()]


def markdown(table: Table) -> str:
    """A pipe table; the best of a column in bold, references in italics."""
    titles = ["", *table.columns]
    lines = [" | ".join(titles), " | ".join(["---", *["---:"] * len(table.columns)])]
    for row in table.rows:
        label = _escaped(row.label)
        label = f"*{label}*" if row.kind == "reference" else label
        cells = [f"**{cell.text}**" if cell.best else cell.text for cell in row.cells]
        lines.append(" | ".join([label, *cells]))
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def latex(table: Table, caption: str) -> str:
    r"""A booktabs table (``\usepackage{booktabs}``); the best of a column in bold."""
    head = " & ".join(["", *map(tex, table.columns)])
    body = {"ours": [], "reference": []}
    for row in table.rows:
        cells = [rf"\textbf{{{tex(c.text)}}}" if c.best else tex(c.text) for c in row.cells]
        body[row.kind].append(" & ".join([tex(row.label), *cells]) + r" \\")
    rule = [r"\midrule"] if all(body.values()) else []
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{tex(caption)}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"    \toprule",
            rf"    {head} \\",
            r"    \midrule",
            *(f"    {line}" for line in [*body["ours"], *rule, *body["reference"]]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


TEX = {"\\": r"\textbackslash{}", "±": r"$\pm$", "–": "--", "~": r"\textasciitilde{}"}
TEX |= {"^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$"}
TEX |= {character: f"\\{character}" for character in "&%$#_{}"}


def tex(text: str) -> str:
    """Text in which LaTeX's special characters stand for themselves."""
    return "".join(TEX.get(character, character) for character in text)


def frame(dataset: str, groups: Sequence[Group], others: Sequence[Reference]) -> pd.DataFrame:
    """Everything in numbers: each score's mean, std and n per row."""
    return pd.DataFrame(
        [_numbers(dataset, g) for g in groups]
        + [
            {
                "dataset": dataset,
                "label": other.label,
                "kind": "reference",
                **{f"{name}/mean": value for name, value in other.scores.items()},
                "note": other.note,
            }
            for other in others
        ]
    )


def _numbers(dataset: str, group: Group) -> dict[str, Any]:
    kind = "reference" if group.is_reference else "ours"
    row = {"dataset": dataset, "label": group.label, "kind": kind, "n": len(group.runs)}
    row |= {name: shown(value) for name, value in group.settings.items() if value != ABSENT}
    for part in ("val", "test"):
        for name in group.runs[0].metrics[part]:
            row[f"{part}/{name}/mean"] = group.mean(part, name)
            row[f"{part}/{name}/std"] = group.std(part, name)
    for name in ("training", "total"):
        row[f"seconds/{name}/mean"] = group.mean("seconds", name)
    return row | {"parameters": group.mean("parameters")}


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("_", r"\_")
