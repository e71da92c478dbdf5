"""How a model's parameters change: schedules of the learning rate, clipping, weight decay."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
Schedule = Literal["none", "one_cycle", "cosine", "plateau"]
Clipping = Literal["norm", "tensor_norm", "value"]

PLATEAU = {"factor": 0.5, "patience": 1}  # halved after two epochs without a better score


def one_cycle(progress: float, warm_up: float = 0.3, start: float = 0.04) -> float:
    """Factor of the peak learning rate at this share of all steps: up and down along cosines
    (Smith and Topin, 2018)."""
    if progress < warm_up:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return cosine((progress - warm_up) / (1 - warm_up))


def cosine(progress: float) -> float:
    """Factor of the first learning rate at this share of all steps, down to zero (Loshchilov and
    Hutter, 2017)."""
    return (1 + math.cos(math.pi * min(progress, 1))) / 2


def scheduled(
    optimizer: Optimizer,
    schedule: Schedule,
    training_steps: Callable[[], int],
    monitor: str,
    mode: Literal["min", "max"],
) -> dict[str, Any]:
    """What `configure_optimizers` returns.

    Args:
        training_steps: gives their number, where it is needed
        monitor, mode: the score that "plateau" watches, and whether it is to fall or to rise
    """
    if schedule == "none":
        return {"optimizer": optimizer}
    if schedule == "plateau":
        scheduler = ReduceLROnPlateau(optimizer, mode, **PLATEAU)
        watched = {"scheduler": scheduler, "interval": "epoch", "monitor": monitor}
        return {"optimizer": optimizer, "lr_scheduler": watched}
    steps = training_steps()
    factor = one_cycle if schedule == "one_cycle" else cosine
    scheduler = LambdaLR(optimizer, lambda step: factor(step / steps))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """The parameters to train: matrices, which weight decay shrinks, and all others.

    Word vectors, biases and factors of normalisation are spared: decay would pull words that a
    batch does not hold towards zero, and the others do not overfit.
    """
    words = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1 and id(p) not in words]
    spared = [p for p in trained if p.ndim <= 1 or id(p) in words]
    groups = [{"params": decayed}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def clip(parameters: Sequence[nn.Parameter], limit: float, clipping: Clipping) -> None:
    """Limit gradients: the norm of all, that of each tensor (Keras' clipnorm), or each value."""
    if clipping == "value":
        nn.utils.clip_grad_value_(parameters, limit)
    elif clipping == "tensor_norm":
        for parameter in parameters:
            nn.utils.clip_grad_norm_(parameter, limit)
    else:
        nn.utils.clip_grad_norm_(parameters, limit)
