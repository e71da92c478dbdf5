"""The page's interactive figures; their colours of text and grid come from the page's theme."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from seqtext.report.compare import Comparison
from seqtext.report.groups import ABSENT, Group, shown

PALETTE = (
    *("#3b73d1", "#e07b39", "#2f9e77", "#c2457d", "#8367c7"),
    *("#b0892b", "#3aa0c9", "#d1495b", "#6b8e23", "#7d7f8a"),
)
MOST = 40  # groups in figures with a line of their own for each
MAPPED = 24  # in the map of all pairs
VALUES = 12  # of a setting, that an axis names one by one
BINS = 10
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
    """[3, C] precision, recall, F1; 0 for a class that does not occur."""
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    return np.stack(
        [hits / predicted.clip(1), hits / true.clip(1), 2 * hits / (true + predicted).clip(1)]
    )


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
