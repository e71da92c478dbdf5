"""Resume an interrupted run from its settings and checkpoints."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from seqtext.callbacks.checkpoint import BestAndLastCheckpoint
from seqtext.checkpoints.files import METADATA_KEY, build_metadata, load_checkpoint
from seqtext.config.empty_model import build_empty_model, match_state_dict
from seqtext.config.groups import GROUPS, UNTARGETED
from seqtext.config.settings import to_run_config
from seqtext.config.stored_settings import (
    check_stored_settings,
    read_stored_settings,
    replace_untrusted_paths,
)
from seqtext.datasets.base import TextDataModule
from seqtext.display import name_commands
from seqtext.distributed import keep_interrupts
from seqtext.errors import UserError, format_reason
from seqtext.identity import OPTIONS_WITHOUT_EFFECT, PATH_OPTIONS, find_first_difference
from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.training.provenance import collect_provenance

log = logging.getLogger(__name__)

CHANGEABLE_ON_RESUME = (
    *("paths.data_dir", "paths.cache_dir"),
    *(o for o in (*PATH_OPTIONS, *OPTIONS_WITHOUT_EFFECT) if not o.startswith("trainer.")),
)
# Errors of Lightning and torch for a checkpoint of another model
MISMATCH_ERRORS = (
    *(LookupError, TypeError, ValueError),
    *(AttributeError, RuntimeError, ArithmeticError),
)


def load_resume_config(run_dir: RunDir, overrides: list[str], config: DictConfig) -> dict[str, Any]:
    """Load the configuration that a run was started with, and apply `overrides`.

    Only ``trainer.*`` and paths on this machine may be changed.

    Args:
        config: configuration composed with the overrides

    Raises:
        UserError: if another option is overridden, or the run is finished.
    """
    stored = load_stored_config(run_dir)
    replace_untrusted_paths(stored, config)
    changed = OmegaConf.create(stored)
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.key_or_group in ("resume", "plugins"):
            continue
        typed = str(override.input_line).lstrip("+")
        if override.key_or_group in CHANGEABLE_ON_RESUME:
            OmegaConf.update(changed, override.key_or_group, override.value())
            continue
        if not override.key_or_group.startswith("trainer."):
            raise UserError(
                f"{typed} cannot be changed in the middle of a run: "
                f"resume= uses the run's own settings, only trainer.*, "
                f"{', '.join(CHANGEABLE_ON_RESUME[:-1])} and {CHANGEABLE_ON_RESUME[-1]} may differ."
            )
        if run_dir.is_finished:
            raise UserError(
                f"{run_dir.path} is finished: without {typed} its results are shown; "
                f"start a new run for longer training."
            )
        OmegaConf.update(changed, override.key_or_group, override.value())
    return to_run_config(changed)


def _load_hydra_config(run_dir: RunDir) -> dict[str, Any]:
    """Return the settings that Hydra wrote at the start of a run.

    Raises:
        UserError: if the folder belongs to no training run of this version.
    """
    path = get_stored_config_path(run_dir)
    stored = read_stored_settings(path)
    if stored.get("mode", "train") != "train":
        raise UserError(f"{run_dir.path} was made with mode={stored.mode}: there is no training.")
    settings = to_run_config(stored)
    if not all(isinstance(settings.get(group), dict) for group in (*GROUPS, *UNTARGETED)):
        raise UserError(f"{path} is damaged, or of another version: start a new run.")
    return settings


def load_stored_config(run_dir: RunDir) -> dict[str, Any]:
    """Return the stored settings of a run folder, which may be untrusted.

    Raises:
        UserError: if they are damaged, or not plain values.
    """
    if not run_dir.last_checkpoint.exists():  # killed during the first epoch
        return _load_hydra_config(run_dir)
    settings = load_checkpoint(run_dir.last_checkpoint)[METADATA_KEY].get("config")
    if not isinstance(settings, dict):
        raise UserError(f"{run_dir.last_checkpoint} has no settings of a run.")
    try:
        check_stored_settings(settings)
    except UserError as error:
        raise UserError(f"{run_dir.last_checkpoint} cannot be used: {error}") from error
    return settings


def get_stored_config_path(run_dir: RunDir) -> Path:
    """Return the path of the configuration that Hydra writes."""
    return run_dir.path / ".hydra" / "config.yaml"


def collect_run_metadata(
    settings: dict[str, Any],
    data: TextDataModule,
    tokenizer_state: dict[str, Any],
    fingerprints: dict[str, Any],
) -> dict[str, Any]:
    """Collect the metadata of a checkpoint."""
    cleaning, fingerprint = data.cleaning.settings(), data.dataset.fingerprint()
    names, spec = data.class_names, data.input_spec()
    metadata = build_metadata(settings, tokenizer_state, names, cleaning, fingerprint, spec)
    return metadata | {"fingerprints": fingerprints, "provenance": collect_provenance()}


@contextmanager
def lock_run(run_dir: RunDir, resume: bool) -> Iterator[None]:
    """Lock the folder of a run in the context, and name the command that resumes it after Ctrl-C.

    Raises:
        UserError: as `RunDir.lock`.
    """
    run_dir.lock(resume)
    try:
        yield
    except KeyboardInterrupt:
        command = name_commands("python train.py")
        log.info("Interrupted: %s resume=%s continues.", command, run_dir.path)
        raise
    finally:
        run_dir.unlock()


def check_size(settings: dict[str, Any], data: TextDataModule, path: Path) -> None:
    """Refuse a checkpoint of another model before allocating what its settings request."""
    checkpoint = load_checkpoint(path)
    state, arguments = checkpoint.get("state_dict"), checkpoint[METADATA_KEY].get("arguments")
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise UserError(f"{path} has no state_dict of tensors.")
    sizes = len(data.vocabulary.tokens), len(data.class_names)
    try:
        options = settings["model"], settings["embedding"]
        target = settings.get("target", "nominal")
        network = build_empty_model(*options, *sizes, state, arguments, target)
        match_state_dict(state, network.state_dict(), torch.float32)
    except UserError as error:
        raise UserError(f"{path} does not go with this run: {error}") from error


def fit_or_resume(
    trainer: L.Trainer,
    model: TextClassifier,
    data: TextDataModule,
    run_dir: RunDir,
    checkpoints: BestAndLastCheckpoint,
) -> None:
    """Train, from the last checkpoint if there is one; do nothing if training was complete.

    Raises:
        UserError: if that checkpoint has other data or options, or is of another model.
    """
    last = run_dir.last_checkpoint if run_dir.last_checkpoint.exists() else None
    try:
        if last is not None:
            checkpoint = load_checkpoint(last)
            _check_same_run(checkpoint[METADATA_KEY], checkpoints.metadata, data, run_dir)
            log.info("Resuming from %s.", last)
            if _has_stopped_early(trainer, checkpoint):
                _restore_callbacks(trainer, checkpoint["callbacks"])
                return
        with keep_interrupts():
            trainer.fit(model, data, ckpt_path=last, weights_only=True)
    except (MisconfigurationException, ModuleNotFoundError) as error:  # of a callback
        raise UserError(f"{format_reason(error)}.") from error
    except MISMATCH_ERRORS as error:
        is_others = isinstance(error, UserError | torch.OutOfMemoryError)
        if last is None or checkpoints.has_finished_epoch or is_others:
            raise
        raise _build_mismatch_error(last, error) from error


def load_best_weights(model: TextClassifier, path: Path) -> int:
    """Load the weights of the best epoch into the model; return the epoch index."""
    chosen = load_checkpoint(path)
    try:
        model.load_state_dict(chosen["state_dict"])
        return int(chosen["epoch"])
    except MISMATCH_ERRORS as error:
        raise _build_mismatch_error(path, error) from error


def _build_mismatch_error(path: Path, error: Exception) -> UserError:
    reason = format_reason(error)[:200]
    return UserError(
        f"{path} does not go with this run, as it seems ({type(error).__name__}: {reason}); "
        f"HYDRA_FULL_ERROR=1 shows where."
    )


def _check_same_run(
    stored: dict[str, Any], wanted: dict[str, Any], data: TextDataModule, run_dir: RunDir
) -> None:
    """Refuse a checkpoint with other data, word vectors or options than those of the run."""
    if stored.get("data") != wanted["data"]:
        raise UserError(
            f"{data.source} is not what {run_dir.path} was started with: put back the same "
            f"files, or start a new run."
        )
    vectors = [(each.get("fingerprints") or {}).get("vectors") for each in (stored, wanted)]
    if vectors[0] != vectors[1]:
        raise UserError(
            f"{run_dir.path} was started with other word vectors than those that are there now "
            f"(embedding.path): put back the same file, or start a new run."
        )
    teachers = [(each.get("fingerprints") or {}).get("teacher") for each in (stored, wanted)]
    if teachers[0] != teachers[1]:
        raise UserError(
            f"{run_dir.path} was started with another teacher than the one that is there now "
            f"(loss.teacher): put back the same run, or start a new one."
        )
    if found := find_first_difference(_drop_trainer(stored), _drop_trainer(wanted)):
        option, was, now = found
        raise UserError(
            f"{run_dir.path} was started with {option}={was}, not {now}: start a new run for it."
        )


def _drop_trainer(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in metadata["config"].items() if name != "trainer"}


def _get_callbacks(trainer: L.Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined]  # set by a connector


def _has_stopped_early(trainer: L.Trainer, checkpoint: dict[str, Any]) -> bool:
    """Return whether patience was used up, and training could stop then."""
    if checkpoint["epoch"] + 1 < (trainer.min_epochs or 0):
        return False
    if checkpoint["global_step"] < (trainer.min_steps or 0):
        return False
    states = checkpoint["callbacks"]
    reasons = (
        states.get(callback.state_key, {}).get("stopping_reason")
        for callback in _get_callbacks(trainer)
        if isinstance(callback, EarlyStopping)
    )
    return any(reason not in (None, EarlyStoppingReason.NOT_STOPPED.value) for reason in reasons)


def _restore_callbacks(trainer: L.Trainer, states: dict[str, Any]) -> None:
    """Restore the states of the callbacks at the end of training."""
    for callback in _get_callbacks(trainer):
        if callback.state_key in states:
            callback.load_state_dict(states[callback.state_key])
