"""Compute and log the metrics of an epoch from the outputs of all its batches."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from seqtext.distributed import all_gather_objects
from seqtext.errors import UserError
from seqtext.metrics.result_warnings import is_constant
from seqtext.metrics.scores import (
    compute_metrics,
    compute_probabilities,
    list_metrics,
    predict_classes,
)

# factor on the loss of guessing above which training is considered diverged
DIVERGENCE_FACTOR = 1e4


class EpochMetricsMixin:
    """Logs metrics at the end of epochs for `TextClassifier`, which stores the outputs."""

    def on_validation_epoch_end(self) -> None:
        """Log all metrics as val/<metric>."""
        self._log_metrics("val")

    def on_train_epoch_end(self) -> None:
        """Log all metrics as train/<metric>, computed from the outputs in training mode."""
        self._log_metrics("train")

    def _log_metrics(self: Any, part: str) -> None:
        outputs = all_gather_objects(self._epoch_outputs[part])
        self._epoch_outputs[part].clear()
        if outputs:
            on_host = [[t.cpu() for t in pair] for pair in outputs]
            logits, labels = (torch.cat(column) for column in zip(*on_host, strict=True))
            if not logits.isfinite().all():
                raise UserError(
                    f"Training diverged: the model's outputs are not finite in epoch "
                    f"{self.current_epoch + 1}; lower optimizer.lr or trainer.gradient_clip_val."
                )
            values = compute_metrics(
                logits,
                labels,
                self.class_names,
                custom=self.custom_metrics,
                is_ordinal=self.is_ordinal,
            )
            if part == "val":
                self._check_loss(values["loss"])
                probabilities = compute_probabilities(logits)
                predicted = predict_classes(probabilities, is_ordinal=self.is_ordinal)
                self.has_constant_predictions = is_constant(predicted.numpy())
            self._forget_undefined(part, values)
            self.log_dict({f"{part}/{name}": value for name, value in values.items()})

    def _forget_undefined(self: Any, part: str, values: Mapping[str, float]) -> None:
        """Remove the values that metrics had in an earlier epoch and do not have in this one."""
        own = self.custom_metrics.metrics if self.custom_metrics else ()
        known = list_metrics(self.class_names, is_ordinal=self.is_ordinal)
        for name in {*known, *own} - values.keys():
            self.trainer.callback_metrics.pop(f"{part}/{name}", None)
            if f"{part}/{name}" == self._monitor:
                raise UserError(
                    f"monitor={self._monitor} is undefined in epoch {self.current_epoch + 1}: "
                    f"choose another metric."
                )

    def _check_loss(self: Any, loss: float) -> None:
        """Raise `UserError` if the validation loss is finite but far above that of guessing."""
        chance = math.log(self.classes)
        if loss > DIVERGENCE_FACTOR * chance:
            raise UserError(
                f"Training diverged: val/loss is {loss:.3g} in epoch {self.current_epoch + 1} "
                f"(guessing: {chance:.3g}); lower optimizer.lr or trainer.gradient_clip_val."
            )
