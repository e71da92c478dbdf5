"""The whole way, once: data → model → trainer → best checkpoint → test → results."""

import logging
import time
from collections.abc import Sequence
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import nn

from seqtext.build import GROUPS, build, build_plain, check_options, optimizer_of, trainer_of
from seqtext.data.batches import BatchLoader
from seqtext.data.datamodule import TextDataModule
from seqtext.data.sampling import ClassWeights, Sampling
from seqtext.data.split import Split
from seqtext.data.vectors import read_vectors
from seqtext.describe import pictures, show_data
from seqtext.models.classifier import TextClassifier
from seqtext.models.embedding import PretrainedEmbedding
from seqtext.models.summary import summary
from seqtext.models.training import Schedule
from seqtext.options import Count, OptionError, Positive, Seed, Share, UserError, checked
from seqtext.results.checkpoint import (
    DESCRIPTION,
    Checkpoints,
    described,
    load_checkpoint,
    set_threshold,
)
from seqtext.results.folder import RunFolder
from seqtext.results.metrics import direction, metric_names
from seqtext.results.predictions import Predictions
from seqtext.results.progress import EpochProgress, show
from seqtext.results.tensorboard import EpochLogger, log_pictures

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
        threshold: Share | Literal["tuned"],
        checkpoint_minutes: Positive,
        cache: str,
    ):
        self.seed, self.monitor, self.patience = seed, monitor, patience
        self.schedule = schedule
        self.sampling, self.class_weights, self.threshold = sampling, class_weights, threshold
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


def describe(settings: dict[str, Any], folder: RunFolder) -> None:
    """Show the data set of `settings`, and how much of it pretrained vectors cover; train nothing.

    Raises:
        UserError: if anything in `settings` cannot be.
    """
    options, split = checked_options(settings)
    folder.claim(resume=False)
    try:
        data = data_of(settings, options, split)
        embedding_of(settings, data)
        show_data(data, folder)
    finally:
        folder.release()


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
    progress, logger = EpochProgress(options.monitor), EpochLogger(str(folder.path))
    data = data_of(settings, options, split)
    L.seed_everything(options.seed, verbose=False)
    model = fresh_model(settings, options, data)
    log.info("%s", summary(model))
    _check_for_classes(options, data.class_names)
    checkpoints = _checkpoints(settings, options, data, folder)
    callbacks = [progress, *_stopping(options), checkpoints]
    trainer = trainer_of(settings["trainer"], logger=logger, callbacks=callbacks)
    log_pictures(logger, {f"data/{name}": png for name, png in pictures(data).items()})
    seconds = {"preparation": time.perf_counter() - started}
    _fit(trainer, model, data, folder, checkpoints.description)
    chosen = load_checkpoint(folder.best)
    model.load_state_dict(chosen["state_dict"])
    predictions = {
        "val": predict(trainer, model, data, data.val_dataloader()),
        "test": predict(trainer, model, data, data.test_dataloader()),
    }
    threshold = options.threshold
    if threshold == "tuned":
        threshold = predictions["val"].best_threshold()
    if threshold != 0.5:
        set_threshold(folder.best, chosen, threshold)
        predictions = {part: of_part.at(threshold) for part, of_part in predictions.items()}
    from seqtext.results.record import record  # matplotlib and scikit-learn: not before they serve

    seconds["training"] = progress.seconds
    seconds["total"] = progress.earlier_seconds + time.perf_counter() - started
    facts = {
        "dataset": data.name,
        "model": model.name or type(model).__name__,
        "monitor": options.monitor,
        "score": checkpoints.best_score,
        "best_epoch": chosen["epoch"] + 1,
        "epochs": checkpoints.epochs,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "seconds": seconds,
        "source": data.source,
        "rows": data.rows(),
        "settings": settings,
    }
    return record(folder, logger, predictions, data.data.rows, settings, facts)


def data_of(settings: dict[str, Any], options: Options, split: Split) -> TextDataModule:
    """The data set of `settings`, prepared."""
    data = build(
        "dataset",
        settings["dataset"],
        split=split,
        sampling=options.sampling,
        class_weights=options.class_weights,
        seed=options.seed,
        cache=options.cache,
    )
    data.setup()
    return data


def embedding_of(settings: dict[str, Any], data: TextDataModule) -> nn.Module:
    """The embedding of `settings` for this data, with starting values."""
    embedding = build("embedding", settings["embedding"], vocabulary_size=len(data.vocabulary))
    if isinstance(embedding, PretrainedEmbedding):
        vectors = read_vectors(
            embedding.source,
            data.vocabulary,
            embedding.embedding_dim,
            embedding.path,
            embedding.download,
            data.cache,
        )
        embedding.fill(*vectors)
    return embedding


def fresh_model(settings: dict[str, Any], options: Options, data: TextDataModule) -> TextClassifier:
    """The model of `settings` for this data, with starting values."""
    embedding = embedding_of(settings, data)
    classes = len(data.class_names)
    model = build("model", settings["model"], embedding=embedding, classes=classes)
    model.class_names = data.class_names
    optimizer = optimizer_of(settings["optimizer"])
    model.train_with(optimizer, options.schedule, data.class_weights(), options.monitor)
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


def _checkpoints(
    settings: dict[str, Any], options: Options, data: TextDataModule, folder: RunFolder
) -> Checkpoints:
    description = described(
        settings,
        data.vocabulary.words,
        data.class_names,
        data.cleaning.settings(),
        data.data.fingerprint(),
    )
    return Checkpoints(
        folder.best, folder.last, options.monitor, options.checkpoint_minutes, description
    )


def _check_for_classes(options: Options, class_names: Sequence[str]) -> None:
    known = [f"val/{name}" for name in metric_names(class_names)]
    if options.monitor not in known:
        raise OptionError("monitor", options.monitor, f"one of {', '.join(known)}")
    if options.threshold != 0.5 and len(class_names) > 2:
        raise OptionError("threshold", options.threshold, f"0.5 for {len(class_names)} classes")
