"""Fit a non-neural model to the training part of a data module, and predict its parts."""

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from seqtext.callbacks.curves import append_curves
from seqtext.checkpoints.files import METADATA_KEY, save_checkpoint
from seqtext.config.fingerprints import collect_fingerprints
from seqtext.config.instantiate import build_from_config
from seqtext.config.metrics import build_custom_metrics
from seqtext.config.run_config import RunConfig
from seqtext.data.split import PARTS, Part
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError
from seqtext.loggers.base import RunLoggers
from seqtext.metrics.definitions import is_better
from seqtext.metrics.predictions import Predictions
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts, Validation
from seqtext.run_dir import RunDir
from seqtext.training.result import TrainResult
from seqtext.training.resume import collect_run_metadata

if TYPE_CHECKING:
    from seqtext.metrics.custom import CustomMetrics


log = logging.getLogger(__name__)


def fit_baseline(
    settings: dict[str, Any],
    options: RunConfig,
    data: TextDataModule,
    run_dir: RunDir,
    loggers: RunLoggers,
) -> TrainResult:
    """Fit a non-neural model; an interrupted run starts from the beginning."""
    model = build_from_config("model", settings["model"], classes=len(data.class_names))
    if options.target == "ordinal":
        model.make_ordinal()
    custom = build_custom_metrics(settings["metrics"], len(data.class_names))
    start_time = time.perf_counter()
    fit_model(model, data, options.monitor, custom)
    train_seconds = time.perf_counter() - start_time
    fingerprints = collect_fingerprints(data)
    tokenizer_state = data.tokenizer.state_dict() | {"tokens": model.words}
    metadata = collect_run_metadata(settings, data, tokenizer_state, fingerprints)
    metadata["chosen"] = dict(model.chosen)
    checkpoint = {METADATA_KEY: metadata, "state_dict": model.state_dict()}
    save_checkpoint(run_dir.best_checkpoint, checkpoint)
    predictions: dict[str, Predictions] = {}
    logged: dict[str, float] = {}
    for part in PARTS:  # the test part last
        part_time = time.perf_counter()
        rows, logits = np.array(data.dataset.parts[part]), predict_logits(model, data, part)
        part_seconds = time.perf_counter() - part_time
        predictions[part] = _build_predictions(model, data, rows, logits, custom)
        if part != "test":
            scores = predictions[part].compute_metrics()
            logged |= {f"{part}/{name}": value for name, value in scores.items()}
    del predictions["train"]
    loggers.log_metrics(logged, step=0)
    curves: dict[str, list[float | None]] = {}
    append_curves(curves, logged)
    return TrainResult(
        predictions,
        score=logged[options.monitor],
        parameters=model.num_parameters,
        start_time=start_time,
        train_seconds=train_seconds,
        test_seconds=part_seconds,
        curves=curves,
        fingerprints=fingerprints,
        chosen=model.chosen,
    )


def fit_model(
    model: NonNeuralClassifier,
    data: TextDataModule,
    monitor: str = "val/loss",
    custom: "CustomMetrics | None" = None,
) -> None:
    """Fit the vocabulary to all training rows, and the weights to the resampled rows.

    Values of options that the model chooses itself are those with the best monitored score on the
    validation part, by the rule for the best epoch of a network: `is_better`.

    Args:
        monitor: metric of the validation part
        custom: metrics in addition to this package's

    Raises:
        UserError: if ``sampling`` is "balanced_batches", or the model cannot be fitted.
    """
    if data.sampling == "balanced_batches":
        raise UserError(
            f"sampling=balanced_batches is not possible with model={model.name}, which has no "
            f"batches: choose sampling=class_weights."
        )
    train = data.dataset.parts["train"]  # sorted
    validation = {}
    if model.needs_validation:
        validation["validation"] = _build_validation(model, data, monitor, custom)
    model.fit(
        read_texts(data, "train"),
        data.labels[train],
        data.class_weights(),
        np.searchsorted(train, data.training_rows),
        **validation,
    )
    for option, value in model.chosen.items():
        text = f"{value:g}" if isinstance(value, float) else value
        log.info("model.%s is %s, the best on the validation part by %s.", option, text, monitor)


def _build_predictions(
    model: NonNeuralClassifier,
    data: TextDataModule,
    rows: np.ndarray,
    logits: Tensor,
    custom: "CustomMetrics | None",
) -> Predictions:
    labels, is_ordinal = data.labels[rows], model.is_ordinal
    return Predictions(rows, labels, logits, data.class_names, custom=custom, is_ordinal=is_ordinal)


def _build_validation(
    model: NonNeuralClassifier, data: TextDataModule, monitor: str, custom: "CustomMetrics | None"
) -> Validation:
    rows = np.array(data.dataset.parts["val"])

    def score(logits: Tensor) -> tuple[float, float]:
        scores = _build_predictions(model, data, rows, logits, custom).compute_metrics()
        return scores[monitor.removeprefix("val/")], scores["loss"]

    def is_better_pair(scores: tuple[float, float], best: tuple[float, float] | None) -> bool:
        return best is None or is_better(scores[0], best[0], monitor, scores[1], best[1])

    return Validation(read_texts(data, "val"), score, is_better_pair)


def predict_logits(model: NonNeuralClassifier, data: TextDataModule, part: Part) -> Tensor:
    """Return the logits of a part's rows, [N] for two classes, [N, C] for more."""
    return model.predict_logits(read_texts(data, part))


def read_texts(data: TextDataModule, part: Part) -> TokenizedTexts:
    """Return the untruncated texts of a part, in the order of its rows."""
    lengths, codes = zip(*data.corpus.iter_rows(data.dataset.parts[part]), strict=True)
    words = data.corpus.dictionary
    texts = TokenizedTexts(np.concatenate(lengths), np.concatenate(codes), words)
    return texts.split_words(data.tokenizer)
