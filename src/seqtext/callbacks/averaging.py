"""Averages of weights over training steps or over the last epochs."""

from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_swa_avg_fn

from seqtext.optim import count_updates
from seqtext.validation import Fraction, PositiveInt, validate_args


class ExponentialMovingAverage(EMAWeightAveraging):
    """Validates and saves the exponential moving average of the weights.

    Unlike Lightning's callback, it copies tensors of integers, such as the hashes of n-grams,
    instead of averaging them.

    Source: Polyak and Juditsky (1992).

    Args:
        decay: weight of the previous average
        update_every_n_steps: number of steps between updates
        update_starting_at_step: first step after which it is updated; None: 1
        update_starting_at_epoch: first epoch after which it is updated once more; None: none
    """

    @validate_args
    def __init__(
        self,
        decay: Fraction = 0.99,
        update_every_n_steps: PositiveInt = 1,
        update_starting_at_step: int | None = None,
        update_starting_at_epoch: int | None = None,
    ):
        super().__init__(
            decay=decay,
            update_every_n_steps=update_every_n_steps,
            update_starting_at_step=update_starting_at_step,
            update_starting_at_epoch=update_starting_at_epoch,
        )
        self._kwargs["avg_fn"] = _average_floats(self._kwargs["avg_fn"])


class StochasticWeightAveraging(WeightAveraging):
    """Validates and saves the mean of the weights at the validations of the last epochs.

    Unlike Lightning's callback of this name, it does not change the learning rate, the best
    checkpoint has the weights that were validated, and a resumed run continues the mean. Until
    `start`, the weights are those of training.

    Source: Izmailov et al. (2018).

    Args:
        start: fraction of the epochs after which averaging starts
    """

    @validate_args
    def __init__(self, start: Fraction = 0.5):
        super().__init__(use_buffers=True, avg_fn=_average_floats(get_swa_avg_fn()))
        self.start = start

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Return false: the mean is updated before each validation."""
        return False

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the weights to the mean, and validate the mean."""
        if self._average_model is not None:
            epochs = count_updates(trainer, "epoch")
            if trainer.current_epoch < self.start * epochs:
                self._average_model.n_averaged.zero_()  # so that the weights replace the mean
            self._average_model.update_parameters(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)


def _average_floats(average: Callable[..., Tensor]) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """Return `average`, restricted to floating-point tensors; other tensors are copied."""

    def average_or_copy(averaged: Tensor, current: Tensor, count: Any) -> Tensor:
        return average(averaged, current, count) if averaged.is_floating_point() else current

    return average_or_copy
