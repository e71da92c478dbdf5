"""Losses of ``loss=``: functions from logits and labels to a scalar.

Training minimizes the chosen one; ``val/loss``, the final scores and reports are always the
cross-entropy, so that runs with different losses are comparable.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Interval
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.errors import UserError, describe_error
from seqtext.validation import NonNegativeFloat, PositiveFloat, validate_args

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]  # logits, labels, class weights → scalar
Smoothing = Annotated[float, Interval(ge=0, lt=1)]


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    label_smoothing: Smoothing = 0.0,
) -> Tensor:
    """Return the mean cross-entropy of a batch, a scalar.

    Args:
        logits: [N] of class 1 for two classes, [N, C] for more
        labels: [N]
        class_weights: [C]; each row's loss is multiplied by the weight of its class, and the sum
            is divided by N (as Keras' class_weight does), not by the sum of the weights
        label_smoothing: probability that the targets move from the true class to all C classes
            equally (Szegedy et al., 2016)
    """
    reduction = "mean" if class_weights is None else "none"
    if logits.ndim == 1:
        targets = labels.to(logits.dtype)
        if label_smoothing:
            targets = targets * (1 - label_smoothing) + label_smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction=reduction)
    else:
        losses = F.cross_entropy(
            logits, labels, reduction=reduction, label_smoothing=label_smoothing
        )
    return losses if class_weights is None else (losses * class_weights[labels]).mean()


def focal(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    gamma: NonNegativeFloat = 2.0,
) -> Tensor:
    """Return the mean focal loss of a batch, a scalar (Lin et al., 2017).

    The cross-entropy of a row is multiplied by (1 - p)^gamma, p the probability of its class.

    Args:
        logits, labels, class_weights: see `cross_entropy`
        gamma: how much rows that are already classified well count less; 0: cross-entropy
    """
    losses = (
        F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
        if logits.ndim == 1
        else F.cross_entropy(logits, labels, reduction="none")
    )
    wrong = -torch.expm1(-losses)  # 1 - p; the power has no gradient at 0 if gamma < 1
    each = wrong.clamp(min=torch.finfo(logits.dtype).eps) ** gamma * losses
    return (each if class_weights is None else each * class_weights[labels]).mean()


def class_balanced(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    class_counts: Sequence[int] = (),
    beta: Smoothing = 0.999,
) -> Tensor:
    """Return the cross-entropy with weights from effective numbers of rows (Cui et al., 2019).

    The weight of a class with n rows is proportional to (1 - beta) / (1 - beta^n); the mean over
    the training rows is 1.

    Args:
        logits, labels, class_weights: see `cross_entropy`
        class_counts: [C] training rows of each class, from the run
        beta: 0: equal weights; near 1: weights inversely proportional to the class's rows
    """
    counts = logits.new_tensor(class_counts, dtype=torch.float64).clamp(min=1)  # for beta near 1
    weights = -1 / torch.expm1(counts * counts.new_tensor(beta).log())
    weights = (weights * counts.sum() / (weights * counts).sum()).to(logits.dtype)
    if class_weights is not None:
        weights = weights * class_weights
    return cross_entropy(logits, labels, weights)


def logit_adjusted(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    class_counts: Sequence[int] = (),
    tau: Annotated[float, Interval(ge=0, le=100)] = 1.0,
) -> Tensor:
    """Return the cross-entropy of logits to which the log-shares of classes are added.

    A model trained so gives rare classes larger logits, for a small balanced error (Menon et al.,
    2021).

    Args:
        logits, labels, class_weights: see `cross_entropy`
        class_counts: [C] training rows of each class, from the run
        tau: factor of the log-shares; 0: cross-entropy
    """
    counts = logits.new_tensor(class_counts).clamp(min=1)
    shift = tau * (counts / counts.sum()).log()
    shift = shift[1] - shift[0] if logits.ndim == 1 else shift
    return cross_entropy(logits + shift, labels, class_weights)


def compute_log_probabilities(logits: Tensor) -> Tensor:
    """Return log-probabilities [N, C] in float32 or more, of logits [N] of class 1 or [N, C]."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.ndim == 1:
        return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=1)
    return F.log_softmax(logits, dim=1)


