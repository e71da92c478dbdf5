"""Figures of training and settings; their colours of text and grid come from the page's theme."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from seqtext.report.groups import ABSENT, Group, shown

PALETTE = (
    *("#3b73d1", "#e07b39", "#2f9e77", "#c2457d", "#8367c7"),
    *("#b0892b", "#3aa0c9", "#d1495b", "#6b8e23", "#7d7f8a"),
)
MOST = 40  # groups in figures with a line of their own for each
VALUES = 12  # of a setting, that an axis names one by one
ROW = 24  # pixels of a bar


def colours(groups: Sequence[Group]) -> list[str]:
    """One per group; where there are too many, one per model."""
    each = [g.label if len(groups) <= len(PALETTE) else g.model for g in groups]
    known = {name: n for n, name in enumerate(dict.fromkeys(each))}
    return [PALETTE[known[name] % len(PALETTE)] for name in each]


def curves(groups: Sequence[Group], metric: str) -> go.Figure | None:
    """Each run's values over its epochs; a menu chooses which, the page highlights."""
    runs = [(g, run, c) for g, c in zip(groups, colours(groups), strict=True) for run in g.runs]
    runs = [(g, run, c) for g, run, c in runs if run.metrics.get("curves")]
    if not runs:
        return None
    wanted = dict.fromkeys([f"val/{metric}", f"train/{metric}", "val/loss", "train/loss"])
    names = [n for n in wanted if any(n in run.metrics["curves"] for _, run, _ in runs)]
    figure, labelled = go.Figure(), set()
    for group, run, colour in runs:
        values = run.metrics["curves"].get(names[0], [])
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            y=values,
            mode="lines+markers" if len(values) < 3 else "lines",
            name=group.label,
            legendgroup=group.label,
            showlegend=group.label not in labelled,
            line={"color": colour, "width": 1.5},
            opacity=0.65,
            hovertemplate=f"{group.label}, seed {run.seed}<br>epoch %{{x}}: %{{y:.4f}}"
            "<extra></extra>",
        )
        labelled.add(group.label)
    longest = max(run.metrics["epochs"] for _, run, _ in runs)
    figure.update_layout(
        height=440,
        xaxis={"title": "epoch", **({"dtick": 1} if longest <= 15 else {})},
        yaxis={"title": names[0]},
        meta={"choices": _choices(runs, names)},
    )
    return figure


def _choices(runs: Sequence[tuple], names: Sequence[str]) -> list[tuple[str, dict]]:
    """For the page's menu: a name, and the values of all traces."""
    choices = []
    for name in names:
        values = [run.metrics["curves"].get(name, []) for _, run, _ in runs]
        epochs = [list(range(1, len(v) + 1)) for v in values]
        choices.append((name, {"x": epochs, "y": values}))
    return choices


def settings_figure(groups: Sequence[Group], metric: str) -> go.Figure | None:
    """Validation score against each setting that differs: a dot per group, a line of means."""
    names = [n for n in dict.fromkeys(n for g in groups for n in g.settings) if _varies(groups, n)]
    if not names:
        return None
    columns = min(3, len(names))
    rows = ceil(len(names) / columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=names,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.28 / rows,
    )
    for place, name in enumerate(names):
        at = {"row": place // columns + 1, "col": place % columns + 1}
        _against(figure, groups, name, metric, at)
    figure.update_yaxes(title=f"validation {metric}", col=1)
    figure.update_layout(height=90 + 250 * rows, showlegend=False)
    return figure


def _varies(groups: Sequence[Group], name: str) -> bool:
    return len(_values(groups, name)) > 1


def _values(groups: Sequence[Group], name: str) -> list[str]:
    """The distinct values of a setting, in their order."""
    known = [g.settings[name] for g in groups if g.settings.get(name, ABSENT) != ABSENT]
    return in_order_of_value(known)


def _against(
    figure: go.Figure, groups: Sequence[Group], name: str, metric: str, at: dict[str, int]
) -> None:
    every = zip(groups, colours(groups), strict=True)
    known = [(g, c) for g, c in every if g.settings.get(name, ABSENT) != ABSENT]
    values = [g.settings[name] for g, _ in known]
    scores = [g.mean("val", metric) for g, _ in known]
    order = in_order_of_value(values)
    drawn = len(order) > VALUES and all(isinstance(v, int | float) for v in values)
    figure.add_scatter(
        x=values if drawn else [shown(value) for value in values],
        y=scores,
        mode="markers",
        marker={"color": [c for _, c in known], "size": 8, "opacity": 0.75},
        text=[g.label for g, _ in known],
        hovertemplate="%{text}<br>%{y:.4f}<extra></extra>",
        **at,
    )
    if drawn:
        far = min(values) > 0 and max(values) > 30 * min(values)
        figure.update_xaxes(type="log" if far else "linear", **at)
        return
    alike = {v: [s for x, s in zip(values, scores, strict=True) if shown(x) == v] for v in order}
    figure.add_scatter(
        x=order,
        y=[np.mean([s for s in alike[v] if s is not None] or [np.nan]) for v in order],
        mode="lines",
        line={"color": "#8a8d98", "width": 1.5, "dash": "dot"},
        hovertemplate="mean at %{x}: %{y:.4f}<extra></extra>",
        **at,
    )
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=order, **at)


