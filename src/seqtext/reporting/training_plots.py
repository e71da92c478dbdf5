"""Figures of training and settings; their colours of text and grid come from the page's theme."""

import hashlib
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from seqtext.display import make_printable
from seqtext.reporting.groups import ABSENT, Group, format_value

PALETTE = (
    *("#3b73d1", "#e07b39", "#2f9e77", "#c2457d", "#8367c7"),
    *("#b0892b", "#3aa0c9", "#d1495b", "#6b8e23", "#7d7f8a"),
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "triangle-up", "x", "star", "cross")
PLOTLY_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "%{": "%&#123;"}
MAX_LABEL_LENGTH = 60  # characters of a label
MAX_VALUE_LENGTH = 28  # characters of a setting's value at an axis
MAX_GROUPS = 40  # groups in figures with a line of their own for each
MAX_NAMED_POINTS = 12  # groups that stand beside their points by name
MAX_NAMED_VALUES = 12  # of a setting, that an axis names one by one
BAR_HEIGHT = 24  # pixels of a bar


class Style(NamedTuple):
    """How a group is drawn, in every figure: no two of 60 alike."""

    color: str
    dash: str
    symbol: str


def assign_styles(groups: Sequence[Group]) -> list[Style]:
    """One per group: colours first, then dashes and symbols tell those of one colour apart."""
    styles = []
    for place, group in enumerate(groups):
        turn, colour = divmod(place, len(PALETTE))
        symbol = "diamond" if group.is_reference else SYMBOLS[turn % len(SYMBOLS)]
        styles.append(Style(PALETTE[colour], DASHES[turn % len(DASHES)], symbol))
    return styles


def format_group_name(group: Group) -> str:
    """A group's label for a figure: as text, and not too long."""
    return escape_plotly(shorten(group.label))


