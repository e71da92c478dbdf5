"""A callback that writes the best and the last checkpoint, and restores random states."""

import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from seqtext.checkpoints.files import METADATA_KEY
from seqtext.distributed import all_gather_objects
from seqtext.loggers.tensorboard import append_curves
from seqtext.metrics.definitions import is_better


class BestAndLastCheckpoint(Checkpoint):
    """Writes best.ckpt when an epoch is the best so far (see `is_better`), last.ckpt after each.

    Both are self-contained plain values, which ``torch.load(weights_only=True)`` loads. Within long
    epochs last.ckpt is also written every `minutes`. This is one callback because Lightning calls
    each callback six times a step.

    Args:
        best, last: paths of the two files
        monitor: name of a logged metric
        minutes: time between two checkpoints within an epoch
        metadata: what is needed to use the model elsewhere (see `build_metadata`)
    """

    def __init__(
        self, best: Path, last: Path, monitor: str, minutes: float, metadata: dict[str, Any]
    ):
        self.best, self.last, self.monitor = best, last, monitor
        self.seconds, self.metadata = 60 * minutes, metadata
        self.best_score: float | None = None
        self.best_loss: float | None = None  # validation loss of the best epoch
        self.epochs = 0  # completed epochs
        self.curves: dict[str, list[float | None]] = {}  # logged values of each completed epoch
        self._saved = time.monotonic()
        self._random_states: list[dict[str, torch.Tensor]] = []  # one per process
        self.has_finished_epoch = False  # the restored state completed an epoch

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Restore the random states of the checkpoint."""
        for optimizer in trainer.optimizers:
            _check_optimizer(optimizer)
        states, self._random_states = self._random_states, []
        if trainer.global_rank < len(states):
            _set_random_state(states[trainer.global_rank], model.device)
        elif trainer.world_size > 1:  # a different dropout seed per process
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx) -> None:
        """Save within an epoch, except after its last batch; rank 0 decides when to save."""
        if batch_idx + 1 < trainer.num_training_batches:
            is_due = time.monotonic() - self._saved > self.seconds
            if trainer.strategy.broadcast(is_due):
                self._save(trainer, self.last)

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Save after an epoch: best.ckpt first, as last.ckpt stores the best score."""
        self.epochs = trainer.current_epoch + 1
        append_curves(self.curves, trainer.callback_metrics, trainer.current_epoch)
        score = float(trainer.callback_metrics[self.monitor])
        loss = float(trainer.callback_metrics["val/loss"])
        if is_better(score, self.best_score, self.monitor, loss, self.best_loss):
            self.best_score, self.best_loss = score, loss
            self._save(trainer, self.best)
        self._save(trainer, self.last)
        self.has_finished_epoch = True

    def on_save_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Add the metadata and the random states."""
        checkpoint[METADATA_KEY] = self.metadata
        checkpoint["random_states"] = all_gather_objects([_get_random_state(model.device)])

    def on_load_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Keep the random states until training starts."""
        _check_progress(checkpoint["loops"])
        self._random_states = checkpoint["random_states"]

    def state_dict(self) -> dict[str, Any]:
        """Return the best score, its loss, the number of completed epochs, and their curves."""
        return {
            "best_score": self.best_score,
            "best_loss": self.best_loss,
            "epochs": self.epochs,
            "curves": self.curves,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`."""
        self.best_score, self.epochs = state["best_score"], int(state["epochs"])
        self.best_loss, curves = state["best_loss"], state["curves"]
        self.curves = {
            name: [None if value is None else float(value) for value in values]
            for name, values in curves.items()
        }

    def _save(self, trainer: L.Trainer, path: Path) -> None:
        trainer.save_checkpoint(path)  # by `AtomicCheckpointIO`
        self._saved = time.monotonic()


def _check_progress(loops: dict[str, Any]) -> None:
    """Refuse counts of Lightning's loops that are not integers: they would fail much later."""
    for name, value in loops.items():
        if isinstance(value, dict):
            _check_progress(value)
        elif not isinstance(value, int | list):
            raise TypeError(f"{name} of the loops is {value!r}")


def _check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Raise if a restored optimizer has an invalid state, before its first step uses it."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            shape = value.shape if isinstance(value, torch.Tensor) else ()
            if shape not in (parameter.shape, ()):
                raise ValueError(f"{name} of a parameter has the shape {list(shape)}")


def _get_random_state(device: torch.device) -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