def in_order_of_value(values: Sequence) -> list[str]:
    """Distinct values as they are typed: numbers by size, then the others by name."""

    def size(value) -> tuple[bool, float, str]:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return not number, value if number else 0, shown(value)

    return list(dict.fromkeys(shown(value) for value in sorted(values, key=size)))


def heat_maps(groups: Sequence[Group], metric: str) -> go.Figure | None:
    """Validation score over two settings, a map per model; None where no two vary."""
    ours = [g for g in groups if not g.is_reference]
    names = [n for n in (ours[0].settings if ours else ()) if n != "model"]
    values = {n: v for n in names if 1 < len(v := _values(ours, n)) <= VALUES}
    if len(values) < 2:
        return None
    down, across = sorted(values, key=lambda n: -len(values[n]))[:2]
    grids = {
        model: _grid([g for g in ours if g.model == model], down, across, values, metric)
        for model in sorted({g.model for g in ours})
    }
    models = [model for model, z in grids.items() if np.isfinite(z).sum() > 1]
    if not models:
        return None
    figure = make_subplots(
        1, len(models), subplot_titles=models, shared_yaxes=True, horizontal_spacing=0.03
    )
    for column, model in enumerate(models, 1):
        z = grids[model]
        text = [["" if np.isnan(v) else f"{v:.3f}" for v in row] for row in z]
        figure.add_heatmap(
            z=z,
            x=values[across],
            y=values[down],
            text=text,
            texttemplate="%{text}",
            coloraxis="coloraxis",
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate=f"{model}, {down} %{{y}}, {across} %{{x}}<br>%{{z:.4f}}<extra></extra>",
            row=1,
            col=column,
        )
    figure.update_xaxes(type="category", title=across)
    figure.update_yaxes(type="category", showgrid=False)
    figure.update_yaxes(title=down, col=1)
    bar = {"thickness": 12, "outlinewidth": 0}
    height = 150 + 52 * len(values[down])
    figure.update_layout(height=height, coloraxis={"colorscale": "Blues", "colorbar": bar})
    return figure


def _grid(groups: Sequence[Group], down: str, across: str, values: dict, metric: str) -> list:
    """Mean validation scores [values of `down`, values of `across`], nan where there are none."""

    def cell(y: str, x: str) -> float:
        met = [g for g in groups if (shown(g.settings[down]), shown(g.settings[across])) == (y, x)]
        scores = [s for g in met if (s := g.mean("val", metric)) is not None]
        return float(np.mean(scores)) if scores else float("nan")

    return [[cell(y, x) for x in values[across]] for y in values[down]]


def time_against_score(groups: Sequence[Group], metric: str) -> go.Figure:
    """Test score against the training time (logarithmic where it needs to be); bars of one std."""
    few = len(groups) <= 12
    figure = go.Figure()
    for group, colour in zip(groups, colours(groups), strict=True):
        error = group.std("test", metric)
        figure.add_scatter(
            x=[group.mean("seconds", "training")],
            y=[group.mean("test", metric)],
            error_y={"array": [error or 0], "width": 3, "thickness": 1},
            mode="markers+text" if few else "markers",
            text=[group.label],
            textposition="top center",
            cliponaxis=False,
            name=group.label,
            marker={
                "color": colour,
                "size": 11,
                "symbol": "diamond" if group.is_reference else "circle",
            },
            hovertemplate="%{text}<br>%{x:.1f} s, %{y:.4f}<extra></extra>",
        )
    times = [group.mean("seconds", "training") for group in groups]
    far = max(times) > 10 * max(min(times), 1e-9)
    ticks = {"title": "training time in seconds", **({"type": "log", "dtick": 1} if far else {})}
    figure.update_layout(
        height=420, showlegend=False, xaxis=ticks, yaxis={"title": f"test {metric}"}
    )
    return figure


def training_times(groups: Sequence[Group]) -> go.Figure:
    """A bar per group, in the order of the table."""
    few = list(groups[:MOST])
    means = [g.mean("seconds", "training") for g in few]
    unit, word = (60, "minutes") if max(means) > 120 else (1, "seconds")
    spread = [(g.std("seconds", "training") or 0) / unit for g in few]
    figure = go.Figure()
    figure.add_bar(
        x=[mean / unit for mean in means],
        y=[g.label for g in few],
        orientation="h",
        error_x={"array": spread, "width": 3, "thickness": 1, "color": "#8a8d98"},
        marker={"color": colours(groups)[:MOST]},
        hovertemplate="%{y}<br>%{x:.2f} " + word + "<extra></extra>",
    )
    figure.update_layout(
        height=90 + ROW * len(few), xaxis={"title": f"training time in {word}"}, bargap=0.35
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    return figure
