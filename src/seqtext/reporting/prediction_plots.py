"""Plotly figures of test predictions: calibration, scores per class, pairwise differences."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from seqtext.reporting.groups import RunGroup
from seqtext.reporting.pairwise import Comparison, PairwiseResult
from seqtext.reporting.plot_style import (
    BAR_HEIGHT,
    MAX_GROUPS,
    PALETTE,
    assign_styles,
    escape_plotly,
    format_group_name,
    shorten_label,
    show_category,
)

MAX_HEATMAP_GROUPS = 24  # groups in the heat map of all pairs
NUM_BINS = 10
MAX_CLASS_NAME_LENGTH = 40  # characters
MAX_SLANTED_LABEL_LENGTH = 32  # characters of a label below the heat map
FAINT_COLOUR = "rgba(138, 141, 152, 0.10)"  # of cells that are not significant


def plot_calibration(groups: Sequence[RunGroup]) -> go.Figure | None:
    """Plot accuracy against confidence (reliability diagram); the diagonal is calibrated."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": "#8a8d98", "dash": "dot", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    for place, (group, style) in enumerate(zip(groups, assign_styles(groups), strict=True)):
        predictions = group.predictions
        if not predictions:
            continue
        confidence = np.concatenate([one.probabilities.max(axis=1) for one in predictions])
        right = np.concatenate(
            [one.probabilities.argmax(axis=1) == one.labels for one in predictions]
        )
        x, y, error = compute_reliability(confidence, right)
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name=f"{format_group_name(group)} · {error:.3f}",
            line={"color": style.color, "dash": style.dash, "width": 1.5},
            marker={"size": 5, "symbol": style.symbol},
            visible=True if place < 8 else "legendonly",
            hovertemplate=f"{format_group_name(group)}<br>"
            f"confidence %{{x:.3f}}, accuracy %{{y:.3f}}"
            "<extra></extra>",
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


def compute_reliability(confidence: np.ndarray, right: np.ndarray) -> tuple[list, list, float]:
    """Compute mean confidence and accuracy in bins of equal width, and their mean difference.

    The latter is the expected calibration error (Guo et al., 2017).
    """
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    met = counts > 0
    x = np.bincount(bins, confidence, NUM_BINS)[met] / counts[met]
    y = np.bincount(bins, right, NUM_BINS)[met] / counts[met]
    return x.tolist(), y.tolist(), float((counts[met] * abs(x - y)).sum() / counts.sum())


def plot_class_scores(groups: Sequence[RunGroup]) -> go.Figure | None:
    """Plot precision, recall and F1 of each class, with one line per group."""
    known = select_groups_with_predictions(groups)[:MAX_GROUPS]
    if not known:
        return None
    names = known[0].predictions[0].class_names
    known = [g for g in known if g.predictions[0].class_names == names]
    labels = [format_group_name(group) for group in known]
    columns = min(len(names), 3)
    rows = ceil(len(names) / columns)
    height = 60 + BAR_HEIGHT * len(known)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[
            escape_plotly(shorten_label(name, MAX_CLASS_NAME_LENGTH)) for name in names
        ],
        shared_yaxes=True,
        shared_xaxes="all",
        horizontal_spacing=0.03,
        vertical_spacing=60 / (rows * height),
    )
    scores = np.stack([_compute_class_scores(count_confusions(g)) for g in known])  # [groups, 3, C]
    marks = (("precision", "triangle-right-open"), ("recall", "circle-open"), ("F1", "circle"))
    for number in range(len(names)):
        for kind, (word, symbol) in enumerate(marks):
            figure.add_scatter(
                x=scores[:, kind, number],
                y=labels,
                mode="markers",
                name=word,
                legendgroup=word,
                showlegend=number == 0,
                marker={"symbol": symbol, "size": 9, "color": PALETTE[kind]},
                hovertemplate=f"%{{y}}<br>{word} %{{x:.4f}}<extra></extra>",
                row=number // columns + 1,
                col=number % columns + 1,
            )
    show_category(figure, "y", labels)
    figure.update_yaxes(autorange="reversed", automargin=True)
    legend = {"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0}
    margin = {"l": 64, "r": 20, "t": 84, "b": 52}  # room for the legend
    figure.update_layout(height=80 + rows * height, legend=legend, margin=margin)
    return figure


def select_groups_with_predictions(groups: Sequence[RunGroup]) -> list[RunGroup]:
    """Return the groups whose runs all have predictions of the same classes."""
    return [group for group in groups if len({each.class_names for each in group.predictions}) == 1]


def count_confusions(group: RunGroup) -> np.ndarray:
    """Return the confusion matrix [C, C] (true, predicted), summed over the group's runs."""
    classes = len(group.predictions[0].class_names)
    total = np.zeros((classes, classes), int)
    for each in group.predictions:
        np.add.at(total, (each.labels, each.predicted), 1)
    return total


def _compute_class_scores(counts: np.ndarray) -> np.ndarray:
    """Return precision, recall and F1 [3, C]; NaN for a class without rows."""
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    scores = np.stack(
        [hits / predicted.clip(1), hits / true.clip(1), 2 * hits / (true + predicted).clip(1)]
    )
    return np.where(true > 0, scores, np.nan)


def plot_differences(comparison: Comparison) -> go.Figure | None:
    """Plot the differences of all pairs of the leading groups, coloured if significant.

    Other differences are in brackets without colour, so that the figure is never empty.
    """
    places = sorted({n for p in comparison.pairs for n in (p.first, p.second)})[:MAX_HEATMAP_GROUPS]
    if len(places) < 2:
        return None
    pairs = [[comparison.get_pair(a, b) if a != b else None for b in places] for a in places]
    labels = [comparison.groups[n].label for n in places]
    names = {
        "x": [escape_plotly(shorten_label(label, MAX_SLANTED_LABEL_LENGTH)) for label in labels]
    }  # they are slanted
    names["y"] = [escape_plotly(shorten_label(label)) for label in labels]
    figure = go.Figure()
    has_room = len(places) <= 16
    faint = {"showscale": False, "colorscale": [[0, FAINT_COLOUR], [1, FAINT_COLOUR]]}
    _add_heatmap(figure, pairs, names, "" if not has_room else "({:+.3f})", False, faint)
    strong = {"colorscale": "RdBu", "zmid": 0, "colorbar": {"thickness": 12, "outlinewidth": 0}}
    if any(pair.is_significant for pair in comparison.pairs):
        _add_heatmap(figure, pairs, names, "" if not has_room else "{:+.3f}", True, strong)
    figure.update_layout(height=200 + 24 * len(places))
    for axis in ("x", "y"):
        show_category(figure, axis, names[axis])
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    figure.update_xaxes(showgrid=False, automargin=True, tickangle=-40)
    return figure


def _add_heatmap(
    figure: go.Figure,
    pairs: list[list[PairwiseResult | None]],
    names: dict[str, list[str]],
    text: str,
    is_significant: bool,
    style: dict[str, Any],
) -> None:
    """Add the cells of all pairs that differ significantly, or of all others."""
    chosen = [
        [p if p and p.is_significant == is_significant else None for p in row] for row in pairs
    ]
    figure.add_heatmap(
        z=[[None if p is None else p.difference for p in row] for row in chosen],
        **names,
        text=[["" if p is None else text.format(p.difference) for p in row] for row in chosen],
        customdata=[["" if p is None else p.verdict for p in row] for row in chosen],
        texttemplate="%{text}",
        textfont={} if is_significant else {"color": "#8a8d98"},
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="%{y}<br>minus %{x}<br>%{z:+.4f}, %{customdata}<extra></extra>",
        **style,
    )
