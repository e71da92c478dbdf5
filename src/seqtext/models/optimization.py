"""Optimizer, learning rate schedule and gradient clipping of a LightningModule."""

from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerConfig, OptimizerLRSchedulerConfig

from seqtext.metrics.definitions import get_metric_mode
from seqtext.optim import (
    LRSchedule,
    OptimizerFactory,
    build_parameter_groups,
    clip_gradients,
    count_updates,
)


class OptimizationMixin:
    """Builds the optimizer of the trainable parameters, with the run's options.

    A subclass sets `_make_optimizer`, `_scheduler` and `_monitor`, see
    `TextClassifier.configure_training`.
    """

    parameters: Any  # of torch's Module
    trainer: Any  # Lightning's
    _make_optimizer: OptimizerFactory
    _scheduler: LRSchedule
    _monitor: str

    def get_lr_factors(self) -> dict[int, float]:
        """Return factors of the learning rate of parameters by their `id`; of others, it is 1."""
        return {}

    def configure_optimizers(self: Any) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        """Return the optimizer of the trainable parameters and the learning rate scheduler."""
        optimizer = self._make_optimizer([p for p in self.parameters() if p.requires_grad])
        if optimizer.defaults.get("weight_decay") or getattr(optimizer, "needs_groups", False):
            optimizer = self._make_optimizer(build_parameter_groups(self))
        if factors := self.get_lr_factors():
            lr_of = {key: factor * optimizer.defaults["lr"] for key, factor in factors.items()}
            optimizer = self._make_optimizer(build_parameter_groups(self, lr_of))
        mode, count = get_metric_mode(self._monitor), lambda each: count_updates(self.trainer, each)
        scheduler = self._scheduler.build(optimizer, count, self._monitor, mode)
        if scheduler is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients; Lightning refuses fused optimizers even in bf16, which is unscaled."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if gradient_clip_val:
            clip_gradients(parameters, gradient_clip_val, gradient_clip_algorithm)
