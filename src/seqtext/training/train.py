"""The whole way, once: data → model → trainer → best checkpoint → test → results."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from seqtext.callbacks.progress_bar import print_summary
from seqtext.checkpoints.files import set_threshold
from seqtext.config.instantiate import resolve_target
from seqtext.config.run_config import RunConfig, build_datamodule, build_embedding, validate_config
from seqtext.data.split import Split
from seqtext.datasets.base import TextDataModule
from seqtext.loggers.tensorboard import EpochTensorBoardLogger, log_images
from seqtext.metrics.predictions import Predictions
from seqtext.metrics.result_warnings import PART_NAMES, find_warnings
from seqtext.metrics_file import SHOWN
from seqtext.models.non_neural import NonNeuralClassifier
from seqtext.run_dir import RunDir
from seqtext.training.data_report import draw_data_figures, report_data
from seqtext.training.fit import fit_baseline, fit_lightning
from seqtext.training.gpu_assignment import pin_to_one_gpu
from seqtext.training.provenance import ask_git, collect_provenance

log = logging.getLogger(__name__)


def train_and_evaluate(
    settings: dict[str, Any],
    folder: RunDir,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> float:
    """Train, choose the best epoch on the validation part, test it once, write the results.

    Args:
        settings: plain values, in the structure of conf/config.yaml
        folder: where everything goes
        resume: go on from the folder's last checkpoint, if there is one
        callbacks: further ones, of Lightning, for models that learn in epochs

    Returns:
        The monitored score of the best epoch, on the validation part.

    Raises:
        UserError: if anything in `settings` cannot be.
    """
    pin_to_one_gpu()
    options, split = validate_config(settings)
    folder.lock(resume)
    try:
        metrics = folder.read_metrics(required=SHOWN)
        if metrics is None:
            if not folder.last.exists():
                folder.remove_events()
            metrics = _train_and_test(settings, options, split, folder, callbacks)
        else:
            log.info("%s is finished already.", folder.path)
    except KeyboardInterrupt:
        log.info("Interrupted: python train.py resume=%s goes on.", folder.path)
        raise
    finally:
        folder.unlock()
    print_summary(metrics, folder.path)
    return metrics["score"]


def describe(settings: dict[str, Any], folder: RunDir) -> None:
    """Show the data set of `settings`, and how much of it pretrained vectors cover; train nothing.

    Raises:
        UserError: if anything in `settings` cannot be.
    """
    options, split = validate_config(settings)
    folder.lock(resume=False)
    try:
        data = build_datamodule(settings, options, split)
        build_embedding(settings, data)
        report_data(data, folder)
    finally:
        folder.unlock()


def _train_and_test(
    settings: dict[str, Any],
    options: RunConfig,
    split: Split,
    folder: RunDir,
    callbacks: Sequence[Callback],
) -> dict[str, Any]:
    started = time.perf_counter()
    ask_git()
    logger = EpochTensorBoardLogger(str(folder.path))
    data = build_datamodule(settings, options, split)
    options.check_for_classes(data.class_names)
    options.check_for_validation(data.class_names, data.labels[data.dataset.parts["val"]])
    log_images(logger, {f"data/{name}": png for name, png in draw_data_figures(data).items()})
    L.seed_everything(options.seed, verbose=False)
    kind = resolve_target("model", settings["model"]["_target_"])
    if issubclass(kind, NonNeuralClassifier):
        fitted = fit_baseline(settings, options, data, folder, logger)
    else:
        fitted = fit_lightning(settings, options, data, folder, logger, callbacks)
    predictions = _decided(fitted.predictions, options.threshold, folder)
    warnings = [*data.warnings, *_find_warnings(predictions, data)]
    from seqtext.training.artifacts import (
        write_artifacts,  # matplotlib and scikit-learn: not before they serve
    )

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
            "total": fitted.earlier_seconds + time.perf_counter() - started,
        },
        "source": data.source,
        "fingerprints": fitted.fingerprints,
        "rows": data.rows(),
        "class_names": list(data.class_names),
        "settings": settings,
        "provenance": collect_provenance(),
        "curves": fitted.curves,
        "warnings": warnings,
    }
    return write_artifacts(folder, logger, predictions, data.dataset.rows, settings, facts)


def _find_warnings(predictions: dict[str, Predictions], data: TextDataModule) -> list[str]:
    """Return what a reader of the scores must know, as sentences."""
    training_labels = data.labels[data.dataset.parts["train"]]
    found = []
    for part, of_part in predictions.items():
        found += find_warnings(PART_NAMES[part], of_part, training_labels)
    return found


def _decided(
    predictions: dict[str, Predictions], threshold: float | str, folder: RunDir
) -> dict[str, Predictions]:
    """The predictions at the threshold of the run, which the best checkpoint remembers."""
    if threshold == "tuned":
        threshold = predictions["val"].find_best_threshold()
    if threshold != 0.5:
        set_threshold(folder.best, threshold)
    return {part: of_part.with_threshold(threshold) for part, of_part in predictions.items()}