class Distillation(nn.Module):
    """Mix the cross-entropy with the divergence from a teacher's predictions (Hinton et al., 2015).

    The loss of a row is (1 - weight) times the cross-entropy plus weight times temperature² times
    the Kullback-Leibler divergence of the predictions, both divided by the temperature, from the
    teacher's.

    Args:
        teacher: run folder, sweep or checkpoint of a trained model; or several, whose mean
            probabilities teach
        weight: share of the teacher, 0 to 1
        temperature: divisor of both models' logits; above 1, small probabilities count more
    """

    teacher_logits: Tensor  # [all rows, C] log-probabilities; NaN for rows that are not trained on

    @validate_args
    def __init__(
        self,
        teacher: str | list[str] | None = None,
        weight: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        temperature: PositiveFloat = 2.0,
    ):
        super().__init__()
        self.teacher, self.weight, self.temperature = teacher, weight, temperature
        self.register_buffer("teacher_logits", torch.zeros(0, 2), persistent=False)

    @property
    def teachers(self) -> list[str]:
        """Return the runs that teach.

        Raises:
            UserError: if there is none.
        """
        named = [self.teacher] if isinstance(self.teacher, str) else self.teacher
        if not named:
            raise UserError(
                "loss=distill needs a teacher: name a run, as in loss.teacher=outputs/…"
            )
        return named

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        class_weights: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of a batch, a scalar; only the cross-entropy has class weights.

        Args:
            logits, labels, class_weights: see `cross_entropy`
            rows: [N] row numbers of the prepared data set
        """
        if rows is None:
            raise UserError(
                "loss=distill is not possible with a model of your own that calls self.loss: let "
                "it call self.compute_loss(logits, batch.labels, batch.rows)."
            )
        teacher = compute_log_probabilities(self.teacher_logits[rows] / self.temperature)
        student = compute_log_probabilities(logits / self.temperature)
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        own = cross_entropy(logits, labels, class_weights)
        return (1 - self.weight) * own + self.weight * self.temperature**2 * divergence


LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "class_balanced": class_balanced,
    "logit_adjusted": logit_adjusted,
    "distill": Distillation,
}


class ColumnLoss(nn.Module):
    """Call a loss of the user's own as torch's are called: with logits [N, C], also of two classes.

    Args:
        loss: function or module of logits [N, C] and labels [N], and, if it has an argument
            `class_weights`, of class weights [C] or None
    """

    def __init__(self, loss: Callable[..., Tensor]):
        super().__init__()
        self.loss = loss
        called = loss.forward if isinstance(loss, nn.Module) else loss
        self.takes_class_weights = "class_weights" in inspect.signature(called).parameters

    def forward(
        self, logits: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch; logits of class 1, [N], become a column beside zeros."""
        if logits.ndim == 1:
            logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
        if self.takes_class_weights:
            return self.loss(logits, labels, class_weights=class_weights)
        return self.loss(logits, labels)


def check_loss(loss: Any, classes: int, has_class_weights: bool = False) -> None:
    """Call a loss on invented logits, as training does.

    Raises:
        UserError: if it fails, does not return a scalar with a gradient, has parameters, or class
            weights are in use but not among its arguments.
    """
    if isinstance(loss, Distillation):  # needs the teacher's predictions
        return
    called = loss.loss if isinstance(loss, ColumnLoss) else loss
    called = getattr(called, "func", called)  # of a function with options
    name = getattr(called, "__name__", type(called).__name__)
    if isinstance(loss, nn.Module) and any(True for _ in loss.parameters()):
        raise UserError(f"loss: {name} has trainable parameters: put them into the model.")
    if has_class_weights and isinstance(loss, ColumnLoss) and not loss.takes_class_weights:
        raise UserError(
            f"sampling=class_weights is not possible: loss {name} has no argument class_weights."
        )
    logits = torch.zeros(2, requires_grad=True)
    if classes > 2:
        logits = torch.zeros(2, classes, requires_grad=True)
    try:
        value = loss(logits, torch.tensor([0, 1]), torch.ones(classes))
    except Exception as error:  # of code that may be the user's
        raise UserError(
            f"loss: {name} fails for logits [2, {classes}] and labels [2] "
            f"({describe_error(error)})."
        ) from error
    if not isinstance(value, Tensor) or value.ndim or not value.requires_grad:
        shape = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UserError(
            f"loss: {name} must return a scalar tensor with a gradient, such as the mean of the "
            f"batch's losses; it returns {shape}."
        )
