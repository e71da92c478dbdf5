"""Pictures of a part's predictions."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import (
    auc,
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    roc_curve,
)

from seqtext.results.predictions import Predictions

SIZE = (5, 4.5)  # inches


def figures(predictions: Predictions, title: str) -> dict[str, Figure]:
    """Confusion matrix, ROC and precision-recall curves, by file name."""
    return {
        "confusion_matrix": confusion_figure(predictions, title),
        "roc": roc_figure(predictions, title),
        "precision_recall": precision_recall_figure(predictions, title),
    }


def confusion_figure(predictions: Predictions, title: str) -> Figure:
    """Counts, coloured by the share of each true class."""
    names = predictions.class_names
    counts = confusion_matrix(
        predictions.labels, predictions.predicted, labels=np.arange(len(names))
    )
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    figure = Figure(SIZE, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="predicted", ylabel="true")
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 4 else 90)
    axes.set_yticks(range(len(names)), names)
    if len(names) <= 12:  # more would not be readable
        for row, column in np.ndindex(counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{counts[row, column]:,}\n{shares[row, column]:.1%}"
            axes.text(column, row, text, ha="center", va="center", color=colour)
    figure.colorbar(image, label="share of the true class")
    return figure


def roc_figure(predictions: Predictions, title: str) -> Figure:
    """True against false positive rate, one curve per class (class 1 alone for two classes)."""
    figure = Figure(SIZE, layout="constrained")
    axes = figure.add_subplot(
        title=title, xlabel="false positive rate", ylabel="true positive rate (recall)"
    )
    for name, truth, probability in _one_against_rest(predictions):
        false_rate, true_rate, _ = roc_curve(truth, probability)
        axes.plot(false_rate, true_rate, label=f"{name}, area {auc(false_rate, true_rate):.3f}")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
    _finish(axes)
    return figure


def precision_recall_figure(predictions: Predictions, title: str) -> Figure:
    """Precision against recall, one curve per class (class 1 alone for two classes)."""
    figure = Figure(SIZE, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="recall", ylabel="precision")
    for name, truth, probability in _one_against_rest(predictions):
        precision, recall, _ = precision_recall_curve(truth, probability)
        average = average_precision_score(truth, probability)
        axes.plot(recall, precision, label=f"{name}, average {average:.3f}")
    _finish(axes)
    return figure


def _one_against_rest(predictions: Predictions) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    classes = len(predictions.class_names)
    for number in [1] if classes == 2 else range(classes):
        truth = predictions.labels == number
        if truth.any() and not truth.all():  # otherwise there is no curve
            yield predictions.class_names[number], truth, predictions.probabilities[:, number]


def _finish(axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3)
    if len(axes.lines) <= 12:
        axes.legend(loc="lower right" if "false" in axes.get_xlabel() else "lower left")
