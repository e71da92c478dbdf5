"""What makes a checkpoint complete on its own, and a restart exact."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from seqtext.files import replace_file
from seqtext.options import UserError
from seqtext.processes import gathered
from seqtext.results.archive import read_archive
from seqtext.results.direction import is_better
from seqtext.results.tensorboard import extend
from seqtext.results.unpickling import DamagedError

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
        self.has_finished_epoch = False  # in this process: what was restored has proved good

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Go on with the random numbers where the checkpoint stopped."""
        for optimizer in trainer.optimizers:
            _check_optimizer(optimizer)
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
        self.has_finished_epoch = True

    def on_save_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Add the description and the random states."""
        checkpoint[DESCRIPTION] = self.description
        checkpoint["random_states"] = gathered([_random_state(model.device)])

    def on_load_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Keep the random states until training starts."""
        _check_progress(checkpoint["loops"])
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
        self.best_score, self.epochs = state["best_score"], int(state["epochs"])
        self.best_loss = state.get("best_loss")  # a run begun before it was kept has none
        curves = state.get("curves", {})  # a run begun before curves were kept has none
        self.curves = {
            name: [None if value is None else float(value) for value in values]
            for name, values in curves.items()
        }

    def _save(self, trainer: L.Trainer, path: Path) -> None:
        trainer.save_checkpoint(path)  # by `CheckpointFiles`
        self._saved = time.monotonic()


class CheckpointFiles(CheckpointIO):
    """Lets a Trainer write and read its checkpoints as `save_checkpoint` and `load_checkpoint` do.

    Lightning's own writing is not atomic across file systems, and its reading does not notice
    damage. Of several processes, Lightning has the first one write.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint."""
        save_checkpoint(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; its tensors are on the CPU, and it is always plain values."""
        return load_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _check_progress(loops: dict[str, Any]) -> None:
    """Refuse counts of Lightning's loops that are no whole numbers: it adds to them much later."""
    for name, value in loops.items():
        if isinstance(value, dict):
            _check_progress(value)
        elif not isinstance(value, int | list):
            raise TypeError(f"{name} of the loops is {value!r}")


def _check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Refuse a restored optimizer that would fail, or worse, in its first step."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            shape = value.shape if isinstance(value, torch.Tensor) else ()
            if shape not in (parameter.shape, ()):
                raise ValueError(f"{name} of a parameter has the shape {list(shape)}")


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
    with replace_file(path) as temporary, temporary.open("wb") as stream:
        torch.save(checkpoint, stream)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as plain values and tensors, whoever wrote it; nothing in it is run.

    Raises:
        OSError: if it cannot be read.
        UserError: if it is missing, damaged, or holds anything else.
    """
    try:
        checkpoint = read_archive(path)
    except FileNotFoundError as error:
        raise UserError(f"There is no checkpoint {path}.") from error
    except DamagedError as error:
        raise UserError(f"{path} is damaged, or no checkpoint of plain values.") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(DESCRIPTION), dict):
        raise UserError(f"{path} is no checkpoint of this program.")
    return checkpoint
