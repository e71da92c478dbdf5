"""Checkpoints as files: complete on their own, plain values and tensors, written atomically."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from seqtext.checkpoints.archive import read_archive
from seqtext.checkpoints.unpickling import DamagedError
from seqtext.errors import UserError
from seqtext.files import replace_file
from seqtext.validation import type_error

DESCRIPTION = "seqtext"  # its key in a checkpoint
FORMAT = 2  # raised whenever checkpoints of earlier versions can no longer be used


class AtomicCheckpointIO(CheckpointIO):
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


def checkpoint_metadata(
    config: dict[str, Any],
    tokenizer: dict[str, Any],
    class_names: Sequence[str],
    cleaning: dict[str, Any],
    data: str,
    input_spec: dict[str, Any],
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Collect what it takes to use a model elsewhere, beside its weights.

    Args:
        config: the resolved configuration
        tokenizer: what it has learned: see `Tokenizer.state_dict`
        class_names: of class 0, 1, …
        cleaning: the steps and their stop words
        data: fingerprint of the prepared data
        input_spec: how files are read: see `TextDataModule.input_spec`
        threshold: of two classes, the probability of class 1 from which on it is predicted
    """
    return {
        "format": FORMAT,
        "config": config,
        "tokenizer": tokenizer,
        "class_names": list(class_names),
        "cleaning": cleaning,
        "data": data,
        "input_spec": input_spec,
        "threshold": threshold,
    }


def set_threshold(path: Path, threshold: float) -> None:
    """Store in a checkpoint the threshold that was chosen after its training."""
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
        UserError: if it is missing, damaged, of another format, or holds anything else.
    """
    try:
        checkpoint = read_archive(path)
    except FileNotFoundError as error:
        raise UserError(f"There is no checkpoint {path}.") from error
    except DamagedError as error:
        raise UserError(f"{path} is damaged, or no checkpoint of plain values.") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(DESCRIPTION), dict):
        raise UserError(f"{path} is no checkpoint of this program.")
    if type_error(checkpoint[DESCRIPTION].get("format"), int) or (
        checkpoint[DESCRIPTION]["format"] != FORMAT
    ):
        raise UserError(
            f"{path} was written by another version of this program, for it is not of format "
            f"{FORMAT}: train the model again, or use the version that wrote it."
        )
    return checkpoint
