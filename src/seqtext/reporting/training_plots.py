"""Plotly figures of training: learning curves, score against time, training times."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from seqtext.display import make_printable
from seqtext.reporting.groups import RunGroup
from seqtext.reporting.plot_style import (
    BAR_HEIGHT,
    MAX_GROUPS,
    assign_styles,
    escape_plotly,
    format_group_name,
    show_category,
)
from seqtext.reporting.results_table import compute_training_time

MAX_NAMED_POINTS = 12  # groups whose points are labelled by name


def plot_curves(groups: Sequence[RunGroup], metric: str) -> go.Figure | None:
    """Plot the values of each run over its epochs, with a menu of metrics."""
    runs = [
        (g, run, s) for g, s in zip(groups, assign_styles(groups), strict=True) for run in g.runs
    ]
    runs = [(g, run, s) for g, run, s in runs if run.metrics.get("curves")]
    if not runs:
        return None
    wanted = dict.fromkeys([f"val/{metric}", f"train/{metric}", "val/loss", "train/loss"])
    names = [n for n in wanted if any(n in run.metrics["curves"] for _, run, _ in runs)]
    if not names:
        return None
    figure, labelled = go.Figure(), set()
    for group, run, style in runs:
        values = run.metrics["curves"].get(names[0], [])
        name = format_group_name(group)
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            y=values,
            mode="lines+markers" if len(values) < 3 else "lines",
            name=name,
            meta=make_printable(group.label),  # searched by the page
            legendgroup=name,
            showlegend=name not in labelled,
            line={"color": style.color, "dash": style.dash, "width": 1.5},
            marker={"symbol": style.symbol},
            opacity=0.65,
            hovertemplate=f"{name}, seed {run.seed}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
        labelled.add(name)
    longest = max(len(curve) for _, run, _ in runs for curve in run.metrics["curves"].values())
    figure.update_layout(
        height=440,
        xaxis={"title": "epoch", **({"dtick": 1} if longest <= 15 else {})},
        yaxis={"title": escape_plotly(names[0])},
        meta={"choices": _build_menu(runs, names)},
    )
    return figure


def _build_menu(runs: Sequence[tuple], names: Sequence[str]) -> list[tuple[str, str, dict]]:
    """Return the entries of the menu: name, axis title, and values of all traces."""
    choices = []
    for name in names:
        values = [run.metrics["curves"].get(name, []) for _, run, _ in runs]
        epochs = [list(range(1, len(v) + 1)) for v in values]
        choices.append((make_printable(name), escape_plotly(name), {"x": epochs, "y": values}))
    return choices


def plot_time_against_score(groups: Sequence[RunGroup], metric: str) -> go.Figure | None:
    """Plot test scores against training time, with error bars of one standard deviation."""
    timed = {
        place: time
        for place, group in enumerate(groups)
        if (time := compute_training_time(group)) is not None
        and group.mean("test", metric) is not None
    }
    if not timed:
        return None
    few = len(timed) <= MAX_NAMED_POINTS
    far = max(timed.values()) > 10 * max(min(timed.values()), 1e-9)
    styles = assign_styles(groups)
    sides = _place_labels(timed, far)
    figure = go.Figure()
    for place, time in timed.items():
        group, style, name = groups[place], styles[place], format_group_name(groups[place])
        error = group.std("test", metric)
        figure.add_scatter(
            x=[time],
            y=[group.mean("test", metric)],
            error_y={"array": [error or 0], "width": 3, "thickness": 1},
            mode="markers+text" if few else "markers",
            text=[name],
            textposition=sides[place],
            cliponaxis=False,
            name=name,
            marker={"color": style.color, "size": 11, "symbol": style.symbol},
            hovertemplate=f"{name}<br>%{{x:.3g}} s, %{{y:.4f}}<extra></extra>",
        )
    legend = {} if few else {"showlegend": True}
    figure.update_layout(
        height=420 if few else max(420, 60 + 19 * len(timed)),
        xaxis={
            "title": "training time in seconds",
            **(_build_log_axis(timed.values()) if far else {}),
        },
        yaxis={"title": escape_plotly(f"test {metric}")},
        **{"showlegend": False, **legend},
    )
    return figure


def _place_labels(timed: dict[int, float], is_log: bool) -> dict[int, str]:
    """Return the side of each point's label, towards the middle so that none is cut off.

    Labels of points with similar times alternate between above and below.
    """
    at = {place: np.log(max(time, 1e-9)) if is_log else time for place, time in timed.items()}
    low, high = min(at.values()), max(at.values())
    sides = {}
    for turn, place in enumerate(sorted(at, key=lambda place: at[place])):
        share = (at[place] - low) / (high - low) if high > low else 0.5
        side = "right" if share < 1 / 4 else "left" if share > 3 / 4 else "center"
        sides[place] = f"{('top', 'bottom')[turn % 2]} {side}"
    return sides


def _build_log_axis(values: Iterable[float]) -> dict[str, Any]:
    """Return a logarithmic axis with at least two ticks."""
    known = [value for value in values if value > 0]
    decades = np.log10(max(known) / min(known)) if known else 0
    return {"type": "log", "dtick": "D2" if decades < 3 else 1}


def plot_training_times(groups: Sequence[RunGroup]) -> go.Figure | None:
    """Plot training times, one bar per group in the order of the table."""
    means = {
        place: mean
        for place, group in enumerate(groups)
        if (mean := compute_training_time(group)) is not None
    }
    if not means:
        return None
    few = list(means)[:MAX_GROUPS]
    unit, word = (60, "minutes") if max(means[n] for n in few) > 120 else (1, "seconds")
    spread = [(groups[n].std("seconds", "training") or 0) / unit for n in few]
    styles, names = assign_styles(groups), [format_group_name(groups[n]) for n in few]
    figure = go.Figure()
    figure.add_bar(
        x=[means[n] / unit for n in few],
        y=names,
        orientation="h",
        error_x={"array": spread, "width": 3, "thickness": 1, "color": "#8a8d98"},
        marker={"color": [styles[n].color for n in few]},
        hovertemplate="%{y}<br>%{x:.2f} " + word + "<extra></extra>",
    )
    figure.update_layout(
        height=90 + BAR_HEIGHT * len(few), xaxis={"title": f"training time in {word}"}, bargap=0.35
    )
    show_category(figure, "y", names)
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    return figure
