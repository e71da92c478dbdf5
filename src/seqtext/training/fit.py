"""The two ways to fit a model: in epochs by Lightning's Trainer, or at once."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping

from seqtext.callbacks.checkpoint import BestAndLastCheckpoint
from seqtext.callbacks.early_stopping import TieBreakingEarlyStopping
from seqtext.callbacks.progress_bar import ProgressBar
from seqtext.checkpoints.files import (
    DESCRIPTION,
    checkpoint_metadata,
    load_checkpoint,
    save_checkpoint,
)
from seqtext.config.instantiate import build, build_trainer, num_devices
from seqtext.config.rebuild import build_empty_network, fit_tensors
from seqtext.config.run_config import RunConfig, build_model, collect_fingerprints
from seqtext.data.loaders import BucketDataLoader
from seqtext.data.split import PARTS, Part
from seqtext.datasets.base import TextDataModule
from seqtext.display import count_noun
from seqtext.distributed import ProcessInfo, StopOnTerminate, all_gather_objects
from seqtext.errors import UserError
from seqtext.identity import first_mismatch
from seqtext.loggers.tensorboard import EpochTensorBoardLogger, append_curves
from seqtext.metrics.predictions import Predictions
from seqtext.models.base import TextClassifier
from seqtext.models.non_neural import NonNeuralClassifier
from seqtext.run_dir import RunDir
from seqtext.training.baseline import fit_model, predict_logits
from seqtext.training.ddp import launch_workers
from seqtext.training.model_summary import format_model_summary

log = logging.getLogger(__name__)

ENORMOUS = 1 << 20  # words in a training batch: gigabytes with most models
# What Lightning and torch raise for a checkpoint of another model
MISFITS = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError)


class TrainResult(NamedTuple):
    """Result of training: validation and test predictions of the best checkpoint, with timings.

    began: when training did, by `time.perf_counter`
    seconds: of training, over all restarts
    earlier_seconds: the part of it before this process
    curves: "train/<metric>" and "val/<metric>", a value per epoch
    fingerprints: of what it was made from: see `seqtext.identity`
    """

    predictions: dict[str, Predictions]
    score: float
    parameters: int
    began: float
    seconds: float
    curves: dict[str, list[float]]
    earlier_seconds: float = 0.0
    best_epoch: int = 1
    epochs: int = 1
    fingerprints: dict[str, Any] | None = None


def fit_baseline(
    settings: dict[str, Any],
    options: RunConfig,
    data: TextDataModule,
    folder: RunDir,
    logger: EpochTensorBoardLogger,
) -> TrainResult:
    """Fit a model that needs no epochs; an interrupted one starts over."""
    model = build("model", settings["model"], classes=len(data.class_names))
    began = time.perf_counter()
    fit_model(model, data)
    seconds = time.perf_counter() - began
    fingerprints = collect_fingerprints(data)
    description = _description(
        settings, data, data.tokenizer.state_dict() | {"tokens": model.words}, fingerprints
    )
    save_checkpoint(folder.best, {DESCRIPTION: description, "state_dict": model.state_dict()})
    predictions = {part: _said(model, data, part) for part in PARTS}
    train = predictions.pop("train").compute_metrics()
    scores = predictions["val"].compute_metrics()
    logged = {f"train/{name}": value for name, value in train.items()}
    logged |= {f"val/{name}": value for name, value in scores.items()}
    logger.log_metrics(logged, step=0)
    append_curves(curves := {}, logged)
    return TrainResult(
        predictions,
        logged[options.monitor],
        model.num_parameters,
        began,
        seconds,
        curves=curves,
        fingerprints=fingerprints,
    )


def fit_lightning(
    settings: dict[str, Any],
    options: RunConfig,
    data: TextDataModule,
    folder: RunDir,
    logger: EpochTensorBoardLogger,
    further: Sequence[Callback] = (),
) -> TrainResult:
    """Fit a model in batches, on the devices of the trainer; see `fit_rank`."""
    count = num_devices(settings["trainer"].get("devices", 1))
    with launch_workers(count, settings, str(folder.path)) as process:
        return fit_rank(settings, options, data, folder, logger, process, further)


def fit_rank(
    settings: dict[str, Any],
    options: RunConfig,
    data: TextDataModule,
    folder: RunDir,
    logger: EpochTensorBoardLogger | None,
    process: ProcessInfo,
    further: Sequence[Callback] = (),
) -> TrainResult:
    """Run one rank's part of a training, from the last checkpoint of the folder if there is one.

    Returns:
        What was fitted, with the predictions of all processes.

    Raises:
        UserError: if that checkpoint was made with other data, or the model's outputs are not
            finite.
    """
    if folder.last.exists():
        _check_size(settings, data, folder.last)
    progress, model = ProgressBar(options.monitor), build_model(settings, options, data)
    fingerprints = collect_fingerprints(data, model)
    log.info(format_model_summary(model))  # as the message: an argument would stay on one line
    checkpoints = BestAndLastCheckpoint(
        folder.best,
        folder.last,
        options.monitor,
        options.checkpoint_minutes,
        _description(settings, data, data.tokenizer.state_dict(), fingerprints),
    )
    callbacks = [progress, *_stopping(options), checkpoints, StopOnTerminate(), *further]
    trainer = build_trainer(settings["trainer"], logger or False, callbacks, process)
    log.info("%s", describe_hardware(trainer))
    data.process = process  # not before: a model's starting values look at the whole training part
    _check_batches(trainer, data)
    began = time.perf_counter()
    _train(trainer, model, data, folder, checkpoints)
    best_epoch = _load_best(model, folder.best)
    predictions = {
        "val": predict(trainer, model, data, data.val_dataloader()),
        "test": predict(trainer, model, data, data.test_dataloader()),
    }
    return TrainResult(
        predictions,
        score=checkpoints.best_score,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        began=began,
        seconds=progress.seconds,
        curves=checkpoints.curves,
        earlier_seconds=progress.earlier_seconds,
        best_epoch=best_epoch + 1,
        epochs=checkpoints.epochs,
        fingerprints=fingerprints,
    )


def describe_hardware(trainer: L.Trainer) -> str:
    """Describe the devices of a training in words."""
    device, count = trainer.strategy.root_device, trainer.world_size
    shared = f"{count} processes on {device.type}" if count > 1 else f"one process on {device}"
    return f"{shared}, with {count_noun(torch.get_num_threads(), 'CPU thread')} each"


def predict(
    trainer: L.Trainer, model: TextClassifier, data: TextDataModule, batches: BucketDataLoader
) -> Predictions:
    """Predict a whole split and gather the outputs of all ranks."""
    outputs = all_gather_objects(trainer.predict(model, batches))
    return Predictions.from_batches(outputs, data.labels, data.class_names)


def _said(model: NonNeuralClassifier, data: TextDataModule, part: Part) -> Predictions:
    rows = np.array(data.dataset.parts[part])
    return Predictions(rows, data.labels[rows], predict_logits(model, data, part), data.class_names)


def _description(
    settings: dict[str, Any],
    data: TextDataModule,
    tokenizer: dict[str, Any],
    fingerprints: dict[str, Any],
) -> dict[str, Any]:
    cleaning, fingerprint = data.cleaning.settings(), data.dataset.fingerprint()
    names, reading = data.class_names, data.input_spec()
    description = checkpoint_metadata(settings, tokenizer, names, cleaning, fingerprint, reading)
    return description | {"fingerprints": fingerprints}


def _train(
    trainer: L.Trainer,
    model: TextClassifier,
    data: TextDataModule,
    folder: RunDir,
    checkpoints: BestAndLastCheckpoint,
) -> None:
    """Train, from the last checkpoint if there is one; nothing to do if that was the end."""
    last = folder.last if folder.last.exists() else None
    try:
        if last is not None:
            checkpoint = load_checkpoint(last)
            _refuse_another_run(checkpoint[DESCRIPTION], checkpoints.description, data, folder)
            log.info("Going on from %s.", last)
            if _stopped_early(trainer, checkpoint["callbacks"]):
                _restore(trainer, checkpoint["callbacks"])
                return
        trainer.fit(model, data, ckpt_path=last, weights_only=True)
    except SystemExit as stop:  # what Lightning makes of Ctrl-C and SIGTERM
        raise KeyboardInterrupt from stop
    except MISFITS as error:
        is_others = isinstance(error, UserError | torch.OutOfMemoryError)
        if last is None or checkpoints.has_finished_epoch or is_others:
            raise
        raise _misfit(last, error) from error


def _check_size(settings: dict[str, Any], data: TextDataModule, path: Path) -> None:
    """Refuse a checkpoint of another model, before memory is taken for what its settings ask."""
    state = load_checkpoint(path).get("state_dict")
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise UserError(f"{path} has no state_dict of tensors.")
    sizes = len(data.vocabulary.tokens), len(data.class_names)
    try:
        network = build_empty_network(settings["model"], settings["embedding"], *sizes, state)
        fit_tensors(state, network.state_dict(), torch.float32)
    except UserError as error:
        raise UserError(f"{path} does not go with this run: {error}") from error


def _load_best(model: TextClassifier, path: Path) -> int:
    """Give the model the weights of its best epoch, and return the number of that, from 0."""
    chosen = load_checkpoint(path)
    try:
        model.load_state_dict(chosen["state_dict"])
        return int(chosen["epoch"])
    except MISFITS as error:
        raise _misfit(path, error) from error


def _misfit(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{path} does not go with this run, as it seems ({type(error).__name__}: {reason}); "
        f"HYDRA_FULL_ERROR=1 shows where."
    )


def _refuse_another_run(
    stored: dict[str, Any], wanted: dict[str, Any], data: TextDataModule, folder: RunDir
) -> None:
    """Raises:
    UserError: if a checkpoint was made with other data, word vectors or options than a run.
    """
    if stored.get("data") != wanted["data"]:
        raise UserError(
            f"{data.source} is not what {folder.path} was started with: put back the same "
            f"files, or start a new run."
        )
    vectors = [(each.get("fingerprints") or {}).get("vectors") for each in (stored, wanted)]
    if vectors[0] != vectors[1]:
        raise UserError(
            f"{folder.path} was started with other word vectors than those that are there now "
            f"(embedding.path): put back the same file, or start a new run."
        )
    if found := first_mismatch(_without_trainer(stored), _without_trainer(wanted)):
        option, was, now = found
        raise UserError(
            f"{folder.path} was started with {option}={was}, not {now}: start a new run for it."
        )


def _without_trainer(description: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in description["config"].items() if name != "trainer"}


def _stopped_early(trainer: L.Trainer, states: dict[str, Any]) -> bool:
    return any(
        isinstance(callback, EarlyStopping)
        and states.get(callback.state_key, {}).get("stopped_epoch")
        for callback in trainer.callbacks
    )


def _restore(trainer: L.Trainer, states: dict[str, Any]) -> None:
    """Restore the states of the callbacks at the end of training."""
    for callback in trainer.callbacks:
        if callback.state_key in states:
            callback.load_state_dict(states[callback.state_key])


def _stopping(options: RunConfig) -> list[Callback]:
    if options.patience is None:
        return []
    return [TieBreakingEarlyStopping(options.monitor, options.patience)]


def _check_batches(trainer: L.Trainer, data: TextDataModule) -> None:
    """Refuse a limit that leaves nothing to train on, and warn of batches that may fill the memory.

    Raises:
        UserError: if `trainer.limit_train_batches` is less than one batch.
    """
    limit, count = trainer.limit_train_batches, len(data.train_dataloader())
    if isinstance(limit, float) and int(limit * count) < 1:
        raise UserError(
            f"trainer.limit_train_batches={limit:g} leaves none of the {count} training batches: "
            f"give a larger share, or a whole number of batches."
        )
    words = data.batch_size * int(data.dataset.texts.lengths[data.training_rows].max())
    if words > ENORMOUS:
        log.warning(
            "A training batch may hold %s words, padding included: where memory runs out, lower "
            "tokenizer.max_length or dataset.batch_size.",
            f"{words:,}",
        )
