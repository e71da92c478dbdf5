"""Warnings about results that need care, such as constant predictions."""

from collections.abc import Sequence

import numpy as np
import torch

from seqtext.display import make_printable
from seqtext.losses import cross_entropy
from seqtext.metrics.predictions import Predictions

MAX_LISTED_CLASSES = 5  # classes listed in a sentence
PART_NAMES = {"val": "the validation part", "test": "the test part"}
LOSS_MARGIN = 1.05  # factor on the loss of predicting the class shares; less is noise


def find_warnings(
    rows: str, predictions: Predictions, training_labels: np.ndarray | None = None
) -> list[str]:
    """Return sentences on the problems of these predictions' scores.

    Args:
        rows: description of the rows, such as "the test part"
        predictions: predictions of these rows
        training_labels: [rows of the training part] class numbers; None if unknown
    """
    found = [
        *_describe_absent_classes(rows, predictions.labels, predictions.class_names),
        *_describe_constant(rows, predictions),
    ]
    if training_labels is not None:
        found += _describe_loss(rows, predictions, training_labels)
    return [make_printable(sentence) for sentence in found]


def is_constant(predicted: np.ndarray) -> bool:
    """Return whether all rows are predicted as one class."""
    return bool((predicted == predicted[0]).all())


def _describe_absent_classes(name: str, labels: np.ndarray, class_names: Sequence[str]) -> list:
    absent = np.flatnonzero(np.bincount(labels, minlength=len(class_names)) == 0)
    if not len(absent):
        return []
    listed = [repr(class_names[number]) for number in absent[:MAX_LISTED_CLASSES]]
    more = len(absent) - len(listed)
    what = " or ".join(listed) + (f" or {more} other classes" if more else "")
    if len(class_names) - len(absent) == 1:
        return [f"{_capitalize(name)} has no row of {what}: its scores are hardly informative."]
    return [f"{_capitalize(name)} has no row of {what}: averages are over the other classes."]


def _describe_constant(name: str, predictions: Predictions) -> list[str]:
    predicted, labels = predictions.predicted, predictions.labels
    if not is_constant(predicted) or is_constant(labels):
        return []
    class_name = predictions.class_names[predicted[0]]
    return [f"The model predicts {class_name!r} for all {len(labels):,} rows of {name}."]


def _describe_loss(name: str, predictions: Predictions, training_labels: np.ndarray) -> list[str]:
    loss = float(cross_entropy(predictions.logits.double(), torch.from_numpy(predictions.labels)))
    counts = np.bincount(training_labels, minlength=len(predictions.class_names)) + 1.0
    shares = counts / counts.sum()  # small for a class without training rows
    of_shares = float(-np.log(shares[predictions.labels]).mean())
    if loss <= LOSS_MARGIN * of_shares:
        return []
    return [
        f"The loss on {name}, {loss:.4g}, is above {of_shares:.4g}, that of giving every row the "
        f"class shares of the training part: the probabilities are not reliable."
    ]


def _capitalize(text: str) -> str:
    return text[0].upper() + text[1:]
