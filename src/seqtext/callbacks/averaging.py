"""Averages of weights over the last epochs."""

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging

from seqtext.optim import count_updates
from seqtext.validation import Fraction, validate_args


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
        super().__init__(use_buffers=True)
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
