"""Render a report as a self-contained HTML page with tables and interactive figures."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from seqtext.html_templates import escape_json, hash_script, read_asset, render_page
from seqtext.metrics.definitions import get_metric_mode
from seqtext.reporting import plot_style, prediction_plots, settings_plots, training_plots
from seqtext.reporting.conclusions import summarize_significance
from seqtext.reporting.groups import RunGroup
from seqtext.reporting.pairwise import Comparison, PairwiseResult
from seqtext.reporting.report import DatasetSection, Report
from seqtext.reporting.results_table import REPORTED, ResultsTable

PACKAGE = "seqtext.reporting"
MAX_OPEN_MATRICES = 8  # shown; further ones are collapsed


class PageFigure(NamedTuple):
    """Hold a figure: Plotly's escaped JSON, and whether to add controls to highlight curves."""

    heading: str
    caption: str
    json: Markup
    has_controls: bool = False


def render_report(report: Report) -> str:
    """Render the report as one HTML page without external resources."""
    plotly = Markup(get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n"))
    script = read_asset(PACKAGE, "page.js")
    return render_page(
        PACKAGE,
        "report.html.j2",
        title=report.title,
        summary=report.summarize(),
        sections=[_build_section(section) for section in report.sections],
        unfinished=report.unfinished,
        damaged=report.damaged,
        style=read_asset(PACKAGE, "page.css"),
        plotly=plotly,
        script=script,
        script_hashes=Markup(f"{hash_script(plotly)} {hash_script(script)}"),
        most_matrices=MAX_OPEN_MATRICES,
    )


def _build_section(section: DatasetSection) -> dict[str, Any]:
    """Return the template's values of a section."""
    comparison = section.comparison
    groups, metric = section.groups, section.metric
    return {
        "title": section.dataset,
        "about": section.describe(),
        "verdict": summarize_significance(comparison),
        "table": _build_table(section.table),
        "notes": section.collect_notes(),
        "figures": list(_build_figures(groups, metric, comparison)),
        "pairs": _build_pairs(comparison),
        "resamples": f"{comparison.resamples:,}",
        "matrices": _build_matrices(groups),
        "judged": list(_build_prediction_figures(groups)),
        "commands": "\n".join(section.list_commands()),
    }


def _build_table(table: ResultsTable) -> dict[str, Any]:
    return {
        "columns": table.columns,
        "own": [row for row in table.rows if row.kind != REPORTED],
        "reported": [row for row in table.rows if row.kind == REPORTED],
    }


def _build_figures(
    groups: Sequence[RunGroup], metric: str, comparison: Comparison
) -> Iterator[PageFigure]:
    """Draw the figures of a section with headings and captions; skip empty ones."""
    better = "Down" if get_metric_mode(metric) == "min" else "Up"
    most = prediction_plots.MAX_HEATMAP_GROUPS
    leading = f"; the {most} best by validation" if len(groups) > most else ""
    made = (
        (
            "Differences",
            f"Test {metric}, row minus column{leading}. Fields with a colour are different; those "
            "in brackets are not significant, or undecided.",
            prediction_plots.plot_differences(comparison),
        ),
        (
            "Curves",
            "Every run, epoch by epoch. Point at one, or type words of its name.",
            training_plots.plot_curves(groups, metric),
        ),
        (
            "Settings",
            f"Validation {metric} against each setting; the dotted line joins the means.",
            settings_plots.plot_settings(groups, metric),
        ),
        (
            "",
            f"Validation {metric} over the two settings with most values.",
            settings_plots.plot_heat_maps(groups, metric),
        ),
        (
            "Time and score",
            f"{better} and left is better. Diamonds are references, bars one standard deviation.",
            training_plots.plot_time_against_score(groups, metric),
        ),
        ("Training time", "In the order of the table.", training_plots.plot_training_times(groups)),
    )
    return _serialize_figures(made)


def _build_prediction_figures(groups: Sequence[RunGroup]) -> Iterator[PageFigure]:
    made = (
        (
            "Scores per class",
            "On the test part, all runs together.",
            prediction_plots.plot_class_scores(groups),
        ),
        (
            "Calibration",
            "On the diagonal probabilities equal frequencies; below it the model is overconfident. "
            "A click on a name shows or hides it.",
            prediction_plots.plot_calibration(groups),
        ),
    )
    return _serialize_figures(made)


def _serialize_figures(made: Iterable[tuple[str, str, go.Figure | None]]) -> Iterator[PageFigure]:
    for heading, caption, figure in made:
        if figure is not None:
            figure.update_layout(template="none")
            json = escape_json(figure.to_json(engine="json"))
            yield PageFigure(heading, caption, json, heading == "Curves")


def _build_pairs(comparison: Comparison) -> dict[str, Any] | None:
    """Return the tests of the best group by validation against each other group."""
    if not comparison.pairs:
        return None
    first = min(pair.first for pair in comparison.pairs)
    pairs = [p for n in range(len(comparison.groups)) if (p := comparison.get_pair(first, n))]
    rows = [
        {
            "label": comparison.groups[pair.second].label,
            "cells": _format_pair(pair),
            "verdict": pair.verdict,
            "is_significant": pair.is_significant,
        }
        for pair in pairs
    ]
    return {"first": comparison.groups[first].label, "rows": rows}


def _format_pair(pair: PairwiseResult) -> list[str]:
    return [
        f"{pair.difference:+.4f}",
        f"{pair.low:+.4f} to {pair.high:+.4f}",
        _format_p_value(pair.p_rows),
        f"{pair.low_all:+.4f} to {pair.high_all:+.4f}",
        *(_format_p_value(value) for value in (pair.p, pair.p_mcnemar, pair.p_t)),
    ]


def _format_p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _build_matrices(groups: Sequence[RunGroup]) -> list[dict[str, Any]]:
    known = prediction_plots.select_groups_with_predictions(groups)
    return [_build_matrix(group) for group in known[: plot_style.MAX_GROUPS]]


def _build_matrix(group: RunGroup) -> dict[str, Any]:
    counts = prediction_plots.count_confusions(group) / len(group.runs)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1 / len(group.runs))
    names = group.predictions[0].class_names
    rows = list(zip(names, shares.tolist(), counts.tolist(), strict=True))
    return {"label": group.label, "names": names, "rows": rows}
