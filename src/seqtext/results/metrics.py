"""Scores of a classifier, the same for training, validation, test and every kind of model."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics import classification as tm

from seqtext.results.direction import name_recall

ALONE = {"sync_on_compute": False}  # predictions are gathered before, not metrics after


def metric_names(class_names: Sequence[str]) -> list[str]:
    """The names of what `scores` returns."""
    classes = len(class_names)
    logits = torch.zeros(2) if classes == 2 else torch.zeros(classes, classes)
    return list(scores(logits, torch.arange(classes), class_names))


def loss_of(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy; logits [N] of class 1, or [N, C].

    With weights [C] each row's loss counts times its class's weight, and the sum is divided by N
    (as Keras' class_weight does).
    """
    if class_weights is not None:
        losses = (
            F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
            if logits.ndim == 1
            else F.cross_entropy(logits, labels, reduction="none")
        )
        return (losses * class_weights[labels]).mean()
    if logits.ndim == 1:
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return F.cross_entropy(logits, labels)


def probabilities(logits: Tensor) -> Tensor:
    """[N] or [N, C] logits → [N, C] float64: in float32 sure predictions would become ties."""
    if logits.ndim == 1:
        logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
    return logits.double().softmax(dim=1)


def decisions(shares: Tensor, threshold: float = 0.5) -> Tensor:
    """[N, C] probabilities → [N] most probable classes; of two, class 1 from `threshold` on."""
    if shares.shape[1] == 2 and threshold != 0.5:
        return (shares[:, 1] >= threshold).long()
    return shares.argmax(dim=1)


def best_threshold(shares: Tensor, labels: Tensor) -> float:
    """The probability of class 1 from which on to decide for it, for the best F1 on these rows.

    It lies in the middle between two probabilities that occur.

    Args:
        shares: [N] probabilities of class 1
        labels: [N]
    """
    ordered, order = shares.sort(descending=True)
    hits = labels[order].cumsum(0)
    taken = torch.arange(1, len(ordered) + 1)
    f1 = 2 * hits / (taken + labels.sum())
    is_last = torch.ones_like(taken, dtype=torch.bool)
    is_last[:-1] = ordered[:-1] != ordered[1:]  # equal probabilities are taken together
    best = int(torch.where(is_last, f1, -1).argmax())
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + below) / 2)


def scores(
    logits: Tensor, labels: Tensor, class_names: Sequence[str], threshold: float = 0.5
) -> dict[str, float]:
    """Loss and every metric of these predictions, which are those of all processes of a run.

    Args:
        logits: [N] for two classes, [N, C] for more
        labels: [N]
        threshold: see `decisions`

    Returns:
        For two classes: loss, accuracy, balanced_accuracy, precision, recall (share of class 1
        that was found), specificity (share of class 0 that was found), f1, macro_f1, auroc,
        average_precision, recall_at_precision_98 (the most of class 1 that can be found while 98 %
        of what is taken for it is), mcc (Matthews correlation). For more: loss, accuracy,
        balanced_accuracy, macro_precision, macro_f1, weighted_f1, auroc and average_precision
        (one class against the rest, averaged), mcc, recall_<class name>.
    """
    classes = len(class_names)
    shares = probabilities(logits)
    metrics = _collection(classes).to(shares.device)
    metrics.update(decisions(shares, threshold), labels)
    ranking = _ranking(classes).to(shares.device)
    ranking.update(shares[:, 1] if classes == 2 else shares, labels)
    loss = MeanMetric(**ALONE).to(shares.device)
    loss.update(loss_of(logits.float(), labels), weight=len(labels))
    values = metrics.compute()
    named = _two_classes(values) if classes == 2 else _many_classes(values, class_names)
    ranked = ranking.compute()
    if classes == 2:
        ranked["recall_at_precision_98"] = ranked["recall_at_precision_98"][0]  # not its threshold
    named = {"loss": loss.compute(), "accuracy": values["accuracy"]} | named | ranked
    return {name: float(value) for name, value in (named | {"mcc": values["mcc"]}).items()}


def _collection(classes: int) -> MetricCollection:
    each = {"num_classes": classes, "average": "none", **ALONE}
    return MetricCollection(
        {
            "accuracy": tm.MulticlassAccuracy(classes, average="micro", **ALONE),
            "precision": tm.MulticlassPrecision(**each),
            "recall": tm.MulticlassRecall(**each),
            "f1": tm.MulticlassF1Score(**each),
            "counts": tm.MulticlassStatScores(**each),  # [C, 5]: tp, fp, tn, fn, support
            "mcc": tm.MulticlassMatthewsCorrCoef(classes, **ALONE),
        }
    )


def _ranking(classes: int) -> MetricCollection:
    if classes == 2:
        return MetricCollection(
            {
                "auroc": tm.BinaryAUROC(**ALONE),
                "average_precision": tm.BinaryAveragePrecision(**ALONE),
                "recall_at_precision_98": tm.BinaryRecallAtFixedPrecision(0.98, **ALONE),
            }
        )
    return MetricCollection(
        {
            "auroc": tm.MulticlassAUROC(classes, **ALONE),
            "average_precision": tm.MulticlassAveragePrecision(classes, **ALONE),
        }
    )


def _two_classes(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        "balanced_accuracy": values["recall"].mean(),
        "precision": values["precision"][1],
        "recall": values["recall"][1],
        "specificity": values["recall"][0],
        "f1": values["f1"][1],
        "macro_f1": values["f1"].mean(),
    }


def _many_classes(values: dict[str, Tensor], class_names: Sequence[str]) -> dict[str, Tensor]:
    counts = values["counts"]
    support = counts[:, 4]
    known = support > 0  # a class without rows in this part has no recall
    met = known | (counts[:, 1] > 0)
    averages = {
        "balanced_accuracy": values["recall"][known].mean(),
        "macro_precision": values["precision"][met].mean(),
        "macro_f1": values["f1"][met].mean(),
        "weighted_f1": (values["f1"] * support).sum() / support.sum(),
    }
    recalls = zip(class_names, values["recall"], strict=True)
    return averages | {name_recall(name): recall for name, recall in recalls}
