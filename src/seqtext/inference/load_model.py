"""Load a model from a possibly untrusted checkpoint: validate it before building objects."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from seqtext.best_run import find_best_run
from seqtext.checkpoints.files import METADATA_KEY, load_checkpoint
from seqtext.config.empty_model import Target, build_empty_model, match_state_dict
from seqtext.config.instantiate import build_from_config, resolve_target
from seqtext.config.stored_settings import check_stored_settings, forbid_download
from seqtext.config.trust import allow_any_class
from seqtext.data.cleaning import CLEANING_STEPS, DROP_STOPWORDS, TextCleaner
from seqtext.display import make_printable
from seqtext.embeddings.spelling import reads_spelling, set_tokens
from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.models.non_neural import NonNeuralClassifier
from seqtext.run_dir import RunDir
from seqtext.tokenizers.base import Tokenizer
from seqtext.tokenizers.vocabulary import OpenVocabulary, Vocabulary
from seqtext.validation import find_type_error

log = logging.getLogger(__name__)

METADATA_TYPES = {  # types of a checkpoint's metadata
    "config": dict,
    "tokenizer": dict,
    "class_names": list[str],
    "cleaning": dict,
    "threshold": float,
}
CLEANING_TYPES = {"steps": list[str], "stopwords": list[str] | None}
INPUT_SPEC_TYPES = {
    "columns": list[str],
    "drop_labels": list[str],
}
MAX_STEPS = 1000  # maximum number of cleaning steps
MAX_MESSAGE_LENGTH = 500  # characters; a message may quote the file


class InputSpec(NamedTuple):
    """Hold how files are read, see `TextDataModule.input_spec`."""

    columns: Sequence[str]
    drop_labels: Sequence[str] = ()


class LoadedModel(NamedTuple):
    """Hold a trained model and its preprocessing.

    threshold: for two classes, the minimum probability at which class 1 is predicted
    temperature: by which the model's logits are to be divided
    conformal_scores: [rows of the validation part] see `seqtext.metrics.conformal`; None: unknown
    config: settings of the training run, as plain but otherwise unvalidated values
    fingerprints: digests of what the training run read, see `collect_fingerprints`
    """

    model: TextClassifier | NonNeuralClassifier
    tokenizer: Tokenizer
    cleaning: TextCleaner
    class_names: list[str]
    input_spec: InputSpec
    threshold: float
    temperature: float = 1.0
    conformal_scores: np.ndarray | None = None
    config: Mapping[str, Any] = MappingProxyType({})
    fingerprints: Mapping[str, Any] = MappingProxyType({})


def find_checkpoint(run: str | Path, option: str = "run") -> Path:
    """Return the checkpoint of ``run=``; log which run of a sweep is used.

    Args:
        run: a run folder, a folder of runs (the best one, see `find_best_run`), or a checkpoint
        option: command-line option that named it, for messages

    Raises:
        UserError: if there is no checkpoint.
    """
    path = Path(str(run)).expanduser()  # an option of Hydra's may be a number or a list
    if not path.exists():
        raise UserError(f"{option}={run}: there is no such file or folder.")
    if path.is_file():
        return path
    if RunDir(path).best_checkpoint.exists():
        if not RunDir(path).is_finished:
            log.warning("%s has not finished: its best epoch so far is used.", path)
        return RunDir(path).best_checkpoint
    best, description = find_best_run(str(path), option)
    log.info("%s", description)
    return RunDir(best.folder).best_checkpoint


def load_model(path: Path) -> LoadedModel:
    """Load the model of a possibly untrusted checkpoint, without executing code in it.

    It may name classes of the packages that are allowed (see `seqtext.config.trust`).

    Raises:
        UserError: if anything in it is missing, damaged or not allowed.
    """
    checkpoint = load_checkpoint(path)
    try:
        with allow_any_class(False):
            return _build_loaded_model(checkpoint, checkpoint[METADATA_KEY])
    except UserError as error:
        reason = make_printable(str(error))
        if len(reason) > MAX_MESSAGE_LENGTH:
            reason = f"{reason[:MAX_MESSAGE_LENGTH]} …"
        raise UserError(f"{path} cannot be used: {reason}") from error


def _build_loaded_model(checkpoint: dict[str, Any], metadata: dict[str, Any]) -> LoadedModel:
    _check(METADATA_TYPES, metadata)
    if metadata["config"].get("task") == "lm":
        raise UserError(
            "it is a language model, which has no classes: train a classifier with "
            "model.init_from=<its folder>."
        )
    check_stored_settings(metadata["config"])
    names = metadata["class_names"]
    if len(set(names)) != len(names) or len(names) < 2:
        raise UserError("class_names must be two or more different names.")
    _check_encodable("class_names", names)
    if not 0 <= metadata["threshold"] <= 1:
        raise UserError("threshold must be between 0 and 1.")
    state = checkpoint.get("state_dict")
    if not isinstance(state, Mapping):
        raise UserError("it has no state_dict.")
    for name, tensor in state.items():
        _check_tensor(str(name), tensor)
    tokenizer = build_from_config("tokenizer", _read_group(metadata["config"], "tokenizer"))
    tokenizer.load_state_dict(metadata["tokenizer"])
    sizes = tokenizer.vocabulary, len(names)
    model = _build_model(metadata["config"], *sizes, dict(state), metadata.get("arguments"))
    if isinstance(model, TextClassifier) and reads_spelling(model):
        tokenizer.vocabulary = OpenVocabulary(tokenizer.vocabulary)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        cleaning=_build_cleaner(metadata["cleaning"], metadata["config"]),
        class_names=names,
        input_spec=_build_input_spec(metadata),
        threshold=metadata["threshold"],
        temperature=_read_temperature(metadata),
        conformal_scores=_read_conformal_scores(metadata),
        config=metadata["config"],
        fingerprints=_read_fingerprints(metadata),
    )


def _check(hints: Mapping[str, Any], values: Mapping[str, Any], within: str = "") -> None:
    for name, hint in hints.items():
        if name not in values:
            raise UserError(f"it has no {within}{name}.")
        if expected := find_type_error(values[name], hint):
            raise UserError(f"{within}{name} must be {expected}.")


def _check_encodable(name: str, texts: Sequence[str]) -> None:
    """Refuse texts that cannot be encoded as UTF-8, such as unpaired surrogates."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{name} must be text that can be written as UTF-8.") from error


