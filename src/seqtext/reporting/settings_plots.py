"""Plotly figures of validation scores against one and two settings."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from seqtext.reporting.groups import NO_VALUE, RunGroup, format_setting
from seqtext.reporting.plot_style import (
    assign_styles,
    escape_plotly,
    format_group_name,
    shorten_label,
    show_category,
)

MAX_VALUE_LENGTH = 28  # characters of a setting's value on an axis
MAX_NAMED_VALUES = 12  # values that an axis shows individually


def plot_settings(groups: Sequence[RunGroup], metric: str) -> go.Figure | None:
    """Plot validation scores against each varying setting, as dots with a line of means."""
    known = dict.fromkeys(name for group in groups for name in group.settings)
    names = [name for name in known if len(_list_values(groups, name)) > 1]
    if not names:
        return None
    columns = min(3, len(names))
    rows = ceil(len(names) / columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[escape_plotly(shorten_label(name)) for name in names],
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.28 / rows,
    )
    for place, name in enumerate(names):
        at = {"row": place // columns + 1, "col": place % columns + 1}
        _add_setting(figure, groups, name, metric, at)
    figure.update_yaxes(title=escape_plotly(f"validation {metric}"), col=1)
    figure.update_layout(height=90 + 250 * rows, showlegend=False)
    return figure


def _list_values(groups: Sequence[RunGroup], name: str) -> list[str]:
    """Return the distinct values of a setting, sorted."""
    known = [g.settings[name] for g in groups if g.settings.get(name, NO_VALUE) != NO_VALUE]
    return sort_values(known)


def _add_setting(
    figure: go.Figure, groups: Sequence[RunGroup], name: str, metric: str, at: dict[str, int]
) -> None:
    every = zip(groups, assign_styles(groups), strict=True)
    known = [(g, s) for g, s in every if g.settings.get(name, NO_VALUE) != NO_VALUE]
    values = [g.settings[name] for g, _ in known]
    scores = [g.mean("val", metric) for g, _ in known]
    order = sort_values(values)
    drawn = len(order) > MAX_NAMED_VALUES and all(map(_is_number, values))
    figure.add_scatter(
        x=values if drawn else [_format_tick(value) for value in values],
        y=scores,
        mode="markers",
        marker={
            "color": [style.color for _, style in known],
            "symbol": [style.symbol for _, style in known],
            "size": 8,
            "opacity": 0.75,
        },
        text=[format_group_name(g) for g, _ in known],
        hovertemplate="%{text}<br>%{y:.4f}<extra></extra>",
        **at,
    )
    if drawn:
        far = min(values) > 0 and max(values) > 30 * min(values)
        figure.update_xaxes(type="log" if far else "linear", **at)
        return
    alike = {
        v: [s for x, s in zip(values, scores, strict=True) if format_setting(x) == v] for v in order
    }
    figure.add_scatter(
        x=[_format_tick(value) for value in order],
        y=[np.mean([s for s in alike[v] if s is not None] or [np.nan]) for v in order],
        mode="lines",
        line={"color": "#8a8d98", "width": 1.5, "dash": "dot"},
        hovertemplate="mean at %{x}: %{y:.4f}<extra></extra>",
        **at,
    )
    show_category(figure, "x", [_format_tick(value) for value in order], **at)


def _format_tick(value) -> str:
    return escape_plotly(shorten_label(format_setting(value), MAX_VALUE_LENGTH))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sort_values(values: Sequence) -> list[str]:
    """Return distinct values as typed, sorted: numbers by value, then others by name."""

    def size(value) -> tuple[bool, float, str]:
        number = _is_number(value)
        return not number, value if number else 0, format_setting(value)

    return list(dict.fromkeys(format_setting(value) for value in sorted(values, key=size)))


def plot_heat_maps(groups: Sequence[RunGroup], metric: str) -> go.Figure | None:
    """Plot a heat map per model of validation scores over two settings; None if fewer vary."""
    ours = [g for g in groups if not g.is_baseline and not g.is_ensemble]
    names = [n for n in (ours[0].settings if ours else ()) if n != "model"]
    values = {n: v for n in names if 1 < len(v := _list_values(ours, n)) <= MAX_NAMED_VALUES}
    if len(values) < 2:
        return None
    down, across = sorted(values, key=lambda n: -len(values[n]))[:2]
    grids = {
        model: _compute_grid([g for g in ours if g.model == model], down, across, values, metric)
        for model in sorted({g.model for g in ours})
    }
    models = [model for model, z in grids.items() if np.isfinite(z).sum() > 1]
    if not models:
        return None
    figure = make_subplots(
        1,
        len(models),
        subplot_titles=list(map(escape_plotly, models)),
        shared_yaxes=True,
        horizontal_spacing=0.03,
    )
    ticks = {
        axis: [_format_tick(value) for value in values[option]]
        for axis, option in (("x", across), ("y", down))
    }
    words = {name: escape_plotly(name) for name in (down, across)}
    where = f"{words[down]} %{{y}}, {words[across]} %{{x}}<br>%{{z:.4f}}<extra></extra>"
    for column, model in enumerate(models, 1):
        z = grids[model]
        text = [["" if np.isnan(v) else f"{v:.3f}" for v in row] for row in z]
        figure.add_heatmap(
            z=z,
            x=ticks["x"],
            y=ticks["y"],
            text=text,
            texttemplate="%{text}",
            coloraxis="coloraxis",
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate=f"{escape_plotly(model)}, {where}",
            row=1,
            col=column,
        )
    show_category(figure, "x", ticks["x"])
    show_category(figure, "y", ticks["y"])
    figure.update_xaxes(title=words[across])
    figure.update_yaxes(showgrid=False)
    figure.update_yaxes(title=words[down], col=1)
    bar = {"thickness": 12, "outlinewidth": 0}
    height = 150 + 52 * len(values[down])
    figure.update_layout(height=height, coloraxis={"colorscale": "Blues", "colorbar": bar})
    return figure


def _compute_grid(
    groups: Sequence[RunGroup], down: str, across: str, values: dict, metric: str
) -> list:
    """Return mean validation scores [values of `down`, values of `across`]; NaN if missing."""

    def cell(y: str, x: str) -> float:
        met = [g for g in groups if _get_setting(g, down) == y and _get_setting(g, across) == x]
        scores = [s for g in met if (s := g.mean("val", metric)) is not None]
        return float(np.mean(scores)) if scores else float("nan")

    return [[cell(y, x) for x in values[across]] for y in values[down]]


def _get_setting(group: RunGroup, name: str) -> str | None:
    return format_setting(group.settings[name]) if name in group.settings else None
