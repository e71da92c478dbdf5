"""What makes a checkpoint complete on its own, and a restart exact."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from seqtext.options import UserError

DESCRIPTION = "seqtext"  # its key in a checkpoint
FORMAT = 1


class Description(L.Callback):
    """Adds to each checkpoint what it takes to use the model elsewhere, and the random state.

    Plain values only: the file loads with ``torch.load(weights_only=True)``.

    Args:
        config: the resolved configuration
        words: the vocabulary, without the two special words
        class_names: of class 0, 1, …
        cleaning: names of the cleaning steps
    """

    def __init__(
        self,
        config: dict[str, Any],
        words: Sequence[str],
        class_names: Sequence[str],
        cleaning: Sequence[str],
    ):
        self.content = {
            "format": FORMAT,
            "config": config,
            "vocabulary": list(words),
            "class_names": list(class_names),
            "cleaning": list(cleaning),
        }
        self._random_state: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Add the description and the random state."""
        checkpoint[DESCRIPTION] = self.content
        checkpoint["random_state"] = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            checkpoint["random_state"]["cuda"] = torch.cuda.get_rng_state_all()

    def on_load_checkpoint(self, trainer, model, checkpoint: dict[str, Any]) -> None:
        """Keep the random state until training starts."""
        self._random_state = checkpoint["random_state"]

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Go on with the random numbers where the checkpoint stopped."""
        if self._random_state:
            torch.set_rng_state(self._random_state["cpu"])
            if "cuda" in self._random_state and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(self._random_state["cuda"])
            self._random_state = None


class LastCheckpoint(Checkpoint):
    """Writes `path` after each epoch, and within long epochs every so many minutes."""

    def __init__(self, path: Path, minutes: float):
        self.path, self.seconds = path, 60 * minutes
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx) -> None:
        """Save within an epoch; its end follows its last batch."""
        is_due = time.monotonic() - self._saved > self.seconds
        if is_due and batch_idx + 1 < trainer.num_training_batches:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Save after an epoch."""
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self._saved = time.monotonic()


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as plain values and tensors, whoever wrote it; nothing in it is run.

    Raises:
        UserError: if it is missing, damaged, or holds anything else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"There is no checkpoint {path}.") from error
    except Exception as error:  # torch raises many kinds for damaged and for pickled files
        raise UserError(f"{path} is damaged, or no checkpoint of plain values.") from error
    if not isinstance(checkpoint, dict) or DESCRIPTION not in checkpoint:
        raise UserError(f"{path} is no checkpoint of this program.")
    return checkpoint
