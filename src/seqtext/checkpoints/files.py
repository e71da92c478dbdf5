"""Checkpoint files: self-contained plain values and tensors, written atomically."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from seqtext.checkpoints.archive import read_archive
from seqtext.checkpoints.unpickling import DamagedError
from seqtext.errors import UserError
from seqtext.files import replace_file
from seqtext.validation import find_type_error

METADATA_KEY = "seqtext"  # key of the metadata in a checkpoint
FORMAT_VERSION = 2  # incremented whenever checkpoints of earlier versions become unusable


class AtomicCheckpointIO(CheckpointIO):
    """Makes a Trainer write and read checkpoints with `save_checkpoint` and `load_checkpoint`.

    Lightning's own writing is not atomic across file systems, and its reading does not detect
    damage. Lightning calls `save_checkpoint` on rank 0 only.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            UserError: if it holds something that could not be read again.
        """
        for name, value in checkpoint.items():
            if name != METADATA_KEY and (found := _find_object(value, name)):
                raise UserError(
                    f"A checkpoint cannot hold {found}: it holds plain values and tensors only "
                    f"(numbers, texts, lists and dictionaries of them)."
                )
        save_checkpoint(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, always to the CPU and only plain values and tensors."""
        return load_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def build_metadata(
    config: dict[str, Any],
    tokenizer: dict[str, Any],
    class_names: Sequence[str],
    cleaning: dict[str, Any],
    data: str,
    input_spec: dict[str, Any],
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Collect what is needed to use a model elsewhere, in addition to its weights.

    Args:
        config: the resolved configuration
        tokenizer: fitted state, see `Tokenizer.state_dict`
        class_names: names of class 0, 1, …
        cleaning: cleaning steps and their stop words
        data: fingerprint of the prepared data
        input_spec: how files are read, see `TextDataModule.input_spec`
        threshold: for two classes, the minimum probability at which class 1 is predicted
    """
    return {
        "format": FORMAT_VERSION,
        "config": config,
        "tokenizer": tokenizer,
        "class_names": list(class_names),
        "cleaning": cleaning,
        "data": data,
        "input_spec": input_spec,
        "threshold": threshold,
    }


def store_calibration(
    path: Path, threshold: float, temperature: float, conformal_scores: torch.Tensor
) -> None:
    """Store in a checkpoint what the validation part decided after training.

    Args:
        temperature: divisor of the logits
        conformal_scores: [rows of the validation part], see `seqtext.metrics.conformal`
    """
    checkpoint = load_checkpoint(path)
    checkpoint[METADATA_KEY] |= {
        "threshold": threshold,
        "temperature": temperature,
        "conformal_scores": conformal_scores,
    }
    save_checkpoint(path, checkpoint)


def save_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write plain values and tensors to a temporary file, then rename it atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary, temporary.open("wb") as stream:
        torch.save(checkpoint, stream)


def _find_object(value: Any, path: str) -> str | None:
    """Describe the first value that is neither plain nor a tensor, or return None."""
    if type(value) in (dict, OrderedDict):
        found = (_find_object(each, f"{path}.{name}") for name, each in value.items())
    elif type(value) in (list, tuple):
        found = (_find_object(each, path) for each in value)
    elif type(value) in (int, float, str, bool, type(None), torch.Tensor):
        return None
    else:
        return f"{path}, a {type(value).__name__}"
    return next(filter(None, found), None)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a possibly untrusted checkpoint as plain values and tensors, without executing code.

    Raises:
        OSError: if the file cannot be read.
        UserError: if it is missing, damaged, of another format, or contains any other type.
    """
    try:
        checkpoint = read_archive(path)
    except FileNotFoundError as error:
        raise UserError(f"There is no checkpoint {path}.") from error
    except DamagedError as error:
        raise UserError(f"{path} is damaged, or no checkpoint of plain values.") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(METADATA_KEY), dict):
        raise UserError(f"{path} is no checkpoint of this program.")
    if find_type_error(checkpoint[METADATA_KEY].get("format"), int) or (
        checkpoint[METADATA_KEY]["format"] != FORMAT_VERSION
    ):
        raise UserError(
            f"{path} was written by another version of this program: its format is not "
            f"{FORMAT_VERSION}. Train the model again, or use the version that wrote it."
        )
    return checkpoint
