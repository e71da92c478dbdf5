"""Early stopping by `is_better`: a constant score with a falling loss uses up no patience."""

import logging
import math
from typing import Any, cast

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from seqtext.display import count_noun
from seqtext.metrics.definitions import get_metric_mode, is_better

log = logging.getLogger(__name__)


class TieBreakingEarlyStopping(EarlyStopping):
    """Lightning's EarlyStopping, with the validation loss as tie-breaker between equal scores.

    An epoch with the best score and a lower loss is an improvement. An epoch does not use up
    patience if its loss is the lowest so far while its score is uninformative: equal to the score
    of the previous epoch, or computed from predictions of a single class. Nor does an epoch in
    which `GradualUnfreezing` keeps layers frozen.

    Args:
        monitor: name of a logged metric
        patience: epochs without improvement before training stops; validations, if they are not
            once per epoch
    """

    def __init__(self, monitor: str, patience: int):
        super().__init__(monitor, patience=patience, mode=get_metric_mode(monitor), min_delta=0)
        self.best_loss: float | None = None  # validation loss of the best epoch
        self.best_epoch = 0
        self.lowest_loss = math.inf  # lowest validation loss of all epochs
        self.last_score: float | None = None
        self._epoch, self._loss, self._is_constant = 0, math.nan, False  # of the current epoch
        self._is_unfreezing = False

    @property
    def has_stopped(self) -> bool:
        """Return whether patience is used up."""
        return self.stopping_reason != EarlyStoppingReason.NOT_STOPPED

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Stop a resumed run whose patience was used up, but not yet its `trainer.min_epochs`."""
        trainer.should_stop = trainer.should_stop or self.has_stopped

    def _run_early_stopping_check(self, trainer: L.Trainer) -> None:
        """Stop and log the reason if patience is used up."""
        had_stopped = self.has_stopped
        self._epoch = trainer.current_epoch
        self._loss = float(trainer.callback_metrics["val/loss"])
        model = cast(Any, trainer.lightning_module)
        self._is_constant, self._is_unfreezing = model.has_constant_predictions, model.is_unfreezing
        super()._run_early_stopping_check(trainer)
        if not self.has_stopped or had_stopped or self._epoch + 1 == trainer.max_epochs:
            return
        if self._check_on_train_epoch_end:
            count, unit = self._epoch - self.best_epoch, "epochs"
        else:
            count, unit = self.wait_count, "validations"
        spared = count - self.wait_count
        log.info(
            "Stopped after epoch %d: %s has not improved for %d %s (patience=%d%s).",
            self._epoch + 1,
            self.monitor,
            count,
            unit,
            self.patience,
            f", without {count_noun(spared, 'epoch')} of falling val/loss" if spared > 0 else "",
        )

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        score, loss = float(current), self._loss
        best = float(self.best_score)
        is_best = math.isfinite(score) and is_better(
            score, best if math.isfinite(best) else None, self.monitor, loss, self.best_loss
        )
        is_stuck = (score == self.last_score or self._is_constant) and loss < self.lowest_loss
        self.last_score, self.lowest_loss = score, min(loss, self.lowest_loss)
        if is_best:
            self.best_score, self.best_loss, self.best_epoch = current, loss, self._epoch
            self.wait_count = 0
        if is_best or is_stuck or self._is_unfreezing:
            return False, None
        return super()._evaluate_stopping_criteria(current)

    def state_dict(self) -> dict[str, Any]:
        """Return Lightning's state, the losses and the last score."""
        own = ("best_loss", "best_epoch", "lowest_loss", "last_score")
        return super().state_dict() | {name: getattr(self, name) for name in own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`."""
        super().load_state_dict(state)
        self.best_loss, self.best_epoch = state["best_loss"], state["best_epoch"]
        self.lowest_loss, self.last_score = state["lowest_loss"], state["last_score"]
