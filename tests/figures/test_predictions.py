"""Figures of predictions: class names, and the largest of many classes."""

import logging
import warnings

import numpy as np
import pytest
import torch

from seqtext.figures.files import write_figures
from seqtext.figures.predictions import (
    MAX_CURVES,
    MAX_MATRIX_CLASSES,
    OTHERS,
    get_prediction_plots,
    plot_confusion_matrix,
    plot_roc,
)
from seqtext.metrics.predictions import Predictions

STRANGE = [
    *("$\\badcommand$", "$10_and_more$", "_under", "日本", "مرحبا 😀"),
    "x" * 400 + "a{b}^c",
    "new\nline \x1b[31m a\u202eb",
]


def invented(names: list[str], rows: int = 60) -> Predictions:
    classes = len(names)
    labels = np.arange(rows) % classes
    logits = torch.randn(rows, classes, generator=torch.Generator().manual_seed(0))
    logits[torch.arange(rows), torch.from_numpy(labels)] += 1
    logits = logits[:, 1] - logits[:, 0] if classes == 2 else logits
    return Predictions(np.arange(rows), labels, logits, names)


@pytest.mark.parametrize("names", [STRANGE, ["$a$", "_b"]], ids=["many", "two"])
def test_any_name_is_drawn(names, tmp_path, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = write_figures(
            get_prediction_plots(invented(names), "60 rows of $a_$b.csv"), tmp_path, dpi=50
        )
    assert (
        {path.stem for path in tmp_path.iterdir()}
        == set(drawn)
        == set(get_prediction_plots(None, ""))
    )
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_names_are_told_as_they_are():
    names = ["_a", "$b$", "c"]
    for name, draw in get_prediction_plots(invented(names), "$a$_b").items():
        (axes, *_) = draw().axes
        assert axes.get_title() == "$a$_b"
        assert not axes.title.get_parse_math()
        if name == "confusion_matrix":
            assert [label.get_text() for label in axes.get_yticklabels()] == names
        else:
            texts = [text.get_text() for text in axes.get_legend().get_texts()][:3]
            assert [text.rpartition(",")[0] for text in texts] == names


def test_of_many_classes_the_largest_are_drawn():
    predictions = invented([f"class of number {number}" for number in range(1001)], rows=2010)
    figure = plot_roc(predictions, "test part")
    (axes,) = figure.axes
    assert len(axes.lines) == MAX_CURVES + 1
    assert len(axes.get_legend().get_texts()) == MAX_CURVES + 1
    assert axes.get_title() == "test part\nThe 12 largest of 1,001 classes."
    figure = plot_confusion_matrix(predictions, "test part")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(labels) == MAX_MATRIX_CLASSES + 1
    assert labels[-1] == OTHERS
    assert max(figure.get_size_inches()) < 15


def test_the_confusion_matrix_has_all_rows():
    predictions = invented([str(number) for number in range(MAX_MATRIX_CLASSES + 5)], rows=700)
    (image,) = plot_confusion_matrix(predictions, "").axes[0].images
    hits = predictions.predicted == predictions.labels
    of_first = predictions.labels == 0
    assert image.get_array()[0, 0] == pytest.approx(hits[of_first].mean())
    np.testing.assert_allclose(image.get_array().sum(axis=1), 1)


def test_a_figure_that_fails_is_a_warning(tmp_path, caplog):
    def fail():
        raise ValueError("no\nink")

    drawings = {"first": fail, "roc": get_prediction_plots(invented(["a", "b"]), "")["roc"]}
    with caplog.at_level(logging.WARNING):
        assert list(write_figures(drawings, tmp_path / "new")) == ["roc"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["roc.png"]
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert record.getMessage() == "The figure first cannot be shown: ValueError: no\nink"
