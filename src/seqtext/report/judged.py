"""Figures of what the models said of the test rows: calibration, classes, differences."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from seqtext.report.compare import Comparison
from seqtext.report.groups import Group
from seqtext.report.plots import MOST, PALETTE, ROW, colours

MAPPED = 24  # in the map of all pairs
BINS = 10


def calibration(groups: Sequence[Group]) -> go.Figure | None:
    """How often predictions of some confidence are right; on the diagonal they keep their word."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": "#8a8d98", "dash": "dot", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    for place, (group, colour) in enumerate(zip(groups, colours(groups), strict=True)):
        said = [run.said for run in group.runs]
        if None in said:
            continue
        confidence = np.concatenate([one.probabilities.max(axis=1) for one in said])
        right = np.concatenate([one.probabilities.argmax(axis=1) == one.labels for one in said])
        x, y, error = reliability(confidence, right)
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name=f"{group.label} · {error:.3f}",
            line={"color": colour, "width": 1.5},
            marker={"size": 5},
            visible=True if place < 8 else "legendonly",
            hovertemplate=f"{group.label}<br>said %{{x:.3f}}, was right %{{y:.3f}}<extra></extra>",
        )
    if len(figure.data) == 1:
        return None
    lowest = min(min(trace.x) for trace in figure.data[1:])
    axis = {"range": [lowest - 0.02, 1.01]}
    figure.update_layout(
        height=460,
        xaxis={"title": "probability of the predicted class", **axis},
        yaxis={"title": "share of them that is right"},
        legend={"title": {"text": "calibration error (ECE)"}},
    )
    return figure


def reliability(confidence: np.ndarray, right: np.ndarray) -> tuple[list, list, float]:
    """Mean confidence and share of right ones in bins of equal width, and the expected calibration
    error: the mean gap between the two (Guo et al., 2017)."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    met = counts > 0
    x = np.bincount(bins, confidence, BINS)[met] / counts[met]
    y = np.bincount(bins, right, BINS)[met] / counts[met]
    return x.tolist(), y.tolist(), float((counts[met] * abs(x - y)).sum() / counts.sum())


def class_scores(groups: Sequence[Group]) -> go.Figure | None:
    """Precision, recall and F1 of each class, a line per group."""
    known = [g for g in groups if all(run.said for run in g.runs)][:MOST]
    if not known:
        return None
    names = known[0].runs[0].said.class_names
    columns = min(len(names), 3)
    rows = ceil(len(names) / columns)
    height = 60 + ROW * len(known)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=names,
        shared_yaxes=True,
        shared_xaxes="all",
        horizontal_spacing=0.03,
        vertical_spacing=60 / (rows * height),
    )
    scores = np.stack([_per_class(confusion(g)) for g in known])  # [G, 3, C]
    marks = (("precision", "triangle-right-open"), ("recall", "circle-open"), ("F1", "circle"))
    for number in range(len(names)):
        for kind, (word, symbol) in enumerate(marks):
            figure.add_scatter(
                x=scores[:, kind, number],
                y=[g.label for g in known],
                mode="markers",
                name=word,
                legendgroup=word,
                showlegend=number == 0,
                marker={"symbol": symbol, "size": 9, "color": PALETTE[kind]},
                hovertemplate=f"%{{y}}<br>{word} %{{x:.4f}}<extra></extra>",
                row=number // columns + 1,
                col=number % columns + 1,
            )
    figure.update_yaxes(autorange="reversed", automargin=True)
    legend = {"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0}
    margin = {"l": 64, "r": 20, "t": 84, "b": 52}  # room for the legend
    figure.update_layout(height=80 + rows * height, legend=legend, margin=margin)
    return figure


def confusion(group: Group) -> np.ndarray:
    """Counts [C, C] of true and predicted class, summed over the group's runs."""
    classes = len(group.runs[0].said.class_names)
    total = np.zeros((classes, classes), int)
    for run in group.runs:
        np.add.at(total, (run.said.labels, run.said.predicted), 1)
    return total


def _per_class(counts: np.ndarray) -> np.ndarray:
    """[3, C] precision, recall, F1; NaN for a class without rows, as in `metric_definitions`."""
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    scores = np.stack(
        [hits / predicted.clip(1), hits / true.clip(1), 2 * hits / (true + predicted).clip(1)]
    )
    return np.where(true > 0, scores, np.nan)


def differences(comparison: Comparison) -> go.Figure | None:
    """Every pair of the leading groups: row minus column, empty where it is noise."""
    places = sorted({n for p in comparison.pairs for n in (p.first, p.second)})[:MAPPED]
    if len(places) < 2:
        return None
    gap = float("nan")
    values = {(p.first, p.second): gap if p.is_noise else p.difference for p in comparison.pairs}
    values |= {(b, a): -value for (a, b), value in values.items()}
    labels = [comparison.groups[n].label for n in places]
    figure = go.Figure()
    figure.add_heatmap(
        z=[[values.get((a, b), gap) for b in places] for a in places],
        x=labels,
        y=labels,
        colorscale="RdBu",
        zmid=0,
        xgap=1,
        ygap=1,
        texttemplate="%{z:+.3f}" if len(places) <= 16 else None,
        colorbar={"thickness": 12, "outlinewidth": 0},
        hoverongaps=False,
        hovertemplate="%{y}<br>minus %{x}<br>%{z:+.4f}<extra></extra>",
    )
    figure.update_layout(height=200 + 20 * len(places))
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    figure.update_xaxes(showgrid=False, automargin=True, tickangle=-60)
    return figure
