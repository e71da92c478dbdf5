"""Losses: one definition for training, the scores of every epoch, predictions and reports."""

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of a batch, a scalar.

    Args:
        logits: [N] of class 1 for two classes, [N, C] for more
        labels: [N]
        class_weights: [C]; each row's loss is multiplied by the weight of its class, and the sum
            is divided by N (as Keras' class_weight does), not by the sum of the weights
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
