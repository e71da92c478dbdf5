"""Report each epoch's score to Optuna, and stop the run if the trial is pruned."""

import os
from typing import Any, cast

import lightning as L
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from seqtext.config.fingerprints import collect_fingerprints
from seqtext.sweeps.job_builder import TRIAL_VARIABLE


class TrialPruned(Exception):
    """Raised when Optuna prunes a trial.

    Attributes:
        score: last reported score
        fingerprints: fingerprints of the data, see `seqtext.identity`
    """

    def __init__(self, score: float, epoch: int, fingerprints: dict[str, Any] | None = None):
        super().__init__(score, epoch, fingerprints)
        self.score, self.epoch, self.fingerprints = score, epoch, fingerprints


class PruningCallback(Callback):
    """Reports each epoch's monitored score to the trial, and stops the run if it is pruned."""

    def __init__(self, trial: Any, monitor: str):
        self.trial, self.monitor = trial, monitor

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Report the score; raise `TrialPruned` on all processes if the trial is pruned."""
        score, epoch = float(trainer.callback_metrics[self.monitor]), trainer.current_epoch + 1
        is_hopeless = False
        if trainer.is_global_zero:
            self.trial.report(score, epoch)
            is_hopeless = self.trial.should_prune()
        if trainer.strategy.broadcast(is_hopeless):
            raise TrialPruned(
                score, epoch, collect_fingerprints(cast(Any, trainer).datamodule, model)
            )


def build_pruning_callbacks(monitor: str) -> list[Callback]:
    """Build the pruning callback if this process runs a trial that may be pruned."""
    hydra = HydraConfig.get()
    if TRIAL_VARIABLE not in os.environ or hydra.sweeper.get("pruner") is None:
        return []
    from seqtext.sweeps.optuna_components import load_trial

    return [
        PruningCallback(
            load_trial(cast(DictConfig, hydra), int(os.environ[TRIAL_VARIABLE])), monitor
        )
    ]
