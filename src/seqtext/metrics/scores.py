"""Compute the scores of a classifier, equally for all parts and kinds of models."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from seqtext.errors import UserError
from seqtext.losses import cross_entropy
from seqtext.metrics.calibration import CALIBRATION_METRICS, CalibrationScorer
from seqtext.metrics.definitions import RankingScorer, get_count_metrics, list_ranking_metrics

if TYPE_CHECKING:
    from seqtext.metrics.custom import CustomMetrics


def list_metrics(
    class_names: Sequence[str],
    present: Sequence[int] | np.ndarray | None = None,
    is_ordinal: bool = False,
) -> list[str]:
    """Return the names of the metrics that `compute_metrics` returns.

    Args:
        present: numbers of the classes with rows; None: all
        is_ordinal: whether the model is one of ordered classes
    """
    classes = len(class_names)
    labels = torch.arange(classes) if present is None else torch.as_tensor(np.unique(present))
    logits = torch.zeros(len(labels)) if classes == 2 else torch.zeros(len(labels), classes)
    return list(compute_metrics(logits, labels, class_names, is_ordinal=is_ordinal))


def list_common_metrics() -> list[str]:
    """Return the metrics of any number of classes, without those that class names are part of."""
    several = [name for name in list_metrics(["0", "1", "2"]) if not name.startswith("recall_")]
    return list(dict.fromkeys([*list_metrics(["0", "1"]), *several]))


def compute_probabilities(logits: Tensor) -> Tensor:
    """Return float64 probabilities [N, C] of logits [N] or [N, C]; float32 would cause ties."""
    if logits.ndim == 1:
        logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
    return logits.double().softmax(dim=1)


def predict_classes(
    probabilities: Tensor, threshold: float = 0.5, is_ordinal: bool = False
) -> Tensor:
    """Return the predicted classes [N] of probabilities [N, C].

    Of two classes, class 1 if its probability is >= `threshold`; of more, the most probable one; of
    ordered ones the median, which has the smallest expected distance from the true class.
    """
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).long()
    if is_ordinal:
        return (probabilities.cumsum(dim=1)[:, :-1] < 0.5).sum(dim=1)
    return probabilities.argmax(dim=1)


def find_best_threshold(probabilities: Tensor, labels: Tensor) -> float:
    """Return the decision threshold of class 1 with the best F1 on these rows.

    It is the midpoint of two adjacent probabilities.

    Args:
        probabilities: [N] probabilities of class 1
        labels: [N]
    """
    ordered, order = probabilities.sort(descending=True)
    hits = labels[order].cumsum(0)
    taken = torch.arange(1, len(ordered) + 1)
    f1 = 2 * hits / (taken + labels.sum())
    is_last = torch.ones_like(taken, dtype=torch.bool)
    is_last[:-1] = ordered[:-1] != ordered[1:]  # equal probabilities are not separable
    best = int(torch.where(is_last, f1, -1).argmax())
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + below) / 2)


def compute_metrics(
    logits: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    threshold: float = 0.5,
    custom: "CustomMetrics | None" = None,
    is_ordinal: bool = False,
) -> dict[str, float]:
    """Compute the loss and all metrics of predictions, gathered from all processes of a run.

    Metrics that are undefined for these rows are omitted, such as the recall of a class without
    rows (see `seqtext.metrics.definitions`). This depends only on the labels.

    Args:
        logits: [N] for two classes, [N, C] for more
        labels: [N] true classes, N at least 1
        threshold: see `predict_classes`
        custom: additional metrics
        is_ordinal: whether the model is one of ordered classes

    Returns:
        For two classes: loss, accuracy, balanced_accuracy, precision, recall (of class 1),
        specificity (recall of class 0), f1, macro_f1, auroc, average_precision,
        recall_at_precision_98 (maximum recall of class 1 at a precision of at least 98 %), mcc
        (Matthews correlation). For more classes: loss, accuracy, balanced_accuracy,
        macro_precision, macro_f1, weighted_f1, recall_<class name>, auroc and average_precision
        (averages of one class against the rest), mcc; if they are numbers or ordered, mae (mean
        distance of the predicted from the true class) and quadratic_kappa. For both: brier and ece,
        see `CalibrationScorer`.

    Raises:
        UserError: if a logit is not finite.
    """
    if not logits.isfinite().all():
        raise UserError("The model's outputs are not finite numbers: they have no scores.")
    classes, probabilities = len(class_names), compute_probabilities(logits)
    predicted = predict_classes(probabilities, threshold, is_ordinal)
    cells = multiclass_confusion_matrix(predicted, labels, classes, validate_args=False)
    truth, counts = labels.cpu().numpy(), cells[None].cpu().numpy().astype(float)
    values = {
        name: float(score(counts)[0])
        for name, score in get_count_metrics(class_names, is_ordinal).items()
    }
    mcc = values.pop("mcc")
    ranking, everything = (
        RankingScorer(truth, probabilities.cpu().numpy()),
        np.ones((1, len(truth))),
    )
    for name in list_ranking_metrics(class_names):
        values[name] = float(ranking.score(name, everything)[0])
    named = {"loss": float(cross_entropy(logits.double(), labels)), **values, "mcc": mcc}
    calibration = CalibrationScorer(truth, probabilities.cpu().numpy())
    for name in CALIBRATION_METRICS:
        named[name] = float(calibration.score(name, everything)[0])
    if custom is not None:
        named |= custom.compute(probabilities, predicted, labels)
    return {name: value for name, value in named.items() if not math.isnan(value)}
