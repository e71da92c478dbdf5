"""The whole way, once: data → model → trainer → best checkpoint → test → results."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping

from seqtext.build import (
    GROUPS,
    build,
    build_plain,
    buildable_class,
    check_options,
    optimizer_of,
    trainer_of,
)
from seqtext.data.batches import BatchLoader
from seqtext.data.cache import Cache
from seqtext.data.datamodule import TextDataModule
from seqtext.data.sampling import ClassWeights, Sampling
from seqtext.data.split import Split
from seqtext.data.vectors import read_vectors
from seqtext.fit import Fitted, description_of, fit_at_once
from seqtext.models.classifier import Schedule, TextClassifier
from seqtext.models.direct import DirectClassifier
from seqtext.models.embedding import PretrainedEmbedding
from seqtext.options import Count, OptionError, Positive, Seed, UserError, checked
from seqtext.results.checkpoint import DESCRIPTION, Checkpoints, load_checkpoint
from seqtext.results.folder import RunFolder
from seqtext.results.metrics import direction, metric_names
from seqtext.results.predictions import Predictions
from seqtext.results.progress import EpochProgress, show
from seqtext.results.tensorboard import EpochLogger

log = logging.getLogger(__name__)


class Options:
    """The options of a run that belong to no group; conf/config.yaml says what they mean."""

    @checked
    def __init__(
        self,
        seed: Seed,
        monitor: str,
        patience: Count | None,
        schedule: Schedule,
        sampling: Sampling,
        class_weights: ClassWeights,
        checkpoint_minutes: Positive,
        cache: str,
    ):
        self.seed, self.monitor, self.patience = seed, monitor, patience
        self.schedule = schedule
        self.sampling, self.class_weights = sampling, class_weights
        self.checkpoint_minutes, self.cache = checkpoint_minutes, cache


def run(settings: dict[str, Any], folder: RunFolder, resume: bool = False) -> float:
    """Train, choose the best epoch on the validation part, test it once, write the results.

    Args:
        settings: plain values, in the structure of conf/config.yaml
        folder: where everything goes
        resume: go on from the folder's last checkpoint, if there is one

    Returns:
        The monitored score of the best epoch, on the validation part.

    Raises:
        UserError: if anything in `settings` cannot be.
    """
    options, split = checked_options(settings)
    folder.claim(resume)
    try:
        metrics = folder.finished()
        if metrics is None:
            metrics = _train_and_test(settings, options, split, folder)
        else:
            log.info("%s is finished already.", folder.path)
    except KeyboardInterrupt:
        log.info("Interrupted: python train.py resume=%s goes on.", folder.path)
        raise
    finally:
        folder.release()
    show(metrics, folder.path)
    return metrics["score"]


def checked_options(settings: dict[str, Any]) -> tuple[Options, Split]:
    """Refuse what cannot be, before anything is loaded."""
    groups = (*GROUPS, "trainer", "split")
    for group in groups:
        if not isinstance(settings.get(group), dict):
            raise UserError(f"{group}={settings.get(group)} is not possible: it must have options.")
    for group in GROUPS:
        check_options(group, settings[group])
    optimizer_of(settings["optimizer"])
    trainer_of(settings["trainer"])
    others = {k: v for k, v in settings.items() if k not in groups}
    return build_plain("", Options, others), build_plain("split", Split, settings["split"])


def _train_and_test(
    settings: dict[str, Any], options: Options, split: Split, folder: RunFolder
) -> dict[str, Any]:
    started = time.perf_counter()
    logger = EpochLogger(str(folder.path))
    data = build(
        "dataset",
        settings["dataset"],
        split=split,
        sampling=options.sampling,
        seed=options.seed,
        class_weights=options.class_weights,
        cache=options.cache,
    )
    data.setup()
    _check_monitor(options.monitor, data.class_names)
    L.seed_everything(options.seed, verbose=False)
    kind = buildable_class("model", settings["model"]["_target_"])
    if issubclass(kind, DirectClassifier):
        fitted = fit_at_once(settings, options.monitor, data, folder, logger)
    else:
        fitted = _fit_in_epochs(settings, options, data, folder, logger)
    from seqtext.results.record import record  # matplotlib and scikit-learn: not before they serve

    total = time.perf_counter() - started
    facts = {
        "dataset": data.name,
        "model": kind.name or kind.__name__,
        "monitor": options.monitor,
        "score": fitted.score,
        "best_epoch": fitted.best_epoch,
        "epochs": fitted.epochs,
        "parameters": fitted.parameters,
        "seconds": {
            "preparation": fitted.began - started,
            "training": fitted.seconds,
            "total": fitted.earlier_seconds + total,
        },
        "source": data.source,
        "rows": data.rows(),
        "settings": settings,
    }
    return record(folder, logger, fitted.predictions, data.data.rows, settings, facts)


def _fit_in_epochs(
    settings: dict[str, Any],
    options: Options,
    data: TextDataModule,
    folder: RunFolder,
    logger: EpochLogger,
) -> Fitted:
    """By Lightning's Trainer."""
    progress, model = EpochProgress(options.monitor), fresh_model(settings, options, data)
    checkpoints = Checkpoints(
        folder.best,
        folder.last,
        options.monitor,
        options.checkpoint_minutes,
        description_of(settings, data, data.vocabulary.words),
    )
    callbacks = [progress, *_stopping(options), checkpoints]
    trainer = trainer_of(settings["trainer"], logger=logger, callbacks=callbacks)
    began = time.perf_counter()
    _fit(trainer, model, data, folder, checkpoints.description)
    chosen = load_checkpoint(folder.best)
    model.load_state_dict(chosen["state_dict"])
    predictions = {
        "val": predict(trainer, model, data, data.val_dataloader()),
        "test": predict(trainer, model, data, data.test_dataloader()),
    }
    return Fitted(
        predictions,
        score=checkpoints.best_score,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        began=began,
        seconds=progress.seconds,
        earlier_seconds=progress.earlier_seconds,
        best_epoch=chosen["epoch"] + 1,
        epochs=checkpoints.epochs,
    )


