"""Plot predictions of one part of the data, for any number of classes with any names."""

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import (
    auc,
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    roc_curve,
)

from seqtext.data.statistics import find_largest
from seqtext.figures.text import (
    CHARACTER_WIDTH,
    TITLE_LENGTH,
    describe_omission,
    draw_text_literally,
    label_classes,
    make_drawable,
)
from seqtext.metrics.predictions import Predictions

SIZE = (5, 4.5)  # inches
MAX_CURVES = 12  # maximum number of classes with a curve
MAX_MATRIX_CLASSES = 30  # maximum number of rows of the confusion matrix
MAX_COUNTED_CLASSES = 12  # maximum number of classes with numbers in the cells
CELL, COUNTED_CELL = 0.22, 0.4  # inches per cell, without and with numbers
MAX_SOLID_CURVES = 10  # number of curves after which matplotlib's colours repeat
LEGEND_INSIDE = (4, 120)  # maximum curves and characters of a legend within the axes
OTHERS = "all other classes"
Curve = tuple[np.ndarray, np.ndarray, str]  # x, y and a summary for the legend


def get_prediction_plots(predictions: Predictions, title: str) -> dict[str, Callable[[], Figure]]:
    """Return functions that draw confusion matrix, ROC and precision-recall curves, by file name.

    Of many classes, those with most rows in this part are drawn.
    """
    return {
        "confusion_matrix": partial(plot_confusion_matrix, predictions, title),
        "roc": partial(plot_roc, predictions, title),
        "precision_recall": partial(plot_precision_recall, predictions, title),
    }


def plot_confusion_matrix(predictions: Predictions, title: str) -> Figure:
    """Draw counts, coloured by row share; classes beyond `MAX_MATRIX_CLASSES` are merged."""
    names, counts = _count_confusions(predictions)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    longest, is_counted = max(map(len, names)), len(names) <= MAX_COUNTED_CLASSES
    is_level = sum(len(name) + 2 for name in names) < 40
    # size beyond the default
    extent = max(0.0, (COUNTED_CELL if is_counted else CELL) * len(names) - 3)
    room = max(0.0, CHARACTER_WIDTH * (longest - 9))
    size = (SIZE[0] + extent + room, SIZE[1] + extent + (0 if is_level else room))
    with draw_text_literally(title, *names):
        figure = Figure(size, layout="constrained")
        axes = figure.add_subplot(xlabel="predicted", ylabel="true")
        image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axes.set_xticks(range(len(names)), names, rotation=0 if is_level else 90)
        axes.set_yticks(range(len(names)), names)
        fontsize = 10 if len(names) < 6 else 6
        if is_counted:
            for row, column in np.ndindex(counts.shape):
                colour = "white" if shares[row, column] > 0.5 else "black"
                text = f"{counts[row, column]:,}\n{shares[row, column]:.1%}"
                axes.text(
                    column, row, text, ha="center", va="center", color=colour, fontsize=fontsize
                )
        figure.colorbar(image, label="share of the true class")
        _set_title(axes, title, describe_omission(MAX_MATRIX_CLASSES, len(predictions.class_names)))
    return figure


def plot_roc(predictions: Predictions, title: str) -> Figure:
    """Draw true against false positive rate, one curve per class (only class 1 of two)."""
    return _plot_curves(
        predictions, title, _compute_roc, "false positive rate", "true positive rate (recall)"
    )


def plot_precision_recall(predictions: Predictions, title: str) -> Figure:
    """Draw precision against recall, one curve per class (only class 1 of two)."""
    return _plot_curves(predictions, title, _compute_precision_recall, "recall", "precision")


def _compute_roc(truth: np.ndarray, probabilities: np.ndarray) -> Curve:
    false_rate, true_rate, _ = roc_curve(truth, probabilities)
    return false_rate, true_rate, f"area {auc(false_rate, true_rate):.3f}"


def _compute_precision_recall(truth: np.ndarray, probabilities: np.ndarray) -> Curve:
    precision, recall, _ = precision_recall_curve(truth, probabilities)
    return recall, precision, f"average {average_precision_score(truth, probabilities):.3f}"


def _plot_curves(
    predictions: Predictions,
    title: str,
    compute_curve: Callable[[np.ndarray, np.ndarray], Curve],
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Draw one curve per class against the rest."""
    lines, legend = [], []
    is_roc = compute_curve is _compute_roc
    names, chosen = label_classes(predictions.class_names), _choose_classes(predictions)
    with draw_text_literally(title, *(names[number] for number in chosen)):
        figure = Figure(SIZE, layout="constrained")
        axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
        for count, number in enumerate(chosen):
            probabilities = predictions.probabilities[:, number]
            x, y, summary = compute_curve(predictions.labels == number, probabilities)
            lines += axes.plot(x, y, linestyle="-" if count < MAX_SOLID_CURVES else "--")
            legend.append(f"{names[number]}, {summary}")
        if is_roc:
            lines += axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
            legend.append("chance")
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
        axes.grid(alpha=0.3)
        _add_legend(figure, axes, lines, legend, "lower right" if is_roc else "lower left")
        drawn = MAX_CURVES if len(predictions.class_names) > 2 else 2
        _set_title(axes, title, describe_omission(drawn, len(predictions.class_names)))
    return figure


def _choose_classes(predictions: Predictions) -> list[int]:
    """Return the classes to draw: class 1 of two, else the largest that have a curve."""
    labels, count = predictions.labels, len(predictions.class_names)
    sizes = np.bincount(labels, minlength=count)
    chosen = [1] if count == 2 else find_largest(sizes, MAX_CURVES)
    return [number for number in chosen if 0 < sizes[number] < len(labels)]


def _count_confusions(predictions: Predictions) -> tuple[list[str], np.ndarray]:
    """Return names and counts [true, predicted]; of many classes, the small ones are merged."""
    names = label_classes(predictions.class_names)
    labels, predicted = predictions.labels, predictions.predicted
    if len(names) > MAX_MATRIX_CLASSES:
        chosen = find_largest(np.bincount(labels, minlength=len(names)), MAX_MATRIX_CLASSES)
        position = np.full(len(names), MAX_MATRIX_CLASSES)
        position[chosen] = np.arange(MAX_MATRIX_CLASSES)
        labels, predicted = position[labels], position[predicted]
        names = [*(names[number] for number in chosen), OTHERS]
    return names, confusion_matrix(labels, predicted, labels=np.arange(len(names)))


def _add_legend(figure: Figure, axes, lines: list, names: list[str], where: str) -> None:
    """Add a legend; passing the lines explicitly keeps names that begin with "_"."""
    count, characters = LEGEND_INSIDE
    if len(names) <= count and sum(map(len, names)) <= characters:
        axes.legend(lines, names, loc=where)
        return
    figure.set_size_inches(SIZE[0] + 0.6 + 0.07 * max(map(len, names)), SIZE[1])
    axes.legend(lines, names, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8)


def _set_title(axes, title: str, note: str) -> None:
    axes.set_title("\n".join(filter(None, [make_drawable(title, TITLE_LENGTH), note])))
