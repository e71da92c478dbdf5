"""One HTML page that holds all it needs: tables, sentences, interactive figures, Plotly itself."""

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from seqtext.display import count_noun
from seqtext.report import judged, plots
from seqtext.report.compare import Comparison, Pair, verdict
from seqtext.report.groups import Group
from seqtext.report.report import Section
from seqtext.report.runs import Unfinished
from seqtext.report.table import Cell, Row, Table, faults
from seqtext.results.direction import direction

CONTROLS = (
    '<div class="controls"><select aria-label="metric"></select>'
    '<input type="search" placeholder="highlight, e.g. gru 64" aria-label="highlight"></div>'
)
MATRICES = 8  # side by side; the others are folded away


def page(title: str, sections: Sequence[Section], unfinished: Sequence[Unfinished]) -> str:
    """The whole page."""
    runs = sum(len(group.runs) for section in sections for group in section.groups)
    told = count_noun(runs, "run") + (f", {len(unfinished)} without a result" if unfinished else "")
    links = "".join(f'<a href="#{escape(s.dataset)}">{escape(s.dataset)}</a>' for s in sections)
    body = "".join(_section(section) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_file("page.css")}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="soft">{told}</p>
<nav>{links if len(sections) > 1 else ""}</nav>
{body}
{_unfinished(unfinished)}
</main>
<script>{get_plotlyjs()}</script>
<script>{_file("page.js")}</script>
</body>
</html>
"""


def _file(name: str) -> str:
    return resources.files("seqtext.report").joinpath(name).read_text("utf-8")


def _section(section: Section) -> str:
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(section.comparison))
    said = f'<div class="verdict">{said}</div>' if said else ""
    return (
        f'<section id="{escape(section.dataset)}"><h2>{escape(section.dataset)}</h2>'
        f'<p class="soft">{escape(section.about())}</p>'
        f"{said}"
        f"{_table(section.table)}"
        f"{''.join(_figures(section.groups, section.metric, section.comparison))}"
        f"{_commands(section)}</section>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in ["", *table.columns])
    bodies = "".join(
        f"<tbody>{''.join(_row(r) for r in table.rows if r.kind == kind)}</tbody>"
        for kind in ("ours", "reference")
        if any(r.kind == kind for r in table.rows)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in faults(table))
    return (
        f'<div class="scroll"><table class="scores"><thead><tr>{head}</tr></thead>{bodies}</table>'
        f'</div><ul class="notes">{notes}</ul>'
    )


def _row(row: Row) -> str:
    cells = "".join(_cell(cell) for cell in row.cells)
    return f'<tr title="{escape(row.note)}"><td>{escape(row.label)}</td>{cells}</tr>'


def _cell(cell: Cell) -> str:
    mean, sign, spread = cell.text.partition(" ± ")
    text = escape(mean) + (f' <span class="spread">± {spread}</span>' if sign else "")
    return f'<td class="best">{text}</td>' if cell.best else f"<td>{text}</td>"


def _figures(groups: Sequence[Group], metric: str, comparison: Comparison) -> Iterator[str]:
    """Each with its heading and what it shows; those that would be empty are left out."""
    better = "Down" if direction(metric) == "min" else "Up"
    leading = f"; the {judged.MAPPED} best by validation" if len(groups) > judged.MAPPED else ""
    yield _figure(
        "Differences",
        f"Test {metric}, row minus column{leading}. Empty fields are noise.",
        judged.differences(comparison),
    )
    yield _pairs(comparison)
    yield _figure(
        "Curves",
        "Every run, epoch by epoch. Point at one, or type words of its name.",
        plots.curves(groups, metric),
        CONTROLS,
    )
    yield _figure(
        "Settings",
        f"Validation {metric} against each setting; the dotted line joins the means.",
        plots.settings_figure(groups, metric),
    )
    yield _figure(
        "",
        f"Validation {metric} over the two settings with most values.",
        plots.heat_maps(groups, metric),
    )
    yield _figure(
        "Time and score",
        f"{better} and left is better. Diamonds are references, bars one standard deviation.",
        plots.time_against_score(groups, metric),
    )
    yield _figure("Training time", "In the order of the table.", plots.training_times(groups))
    yield _matrices(groups)
    yield _figure(
        "Scores per class", "On the test part, all runs together.", judged.class_scores(groups)
    )
    yield _figure(
        "Calibration",
        "On the diagonal a model is right as often as it says; below it is too sure. "
        "A click on a name shows or hides it.",
        judged.calibration(groups),
    )


def _figure(heading: str, caption: str, figure: go.Figure | None, control: str = "") -> str:
    if figure is None:
        return ""
    figure.update_layout(template="none")
    data = figure.to_json().replace("</", "<\\/")
    return (
        (f"<h3>{heading}</h3>" if heading else "")
        + f"<figure><figcaption>{escape(caption)}</figcaption>{control}"
        f'<div class="plot"><script type="application/json">{data}</script><div></div></div>'
        "</figure>"
    )


def _pairs(comparison: Comparison) -> str:
    """The best by validation against each other group."""
    if not comparison.pairs:
        return ""
    first = min(pair.first for pair in comparison.pairs)
    pairs = [p for n in range(len(comparison.groups)) if (p := comparison.between(first, n))]
    titles = ("", "difference", "95 % over rows", "p rows", "p", "p McNemar", "p t-test", "")
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join(_pair(comparison, pair) for pair in pairs)
    return (
        "<details><summary>The tests behind it: "
        f"{escape(comparison.groups[first].label)} against each other</summary>"
        '<p class="note">Interval: paired bootstrap over test rows, 10,000 resamples (2,000 for '
        "areas under curves). p rows: from the bootstrap's variance. p: with the variance over "
        "repeated runs added; it decides. McNemar: accuracies of the first runs (mid-p). t-test: "
        "corrected resampled t-test (Nadeau and Bengio, 2003) over matched seeds and folds. All p "
        "values are corrected for the number of all pairs (Holm).</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div></details>"
    )


def _pair(comparison: Comparison, pair: Pair) -> str:
    cells = (
        escape(comparison.groups[pair.second].label),
        f"{pair.difference:+.4f}",
        f"{pair.low:+.4f} to {pair.high:+.4f}",
        *(_p(value) for value in (pair.p_rows, pair.p, pair.p_mcnemar, pair.p_t)),
        "noise" if pair.is_noise else '<span class="best">different</span>',
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "&lt; 0.001" if value < 0.001 else f"{value:.3f}"


def _matrices(groups: Sequence[Group]) -> str:
    known = [group for group in groups if all(run.said for run in group.runs)][: plots.MOST]
    if not known:
        return ""
    shown = "".join(map(_matrix, known[:MATRICES]))
    others = "".join(map(_matrix, known[MATRICES:]))
    more = (
        f"<details><summary>{len(known) - MATRICES} more</summary>"
        f'<div class="matrices">{others}</div></details>'
    )
    return (
        "<h3>Confusion matrices</h3><figcaption>Rows are the true classes of the test part, "
        "columns the predicted ones: share of the true class, and rows per run.</figcaption>"
        f'<div class="matrices">{shown}</div>{more if others else ""}'
    )


def _matrix(group: Group) -> str:
    counts = judged.confusion(group) / len(group.runs)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    names = [escape(name) for name in group.runs[0].said.class_names]
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        f"<tr><th>{name}</th>{''.join(map(_field, share, count))}</tr>"
        for name, share, count in zip(names, shares, counts, strict=True)
    )
    return (
        f'<div class="matrix"><h4>{escape(group.label)}</h4>'
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _field(share: np.floating, count: np.floating) -> str:
    return f'<td style="--share:{share:.3f}">{share:.1%}<small>{count:,.0f}</small></td>'


def _commands(section: Section) -> str:
    lines = escape("\n".join(section.commands()))
    return f"<details><summary>Command lines of these runs</summary><pre>{lines}</pre></details>"


def _unfinished(jobs: Sequence[Unfinished]) -> str:
    if not jobs:
        return ""
    rows = "".join(
        f'<tr><td>{escape(job.name)}</td><td>{job.status}</td><td class="note">'
        f"{escape(job.reason)}</td></tr>"
        for job in jobs
    )
    head = "<tr><th>job</th><th>state</th><th></th></tr>"
    return (
        f'<section><h2>Without a result</h2><div class="scroll"><table><thead>{head}</thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )
