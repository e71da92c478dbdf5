"""Train the head first, then one more layer in each epoch."""

import logging
import sys
from typing import cast

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import nn

from seqtext.errors import UserError
from seqtext.models.stacked import StackedClassifier
from seqtext.validation import PositiveInt, validate_args

log = logging.getLogger(__name__)


class GradualUnfreezing(Callback):
    """Freezes pretrained layers, and trains them again one after the other, the last one first.

    Source: Howard and Ruder (2018), "Universal Language Model Fine-tuning for Text Classification".
    The word vectors are the first layer. Which layers train depends on the epoch only, so that a
    resumed run goes on as before. Epochs with frozen layers use up no patience.

    Args:
        epochs: epochs until one more layer is trained
    """

    @validate_args
    def __init__(self, epochs: PositiveInt = 1):
        self.epochs = epochs

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Check the run, and set which layers are trained: also within a resumed epoch.

        Raises:
            UserError: if the model is not a classifier of stacked recurrent layers, there are
                several processes, or training ends before all layers are trained.
        """
        if not isinstance(model, StackedClassifier):
            raise UserError(
                f"callbacks=[gradual_unfreezing] is for classifiers of stacked recurrent layers, "
                f"such as lstm, not for {getattr(model, 'name', type(model).__name__)}."
            )
        if trainer.world_size > 1:
            raise UserError(
                "callbacks=[gradual_unfreezing] is for one process, as several cannot change which "
                "layers are trained: set trainer.devices=1."
            )
        first = self._find_first_full_epoch(model)
        if trainer.max_epochs is not None and -1 < trainer.max_epochs < first:
            raise UserError(
                f"trainer.max_epochs={trainer.max_epochs} is too few for all layers to be trained, "
                f"as they are from epoch {first} on: give more, or leave out "
                f"callbacks=[gradual_unfreezing]."
            )
        if trainer.current_epoch == 0:
            log.info("Layers are unfrozen one after the other; all train from epoch %d on.", first)
        self.on_train_epoch_start(trainer, model)

    def on_train_epoch_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Set which layers are trained in this epoch."""
        classifier = cast(StackedClassifier, model)  # see `on_train_start`
        first = self._find_first_full_epoch(classifier)
        classifier.is_unfreezing = trainer.current_epoch + 1 < first
        self._unfreeze(trainer, classifier, 1 + trainer.current_epoch // self.epochs)

    def on_train_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Unfreeze all layers, so that their weights count as trained ones."""
        self._unfreeze(trainer, cast(StackedClassifier, model), sys.maxsize)

    def _find_first_full_epoch(self, model: StackedClassifier) -> int:
        """Return the first epoch, counted from 1, in which all layers are trained."""
        return 1 + self.epochs * (1 + len(model.layers))

    def _unfreeze(self, trainer: L.Trainer, model: StackedClassifier, count: int) -> None:
        """Train the last `count` parts, of word vectors, layers and head; freeze the others."""
        trained = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
        parts: list[nn.Module] = [*reversed(model.layers), model.embedding]
        for depth, part in enumerate(parts, 2):
            for parameter in part.parameters():
                if id(parameter) in trained:  # others are always frozen, such as fixed vectors
                    parameter.requires_grad_(depth <= count)
                    if not parameter.requires_grad:
                        parameter.grad = None
