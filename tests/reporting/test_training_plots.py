"""Learning curves: distinguishable groups, escaped names, readable axes."""

import pytest

from seqtext.reporting.groups import RunGroup
from seqtext.reporting.plot_style import assign_styles, escape_plotly, shorten_label
from seqtext.reporting.runs import Run
from seqtext.reporting.training_plots import (
    plot_curves,
    plot_time_against_score,
    plot_training_times,
)


def group(label: str, time: float | None = 1.0, score: float | None = 0.5, **facts) -> RunGroup:
    metrics = {
        "model": "gru",
        "seconds": {"training": time},
        "test": {"f1": score},
        "settings": {},
        **facts,
    }
    return RunGroup(label, {}, (Run(None, metrics),))


def test_groups_of_one_model_are_told_apart():
    styles = assign_styles([group(f"gru {n}") for n in range(60)])
    assert len(set(styles)) == 60
    assert len({style.color for style in styles[:10]}) == 10
    assert len({(style.color, style.dash) for style in styles}) == 60


def test_curves_of_one_model_are_drawn_apart():
    groups = [group(f"gru {n}", curves={"val/f1": [0.1, 0.2, None]}) for n in range(25)]
    drawn = {(trace.line.color, trace.line.dash) for trace in plot_curves(groups, "f1").data}
    assert len(drawn) == 25


@pytest.mark.parametrize(
    ("times", "ticks"), [((1, 2), None), ((1, 11), "D2"), ((1, 900), "D2"), ((0.1, 9000), 1)]
)
def test_a_time_axis_has_more_than_one_tick(times, ticks):
    figure = plot_time_against_score([group(f"{t}", t) for t in times], "f1")
    assert figure.layout.xaxis.type == (None if ticks is None else "log")
    assert figure.layout.xaxis.dtick == ticks


def test_labels_lie_within_the_figure():
    figure = plot_time_against_score([group(f"{n}", n) for n in range(1, 10)], "f1")
    sides = [trace.textposition.partition(" ")[2] for trace in figure.data]
    assert (sides[0], sides[4], sides[-1]) == ("right", "center", "left")
    many = plot_time_against_score([group(f"{n}", n) for n in range(1, 20)], "f1")
    assert many.layout.showlegend  # where there is no room beside the points


def test_unknown_values_are_left_out():
    groups = [group("a", None), group("b", score=None), group("c")]
    assert [trace.name for trace in plot_time_against_score(groups, "f1").data] == ["c"]
    assert list(plot_training_times(groups).data[0].y) == ["b", "c"]
    assert plot_time_against_score(groups[:2], "f1") is None
    assert plot_training_times(groups[:1]) is None
    assert plot_curves(groups, "f1") is None


def test_every_bar_is_named():
    names = ["1", "2020-01-01", "true", *map(str, range(5, 40))]  # no numbers, no dates
    axis = plot_training_times([group(name) for name in names]).layout.yaxis
    assert axis.type == "category"
    assert axis.dtick == 1
    assert list(axis.categoryarray) == names


def test_times_are_those_of_the_table():
    """The features of a frozen encoder cost time too, of training 3 of 4 rows."""
    rows = {"train": {"a": 2}, "val": {"a": 1}, "test": {"a": 1}}
    frozen = group("frozen", rows=rows, seconds={"training": 1.0, "features": 80.0})
    assert list(plot_training_times([frozen]).data[0].x) == [61.0]
    assert list(plot_time_against_score([frozen], "f1").data[0].x) == [61.0]


def test_texts_are_nothing_else_to_plotly():
    assert escape_plotly("<b>&lt;%{y}\n\x1b") == "&lt;b&gt;&amp;lt;%&#123;y} \ufffd"


def test_long_names_are_shortened_and_stay_unlike():
    long = ["x" * 100 + end for end in ("a", "b")]
    short = [shorten_label(text) for text in long]
    assert short[0] != short[1]
    assert all(len(text) <= 62 for text in short)
    assert shorten_label("short") == "short"
    assert len({shorten_label(f"{'a' * 40}{n}{'b' * 40}", 28) for n in range(50)}) == 50