def fresh_model(settings: dict[str, Any], options: Options, data: TextDataModule) -> TextClassifier:
    """The model of `settings` for this data, with starting values."""
    embedding = build("embedding", settings["embedding"], vocabulary_size=len(data.vocabulary))
    if isinstance(embedding, PretrainedEmbedding):
        vectors = read_vectors(
            embedding.source,
            data.vocabulary.words,
            embedding.embedding_dim,
            embedding.path,
            embedding.download,
            Cache(options.cache),
            getattr(data.vocabulary, "counts", None),
        )
        embedding.fill(*vectors)
    classes = len(data.class_names)
    model = build("model", settings["model"], embedding=embedding, classes=classes)
    model.class_names = data.class_names
    optimizer = optimizer_of(settings["optimizer"])
    model.train_with(optimizer, options.schedule, data.class_weights())
    return model


def predict(
    trainer: L.Trainer, model: TextClassifier, data: TextDataModule, batches: BatchLoader
) -> Predictions:
    """The model's word on every row of a part."""
    return Predictions.of(trainer.predict(model, batches), data.labels, data.class_names)


def _fit(
    trainer: L.Trainer,
    model: TextClassifier,
    data: TextDataModule,
    folder: RunFolder,
    description: dict[str, Any],
) -> None:
    """Train, from the last checkpoint if there is one; nothing to do if that was the end."""
    last = None
    if folder.last.exists():
        checkpoint, last = load_checkpoint(folder.last), folder.last
        if checkpoint[DESCRIPTION]["data"] != description["data"]:
            raise UserError(
                f"{data.source} is not what {folder.path} was started with: put back the same "
                f"files, or start a new run."
            )
        log.info("Going on from %s.", folder.last)
        if _stopped_early(trainer, checkpoint["callbacks"]):
            _restore(trainer, checkpoint["callbacks"])
            return
    try:
        trainer.fit(model, data, ckpt_path=last, weights_only=True)
    except SystemExit as stop:  # what Lightning makes of Ctrl-C and SIGTERM
        raise KeyboardInterrupt from stop


def _stopped_early(trainer: L.Trainer, states: dict[str, Any]) -> bool:
    return any(
        isinstance(callback, EarlyStopping) and states[callback.state_key]["stopped_epoch"]
        for callback in trainer.callbacks
    )


def _restore(trainer: L.Trainer, states: dict[str, Any]) -> None:
    """What the callbacks knew when training ended."""
    for callback in trainer.callbacks:
        if callback.state_key in states:
            callback.load_state_dict(states[callback.state_key])


def _stopping(options: Options) -> list[Callback]:
    if options.patience is None:
        return []
    mode = direction(options.monitor)
    return [EarlyStopping(options.monitor, patience=options.patience, mode=mode, min_delta=0)]


def _check_monitor(monitor: str, class_names: Sequence[str]) -> None:
    known = [f"val/{name}" for name in metric_names(class_names)]
    if monitor not in known:
        raise OptionError("monitor", monitor, f"one of {', '.join(known)}")