def _check_tensor(name: str, tensor: Any) -> None:
    """Refuse invalid tensors."""
    if not isinstance(tensor, Tensor):
        raise UserError(f"state_dict {name} is no tensor.")
    if not tensor.isfinite().all():
        raise UserError(f"state_dict {name} holds numbers that are not finite.")


def _build_cleaner(settings: Mapping[str, Any], config: Mapping[str, Any]) -> TextCleaner:
    _check(CLEANING_TYPES, settings, "cleaning.")
    if len(settings["steps"]) > MAX_STEPS:
        raise UserError(f"cleaning.steps must be at most {MAX_STEPS}.")
    _check_encodable("cleaning.stopwords", settings["stopwords"] or [])
    if any(step not in (*CLEANING_STEPS, DROP_STOPWORDS) for step in settings["steps"]):
        options = config.get("dataset")
        if (
            isinstance(options, dict) and "_target_" in options
        ):  # importing its module may register steps
            resolve_target("dataset", str(options["_target_"]))
    cleaning = TextCleaner(settings["steps"], settings["stopwords"])
    try:
        cleaning(pa.array(["a text"]))
    except pa.ArrowInvalid as error:
        raise UserError("cleaning.stopwords are too long.") from error
    return cleaning


def _build_input_spec(metadata: Mapping[str, Any]) -> InputSpec:
    input_spec = metadata.get("input_spec")
    if not isinstance(input_spec, dict):
        raise UserError("input_spec must be a dict.")
    _check(INPUT_SPEC_TYPES, input_spec, "input_spec.")
    _check_encodable("input_spec.columns", input_spec["columns"])
    return InputSpec(*(input_spec[name] for name in InputSpec._fields))


def _build_model(
    config: Mapping[str, Any],
    vocabulary: Vocabulary,
    classes: int,
    state: dict[str, Tensor],
    arguments: Any,
) -> TextClassifier | NonNeuralClassifier:
    options, target = _read_group(config, "model"), config.get("target", "nominal")
    if expected := find_type_error(target, Target):
        raise UserError(f"config.target must be {expected}.")
    if issubclass(resolve_target("model", options["_target_"]), NonNeuralClassifier):
        model = build_from_config("model", options, classes=classes)
        if target == "ordinal":
            model.make_ordinal()
        model.load_state_dict(vocabulary.tokens, state)
        return model
    dtype = torch.float64 if _get_precision(config) == "64-true" else torch.float32
    embedding = _read_group(config, "embedding")
    words = len(vocabulary.tokens)
    model = build_empty_model(options, embedding, words, classes, state, arguments, target)
    model.load_state_dict(match_state_dict(state, model.state_dict(), dtype), assign=True)
    set_tokens(model, vocabulary)
    model.load_named_weights()
    return model.eval().requires_grad_(False)


def _read_group(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return a group's options without Hydra's own keys; they may not download anything."""
    options = config.get(group)
    if not isinstance(options, dict) or not isinstance(options.get("_target_"), str):
        raise UserError(f"config.{group} must have a _target_.")
    kept = {k: v for k, v in options.items() if k == "_target_" or not str(k).startswith("_")}
    return forbid_download({str(name): value for name, value in kept.items()})


def _read_fingerprints(metadata: Mapping[str, Any]) -> dict[str, Any]:
    fingerprints = metadata.get("fingerprints")
    return fingerprints if isinstance(fingerprints, dict) else {}


def _read_temperature(metadata: Mapping[str, Any]) -> float:
    temperature = metadata.get("temperature", 1.0)
    if not isinstance(temperature, float) or not 0 < temperature < float("inf"):
        raise UserError("temperature must be a positive number.")
    return temperature


def _read_conformal_scores(metadata: Mapping[str, Any]) -> np.ndarray | None:
    scores = metadata.get("conformal_scores")
    if scores is None:
        return None
    if not isinstance(scores, Tensor) or scores.ndim != 1 or scores.dtype != torch.float32:
        raise UserError("conformal_scores must be float32 numbers.")
    _check_tensor("conformal_scores", scores)
    return np.sort(scores.numpy())


def _get_precision(config: Mapping[str, Any]) -> Any:
    trainer = config.get("trainer")
    return trainer.get("precision") if isinstance(trainer, dict) else None
