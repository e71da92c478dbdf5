"""What makes a checkpoint complete on its own, and a restart exact."""

import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from seqtext.files import replace_file
from seqtext.options import UserError
from seqtext.processes import gathered
from seqtext.results.direction import is_better
from seqtext.results.tensorboard import extend

DESCRIPTION = "seqtext"  # its key in a checkpoint
FORMAT = 1


class Checkpoints(Checkpoint):
    """Writes best.ckpt when an epoch is the best so far (see `is_better`), last.ckpt after each.

    Both are complete on their own, and plain values: they load with
    ``torch.load(weights_only=True)``. Within long epochs last.ckpt is written every so many
    minutes. One callback for it all: Lightning calls each of them six times a step.

    Args:
        best, last: where to write
        monitor: a logged metric
        minutes: between two writings within an epoch
        description: what it takes to use the model elsewhere (see `described`)
    """

    def __init__(
        self, best: Path, last: Path, monitor: str, minutes: float, description: dict[str, Any]
    ):
        self.best, self.last, self.monitor = best, last, monitor
        self.seconds, self.description = 60 * minutes, description
        self.best_score: float | None = None
        self.best_loss: float | None = None  # on the validation part, of the same epoch
        self.epochs = 0  # finished so far
        self.curves: dict[str, list[float]] = {}  # what was logged, of each finished epoch
        self._saved = time.monotonic()
        self._random_states: list[dict[str, torch.Tensor]] = []  # of each process

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Go on with the random numbers where the checkpoint stopped."""
        states, self._random_states = self._random_states, []
        if trainer.global_rank < len(states):
            _set_random_state(states[trainer.global_rank], model.device)
        elif trainer.world_size > 1:  # no two processes drop the same
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx) -> None:
        """Save within an epoch; its end follows its last batch. The first process has the clock."""
        if batch_idx + 1 < trainer.num_training_batches:
            is_due = time.monotonic() - self._saved > self.seconds
            if trainer.strategy.broadcast(is_due):
                self._save(trainer, self.last)

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Save after an epoch; the best first, since last.ckpt remembers which that was."""
        self.epochs = trainer.current_epoch + 1
        extend(self.curves, trainer.callback_metrics, trainer.current_epoch)
        score = float(trainer.callback_metrics[self.monitor])
        loss = float(trainer.callback_metrics["val/loss"])
        if is_better(score, self.best_score, self.monitor, loss, self.best_loss):
            self.best_score, self.best_loss = score, loss
            self._save(trainer, self.best)
        self._save(trainer, self.last)

    def on_save_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Add the description and the random states."""
        checkpoint[DESCRIPTION] = self.description
        checkpoint["random_states"] = gathered([_random_state(model.device)])

    def on_load_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Keep the random states until training starts."""
        self._random_states = checkpoint["random_states"]

    def state_dict(self) -> dict[str, Any]:
        """The best score and its loss, the number of epochs and their scores so far."""
        return {
            "best_score": self.best_score,
            "best_loss": self.best_loss,
            "epochs": self.epochs,
            "curves": self.curves,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `state_dict`."""
        self.best_score, self.epochs = state["best_score"], state["epochs"]
        self.best_loss = state.get("best_loss")  # a run begun before it was kept has none
        self.curves = state.get("curves", {})  # a run begun before curves were kept has none

    def _save(self, trainer: L.Trainer, path: Path) -> None:
        aside = path.with_suffix(".new")  # Lightning's own is not atomic across file systems
        trainer.save_checkpoint(aside)
        if trainer.is_global_zero:
            os.replace(aside, path)
        self._saved = time.monotonic()


def _random_state(device: torch.device) -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def described(
    config: dict[str, Any],
    words: Sequence[str],
    class_names: Sequence[str],
    cleaning: dict[str, Any],
    data: str,
    reading: dict[str, Any],
    threshold: float = 0.5,
) -> dict[str, Any]:
    """What it takes to use a model elsewhere, beside its weights.

    Args:
        config: the resolved configuration
        words: the vocabulary, without the two special words
        class_names: of class 0, 1, …
        cleaning: the steps and their stop words
        data: fingerprint of the prepared data
        reading: how texts become ids: see `TextDataModule.reading`
        threshold: of two classes, the probability of class 1 from which on it is predicted
    """
    return {
        "format": FORMAT,
        "config": config,
        "vocabulary": list(words),
        "class_names": list(class_names),
        "cleaning": cleaning,
        "data": data,
        "reading": reading,
        "threshold": threshold,
    }


def set_threshold(path: Path, threshold: float) -> None:
    """Let a checkpoint remember the threshold that was chosen after its training."""
    checkpoint = load_checkpoint(path)
    checkpoint[DESCRIPTION]["threshold"] = threshold
    save_checkpoint(path, checkpoint)


def save_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write plain values and tensors aside, then rename: `load_checkpoint` reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary:
        torch.save(checkpoint, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as plain values and tensors, whoever wrote it; nothing in it is run.

    Raises:
        UserError: if it is missing, damaged, or holds anything else.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # about the file: the sentence says enough
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"There is no checkpoint {path}.") from error
    except (PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # torch raises many kinds for damaged and for pickled files
        raise UserError(f"{path} is damaged, or no checkpoint of plain values.") from error
    if not isinstance(checkpoint, dict) or DESCRIPTION not in checkpoint:
        raise UserError(f"{path} is no checkpoint of this program.")
    return checkpoint
