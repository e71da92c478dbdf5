"""Learning rate schedules, gradient clipping, and parameter groups for weight decay."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from seqtext.validation import Fraction, NonNegativeInt

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
Clipping = Literal["norm", "tensor_norm", "value"]


def one_cycle(progress: float, warm_up: float = 0.3, start: float = 0.04) -> float:
    """Return the factor of the peak learning rate at a fraction of all steps, along two cosines.

    Source: Smith and Topin (2018).
    """
    if progress < warm_up:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return cosine((progress - warm_up) / (1 - warm_up))


def cosine(progress: float) -> float:
    """Return the factor of the initial learning rate at a fraction of all steps, down to zero.

    Source: Loshchilov and Hutter (2017).
    """
    return (1 + math.cos(math.pi * min(progress, 1))) / 2


class Scheduler:
    """Base class of the choices of ``scheduler=``, the learning rate schedules."""

    def build(
        self,
        optimizer: Optimizer,
        training_steps: Callable[[], int],
        monitor: str,
        mode: Literal["min", "max"],
    ) -> LRSchedulerConfigType | None:
        """Return Lightning's scheduler configuration, or None for a constant rate.

        Args:
            training_steps: returns the number of training steps
            monitor: the score to watch
            mode: "min" if a lower score is better, else "max"
        """
        return None


class Constant(Scheduler):
    """Keeps the learning rate constant."""


class OneCycle(Scheduler):
    """Raises the learning rate to that of the optimizer, then lowers it to zero, step by step.

    Args:
        warm_up: share of the steps in which the rate rises
        start: factor of the optimizer's rate at the first step
    """

    def __init__(self, warm_up: Fraction = 0.3, start: Fraction = 0.04):
        self.warm_up, self.start = warm_up, start

    def build(self, optimizer, training_steps, monitor, mode) -> LRSchedulerConfigType:
        """Return a scheduler that is stepped after each batch."""
        steps = training_steps()
        warm_up, start = self.warm_up, self.start
        scheduler = LambdaLR(optimizer, lambda step: one_cycle(step / steps, warm_up, start))
        return {"scheduler": scheduler, "interval": "step"}


class Cosine(Scheduler):
    """Lowers the learning rate from that of the optimizer to zero along a cosine, step by step."""

    def build(self, optimizer, training_steps, monitor, mode) -> LRSchedulerConfigType:
        """Return a scheduler that is stepped after each batch."""
        steps = training_steps()
        scheduler = LambdaLR(optimizer, lambda step: cosine(step / steps))
        return {"scheduler": scheduler, "interval": "step"}


class Plateau(Scheduler):
    """Lowers the learning rate when the monitored score stops improving.

    Args:
        factor: factor of the rate at each reduction
        patience: epochs without improvement before a reduction
    """

    def __init__(self, factor: Fraction = 0.5, patience: NonNegativeInt = 1):
        self.factor, self.patience = factor, patience

    def build(self, optimizer, training_steps, monitor, mode) -> LRSchedulerConfigType:
        """Return a scheduler that is stepped after each epoch."""
        scheduler = ReduceLROnPlateau(optimizer, mode, factor=self.factor, patience=self.patience)
        return {"scheduler": scheduler, "interval": "epoch", "monitor": monitor}


def build_parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Group trainable parameters: matrices, which weight decay shrinks, and all others.

    Word vectors, biases and normalization weights are excluded from weight decay: it would shrink
    vectors of words that the batch does not contain, and the others do not overfit.
    """
    words = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    decayed: dict[str, Any] = {"params": []}
    spared: dict[str, Any] = {"params": [], "weight_decay": 0.0}
    for parameter in model.parameters():
        if parameter.requires_grad:
            is_decayed = parameter.ndim > 1 and id(parameter) not in words
            (decayed if is_decayed else spared)["params"].append(parameter)
    return [group for group in (decayed, spared) if group["params"]]


def clip_gradients(
    parameters: Sequence[nn.Parameter], limit: float, clipping: str | None = "norm"
) -> None:
    """Clip gradients by their global norm, each tensor's norm (Keras' clipnorm), or by value.

    Args:
        clipping: one of `Clipping`; None: "norm"
    """
    if clipping == "value":
        nn.utils.clip_grad_value_(parameters, limit)
    elif clipping == "tensor_norm":
        for parameter in parameters:
            nn.utils.clip_grad_norm_(parameter, limit)
    else:
        nn.utils.clip_grad_norm_(parameters, limit)
