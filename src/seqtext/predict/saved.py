"""A checkpoint as data: everything in it is looked at before anything is made of it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from seqtext.build import build, buildable_class
from seqtext.data.cleaning import Cleaning
from seqtext.data.vocabulary import Vocabulary
from seqtext.models.classifier import TextClassifier
from seqtext.models.direct import DirectClassifier
from seqtext.options import Count, Range, UserError, mismatch
from seqtext.results.checkpoint import DESCRIPTION, FORMAT, load_checkpoint
from seqtext.results.folder import RunFolder
from seqtext.sweeps.winner import best_run

log = logging.getLogger(__name__)

HINTS = {  # of a checkpoint's description
    "config": dict,
    "vocabulary": list[str],
    "class_names": list[str],
    "cleaning": dict,
    "threshold": float,
}
STEPS_HINTS = {"steps": list[str], "stopwords": list[str] | None}
READING_HINTS = {"length": Count | None, "truncate": str, "columns": list[str]}
SHARE = Range(low=0, high=1)


class Reading(NamedTuple):
    """How texts become ids: see `TextDataModule.reading`."""

    length: int | None
    truncate: str
    columns: Sequence[str]


class Saved(NamedTuple):
    """A trained model, and all that stands between a text and it.

    threshold: of two classes, the probability of class 1 from which on it is predicted
    """

    model: TextClassifier | DirectClassifier
    vocabulary: Vocabulary
    cleaning: Cleaning
    class_names: list[str]
    reading: Reading
    threshold: float


def checkpoint_of(run: str | Path) -> Path:
    """The checkpoint that ``run=`` means; a warning if it is that of an unfinished run.

    Args:
        run: a run folder, a folder of runs (the best one, by validation score), or a checkpoint

    Raises:
        UserError: if there is none.
    """
    path = Path(run).expanduser()
    if not path.exists():
        raise UserError(f"run={run}: there is no such file or folder.")
    if path.is_file():
        return path
    if RunFolder(path).best.exists():
        if not RunFolder(path).metrics.exists():
            log.warning("%s has not finished: its best epoch so far is used.", path)
        return RunFolder(path).best
    return RunFolder(best_run(str(path), "run")[0]).best


def open_saved(path: Path) -> Saved:
    """The model in a checkpoint, whoever wrote it; nothing in the file is run.

    Raises:
        UserError: in one sentence, if anything in it is missing, damaged or not allowed.
    """
    checkpoint = load_checkpoint(path)
    try:
        return _saved(checkpoint, checkpoint[DESCRIPTION])
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from error


def _saved(checkpoint: dict[str, Any], description: Any) -> Saved:
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise UserError(f"it is not of format {FORMAT}; use the version that wrote it.")
    _check(HINTS, description)
    names, words = description["class_names"], description["vocabulary"]
    if len(set(names)) != len(names) or len(names) < 2:
        raise UserError("class_names must be two or more different names.")
    if description["threshold"] not in SHARE:
        raise UserError("threshold must be between 0 and 1.")
    state = checkpoint.get("state_dict")
    if not isinstance(state, Mapping):
        raise UserError("it has no state_dict.")
    for name, tensor in state.items():
        _check_tensor(str(name), tensor)
    return Saved(
        model=_model(description["config"], words, len(names), dict(state)),
        vocabulary=Vocabulary(words),
        cleaning=_cleaning(description["cleaning"]),
        class_names=names,
        reading=_reading(description),
        threshold=description["threshold"],
    )


def _check(hints: Mapping[str, Any], values: Mapping[str, Any], within: str = "") -> None:
    for name, hint in hints.items():
        if name not in values:
            raise UserError(f"it has no {within}{name}.")
        if expected := mismatch(values[name], hint):
            raise UserError(f"{within}{name} must be {expected}.")


def _check_tensor(name: str, tensor: Any) -> None:
    """A tensor may claim to be larger than what the file holds of it."""
    plain = isinstance(tensor, Tensor) and tensor.layout == torch.strided
    if not plain or tensor.is_quantized or tensor.device.type != "cpu":
        raise UserError(f"state_dict {name} is no plain tensor.")
    if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
        raise UserError(f"state_dict {name} is larger than its content.")
    if not tensor.isfinite().all():
        raise UserError(f"state_dict {name} holds numbers that are not finite.")


def _cleaning(settings: Mapping[str, Any]) -> Cleaning:
    _check(STEPS_HINTS, settings, "cleaning.")
    cleaning = Cleaning(settings["steps"], settings["stopwords"])
    try:
        cleaning(pa.array(["a text"]))
    except pa.ArrowInvalid as error:
        raise UserError("cleaning.stopwords are too long.") from error
    return cleaning


def _reading(description: Mapping[str, Any]) -> Reading:
    reading = description.get("reading") or _usual_reading(description["config"].get("dataset"))
    if not isinstance(reading, dict):
        raise UserError("reading must be a dict.")
    _check(READING_HINTS, reading, "reading.")
    if reading["truncate"] not in ("head", "tail"):
        raise UserError("reading.truncate must be head or tail.")
    return Reading(*(reading[name] for name in Reading._fields))


def _usual_reading(options: Any) -> dict[str, Any]:
    """What is meant where a checkpoint, of an earlier version, does not say."""
    options = options if isinstance(options, dict) else {}
    length = options.get("length")
    return {
        "length": None if length == "longest" else length,
        "truncate": options.get("truncate", "tail"),
        "columns": ["text"],
    }


def _model(
    config: Mapping[str, Any], words: list[str], classes: int, state: dict[str, Tensor]
) -> TextClassifier | DirectClassifier:
    options = _options(config, "model")
    if issubclass(buildable_class("model", options["_target_"]), DirectClassifier):
        model = build("model", options, classes=classes)
        model.load_state_dict(words, state)
        return model
    dtype = torch.float64 if _precision(config) == "64-true" else torch.float32
    model = _network(options, _options(config, "embedding"), words, classes, len(state))
    model.load_state_dict(_fitting(state, model.state_dict(), dtype), assign=True)
    return model.eval().requires_grad_(False)


def _network(
    options: dict[str, Any], embedding: dict[str, Any], words: list[str], classes: int, tensors: int
) -> TextClassifier:
    """The model without its weights, and without memory for them: it may ask for any amount.

    Raises:
        UserError: if it cannot be built, or would have more layers than the file has tensors.
    """
    layers = options.get("layers", 1)
    if isinstance(layers, int) and layers > tensors:
        raise UserError(f"config.model.layers={layers} are more than its state_dict has.")
    try:
        with torch.device("meta"):
            table = build("embedding", embedding, vocabulary_size=len(Vocabulary(words)))
            return build("model", options, embedding=table, classes=classes)
    except UserError:
        raise
    except (RuntimeError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"its model cannot be built: {' '.join(str(error).split())}.") from error


def _options(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """A group's options, without what else Hydra would listen to."""
    options = config.get(group)
    if not isinstance(options, dict) or not isinstance(options.get("_target_"), str):
        raise UserError(f"config.{group} must say what it is.")
    kept = {k: v for k, v in options.items() if k == "_target_" or not str(k).startswith("_")}
    return {str(name): value for name, value in kept.items()}


def _precision(config: Mapping[str, Any]) -> Any:
    trainer = config.get("trainer")
    return trainer.get("precision") if isinstance(trainer, dict) else None


def _fitting(
    state: dict[str, Tensor], wanted: Mapping[str, Tensor], dtype: torch.dtype
) -> dict[str, Tensor]:
    """The tensors, in the model's own types.

    Raises:
        UserError: if one is missing, too many, or of another shape than the model's.
    """
    for name in (*wanted, *state):
        if name not in state or name not in wanted:
            what = "has no" if name in wanted else "has an unknown"
            raise UserError(f"its state_dict {what} {name}.")
        if state[name].shape != wanted[name].shape:
            shapes = [list(each[name].shape) for each in (state, wanted)]
            raise UserError(f"state_dict {name} has the shape {shapes[0]}, not {shapes[1]}.")
    types = {n: dtype if t.is_floating_point() else t.dtype for n, t in wanted.items()}
    return {name: state[name].to(types[name]).contiguous() for name in wanted}
