"""What fitting a model gives, and the way to fit one at once; `run` has the way by epochs."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from seqtext.build import build
from seqtext.data.datamodule import TextDataModule
from seqtext.data.split import PARTS, Part
from seqtext.models.direct import DirectClassifier
from seqtext.results.checkpoint import described, save_checkpoint
from seqtext.results.folder import RunFolder
from seqtext.results.predictions import Predictions
from seqtext.results.tensorboard import EpochLogger


class Fitted(NamedTuple):
    """What a model that was trained, and its best state chosen, said of "val" and "test".

    began: when training did, by `time.perf_counter`
    seconds: of training, over all restarts
    earlier_seconds: the part of it before this process
    """

    predictions: dict[str, Predictions]
    score: float
    parameters: int
    began: float
    seconds: float
    earlier_seconds: float = 0.0
    best_epoch: int = 1
    epochs: int = 1


def fit_at_once(
    settings: dict[str, Any],
    monitor: str,
    data: TextDataModule,
    folder: RunFolder,
    logger: EpochLogger,
) -> Fitted:
    """A model that needs no epochs; it starts over where it was interrupted."""
    model = build("model", settings["model"], classes=len(data.class_names))
    began = time.perf_counter()
    model.fit(data)
    seconds = time.perf_counter() - began
    save_checkpoint(folder.best, model.state_dict(), description_of(settings, data, model.words))
    predictions = {part: _said(model, data, part) for part in PARTS}
    train = predictions.pop("train").scores()
    scores = predictions["val"].scores()
    logger.log_metrics({f"train/{name}": value for name, value in train.items()}, step=0)
    logger.log_metrics({f"val/{name}": value for name, value in scores.items()}, step=0)
    score = scores[monitor.removeprefix("val/")]
    return Fitted(predictions, score, model.parameters, began, seconds)


def description_of(
    settings: dict[str, Any], data: TextDataModule, words: Sequence[str]
) -> dict[str, Any]:
    """Of a run, for its checkpoints; see `described`."""
    cleaning, fingerprint = data.cleaning.settings(), data.data.fingerprint()
    return described(settings, words, data.class_names, cleaning, fingerprint)


def _said(model: DirectClassifier, data: TextDataModule, part: Part) -> Predictions:
    rows = np.array(data.data.parts[part])
    return Predictions(rows, data.labels[rows], model.predict(data, part), data.class_names)
