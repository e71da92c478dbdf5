"""Fit a non-neural model to the training part of a data module, and predict its parts."""

import logging
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from seqtext.data.split import Part
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError
from seqtext.metrics.definitions import is_better
from seqtext.metrics.predictions import Predictions
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts, Validation

if TYPE_CHECKING:
    from seqtext.metrics.custom import CustomMetrics


log = logging.getLogger(__name__)


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
        validation["validation"] = _build_validation(data, monitor, custom)
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


def _build_validation(
    data: TextDataModule, monitor: str, custom: "CustomMetrics | None"
) -> Validation:
    rows = np.array(data.dataset.parts["val"])

    def score(logits: Tensor) -> tuple[float, float]:
        of_part = Predictions(rows, data.labels[rows], logits, data.class_names, custom=custom)
        scores = of_part.compute_metrics()
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