def shorten(text: str, most: int = MAX_LABEL_LENGTH) -> str:
    """Return a text of `most` characters or little more, still unlike others that were longer."""
    if len(text) <= most:
        return text
    kept = most - 9
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:4]
    start, end = text[: kept // 2], text[len(text) - kept // 2 :]  # as often as not the end tells
    return f"{start} … {end} ({digest})"


def escape_plotly(text: str) -> str:
    """Return a text that Plotly shows as it is: no tags, links, entities or ``%{fields}``."""
    line = make_printable(" ".join(text.split()))
    for character, entity in PLOTLY_ENTITIES.items():
        line = line.replace(character, entity)
    return line


def show_category(figure: go.Figure, axis: str, names: Sequence[str], **at: int) -> None:
    """Let an axis name all of these categories, as texts, whatever they look like."""
    update = figure.update_xaxes if axis == "x" else figure.update_yaxes
    update(type="category", categoryorder="array", categoryarray=list(names), dtick=1, **at)


def plot_curves(groups: Sequence[Group], metric: str) -> go.Figure | None:
    """Each run's values over its epochs; a menu chooses which, the page highlights."""
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
            meta=make_printable(group.label),  # what a search in the page looks through
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
    """For the page's menu: a name, the axis' title, and the values of all traces."""
    choices = []
    for name in names:
        values = [run.metrics["curves"].get(name, []) for _, run, _ in runs]
        epochs = [list(range(1, len(v) + 1)) for v in values]
        choices.append((make_printable(name), escape_plotly(name), {"x": epochs, "y": values}))
    return choices


def plot_settings(groups: Sequence[Group], metric: str) -> go.Figure | None:
    """Validation score against each setting that differs: a dot per group, a line of means."""
    names = [n for n in dict.fromkeys(n for g in groups for n in g.settings) if _varies(groups, n)]
    if not names:
        return None
    columns = min(3, len(names))
    rows = ceil(len(names) / columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[escape_plotly(shorten(name)) for name in names],
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


def _varies(groups: Sequence[Group], name: str) -> bool:
    return len(_list_values(groups, name)) > 1


def _list_values(groups: Sequence[Group], name: str) -> list[str]:
    """The distinct values of a setting, in their order."""
    known = [g.settings[name] for g in groups if g.settings.get(name, ABSENT) != ABSENT]
    return sort_values(known)


def _add_setting(
    figure: go.Figure, groups: Sequence[Group], name: str, metric: str, at: dict[str, int]
) -> None:
    every = zip(groups, assign_styles(groups), strict=True)
    known = [(g, s) for g, s in every if g.settings.get(name, ABSENT) != ABSENT]
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
        v: [s for x, s in zip(values, scores, strict=True) if format_value(x) == v] for v in order
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
    return escape_plotly(shorten(format_value(value), MAX_VALUE_LENGTH))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sort_values(values: Sequence) -> list[str]:
    """Distinct values as they are typed: numbers by size, then the others by name."""

    def size(value) -> tuple[bool, float, str]:
        number = _is_number(value)
        return not number, value if number else 0, format_value(value)

    return list(dict.fromkeys(format_value(value) for value in sorted(values, key=size)))


def plot_heat_maps(groups: Sequence[Group], metric: str) -> go.Figure | None:
    """Validation score over two settings, a map per model; None where no two vary."""
    ours = [g for g in groups if not g.is_reference]
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
    names = {
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
            x=names["x"],
            y=names["y"],
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
    show_category(figure, "x", names["x"])
    show_category(figure, "y", names["y"])
    figure.update_xaxes(title=words[across])
    figure.update_yaxes(showgrid=False)
    figure.update_yaxes(title=words[down], col=1)
    bar = {"thickness": 12, "outlinewidth": 0}
    height = 150 + 52 * len(values[down])
    figure.update_layout(height=height, coloraxis={"colorscale": "Blues", "colorbar": bar})
    return figure


def _compute_grid(
    groups: Sequence[Group], down: str, across: str, values: dict, metric: str
) -> list:
    """Mean validation scores [values of `down`, values of `across`], nan where there are none."""

    def cell(y: str, x: str) -> float:
        met = [g for g in groups if _get_setting(g, down) == y and _get_setting(g, across) == x]
        scores = [s for g in met if (s := g.mean("val", metric)) is not None]
        return float(np.mean(scores)) if scores else float("nan")

    return [[cell(y, x) for x in values[across]] for y in values[down]]


def _get_setting(group: Group, name: str) -> str | None:
    return format_value(group.settings[name]) if name in group.settings else None


def plot_time_against_score(groups: Sequence[Group], metric: str) -> go.Figure | None:
    """Test score against the training time (logarithmic where it needs to be); bars of one std."""
    timed = {
        place: time
        for place, group in enumerate(groups)
        if (time := group.mean("seconds", "training")) is not None
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
    """Where a point's label goes: towards the middle of the figure, so that none is cut off.

    Points of about the same time take turns above and below.
    """
    at = {place: np.log(max(time, 1e-9)) if is_log else time for place, time in timed.items()}
    low, high = min(at.values()), max(at.values())
    sides = {}
    for turn, place in enumerate(sorted(at, key=at.get)):
        share = (at[place] - low) / (high - low) if high > low else 0.5
        side = "right" if share < 1 / 4 else "left" if share > 3 / 4 else "center"
        sides[place] = f"{('top', 'bottom')[turn % 2]} {side}"
    return sides


def _build_log_axis(values: Iterable[float]) -> dict[str, Any]:
    """A logarithmic axis with at least two ticks, numbers as they are."""
    known = [value for value in values if value > 0]
    decades = np.log10(max(known) / min(known)) if known else 0
    return {"type": "log", "dtick": "D2" if decades < 3 else 1}


def plot_training_times(groups: Sequence[Group]) -> go.Figure | None:
    """A bar per group, in the order of the table."""
    means = {place: group.mean("seconds", "training") for place, group in enumerate(groups)}
    means = {place: mean for place, mean in means.items() if mean is not None}
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
