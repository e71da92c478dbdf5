"""A callback that writes the best and the last checkpoint, and restores random states."""

import time
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, Timer

from seqtext.callbacks.curves import append_curves
from seqtext.checkpoints.files import METADATA_KEY
from seqtext.distributed import all_gather_objects
from seqtext.errors import UserError
from seqtext.metrics.definitions import is_better


class BestAndLastCheckpoint(Checkpoint):
    """Writes best.ckpt at the best validation (see `is_better`), last.ckpt after each epoch.

    Both are self-contained plain values, which ``torch.load(weights_only=True)`` loads. Within long
    epochs last.ckpt is also written every `minutes`. This is one callback because Lightning calls
    each callback six times a step.

    If validation is not at the end of each epoch, or training may stop within an epoch, the best
    checkpoint is chosen at each validation, and the last step of training is followed by one.

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
        self._max_steps = -1
        self._is_regular = True  # one validation, at the end of each epoch
        self._has_validated = False  # in the current epoch
        self._random_states: list[dict[str, torch.Tensor]] = []  # one per process
        self.has_finished_epoch = False  # the restored state completed an epoch

    def on_fit_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Hide `max_steps` while Lightning restores its loops.

        With it, Lightning 2.6 resumes after a finished epoch as if it were unfinished, and trains a
        batch more if that epoch did not end with a validation (`FitLoop.restarting`).
        """
        loop = trainer.fit_loop.epoch_loop
        self._max_steps, loop.max_steps = loop.max_steps, -1

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Restore the random states of the checkpoint."""
        trainer.fit_loop.epoch_loop.max_steps = self._max_steps
        self._is_regular = has_regular_validation(trainer)
        for optimizer in trainer.optimizers:
            _check_optimizer(optimizer)
        states, self._random_states = self._random_states, []
        if trainer.global_rank < len(states):
            _set_random_state(states[trainer.global_rank], model.device)
        elif trainer.world_size > 1:  # a different dropout seed per process
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx) -> None:
        """Save within an epoch, except before a validation; rank 0 decides when to save."""
        if not self._is_regular:
            _request_final_validation(trainer, batch_idx)
        if batch_idx + 1 < trainer.num_training_batches:
            is_due = time.monotonic() - self._saved > self.seconds
            if trainer.strategy.broadcast(is_due) and not self._is_validation_next(trainer):
                self._save(trainer, self.last)

    def on_validation_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Save best.ckpt if validation is not only at the end of each epoch."""
        if not self._is_regular and not trainer.sanity_checking:
            self._has_validated = True
            self._save_if_best(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Save after an epoch: best.ckpt first, as last.ckpt stores the best score."""
        self.epochs = trainer.current_epoch + 1
        metrics = dict(trainer.callback_metrics)
        if self._is_regular:
            self._save_if_best(trainer)
        elif not self._has_validated:  # the values are those of an earlier epoch
            metrics = {n: v for n, v in metrics.items() if not n.startswith("val/")}
        append_curves(self.curves, metrics, trainer.current_epoch)
        self._has_validated = False
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
            "has_validated": self._has_validated,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`."""
        self.best_score, self.epochs = state["best_score"], int(state["epochs"])
        self.best_loss, curves = state["best_loss"], state["curves"]
        self._has_validated = bool(state["has_validated"])
        self.curves = {
            name: [None if value is None else float(value) for value in values]
            for name, values in curves.items()
        }

    def _save_if_best(self, trainer: L.Trainer) -> None:
        score = float(get_monitored(trainer, self.monitor))
        loss = float(trainer.callback_metrics["val/loss"])
        if is_better(score, self.best_score, self.monitor, loss, self.best_loss):
            self.best_score, self.best_loss = score, loss
            self._save(trainer, self.best)

    def _is_validation_next(self, trainer: L.Trainer) -> bool:
        """Return whether this batch is followed by a validation, which a resumed run would skip."""
        loop = trainer.fit_loop
        return not self._is_regular and loop.epoch_loop._should_check_val_fx(loop._data_fetcher)  # type: ignore[arg-type]

    def _save(self, trainer: L.Trainer, path: Path) -> None:
        trainer.save_checkpoint(path)  # by `AtomicCheckpointIO`
        self._saved = time.monotonic()


def has_regular_validation(trainer: L.Trainer) -> bool:
    """Return whether each epoch ends with its only validation, and training with an epoch."""
    interval = cast(Any, trainer)._val_check_time_interval
    if trainer.max_steps != -1 or interval is not None or _has_time_limit(trainer):
        return False
    return trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1


def get_monitored(trainer: L.Trainer, monitor: str) -> torch.Tensor:
    """Return the value of the monitored metric at the last validation.

    Raises:
        UserError: if it is undefined for the validated batches.
    """
    if monitor not in trainer.callback_metrics:
        raise UserError(
            f"monitor={monitor} is undefined for the validated batches, which lack a class: raise "
            f"trainer.limit_val_batches, or choose another metric (such as val/accuracy)."
        )
    return trainer.callback_metrics[monitor]


def _has_time_limit(trainer: L.Trainer) -> bool:
    return any(isinstance(callback, Timer) for callback in trainer.callbacks)  # type: ignore[attr-defined]


def _request_final_validation(trainer: L.Trainer, batch_idx: int) -> None:
    """Make Lightning validate after this batch if training ends with it."""
    is_last_batch = batch_idx + 1 >= trainer.num_training_batches
    is_last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
    has_all_steps = trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps
    if has_all_steps or (is_last_batch and is_last_epoch):
        trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None
        trainer.should_stop = True  # Lightning validates before it stops,
    if trainer.should_stop and trainer.fit_loop._can_stop_early:
        trainer.check_val_every_n_epoch = 1  # if the epoch is one with validation


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
