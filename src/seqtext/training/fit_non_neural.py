"""Fit a non-neural model to the training part of a data module, and predict its parts."""

import numpy as np
from torch import Tensor

from seqtext.data.split import Part
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts


def fit_model(model: NonNeuralClassifier, data: TextDataModule) -> None:
    """Fit the vocabulary to all training rows, and the weights to the resampled rows.

    Raises:
        UserError: if ``sampling`` is "balanced_batches", or the model cannot be fitted.
    """
    if data.sampling == "balanced_batches":
        raise UserError(
            f"sampling=balanced_batches is not possible with model={model.name}, which has no "
            f"batches: choose sampling=class_weights."
        )
    train = data.dataset.parts["train"]  # sorted
    model.fit(
        read_texts(data, "train"),
        data.labels[train],
        data.class_weights(),
        np.searchsorted(train, data.training_rows),
    )


def predict_logits(model: NonNeuralClassifier, data: TextDataModule, part: Part) -> Tensor:
    """Return the logits of a part's rows, [N] for two classes, [N, C] for more."""
    return model.predict_logits(read_texts(data, part))


def read_texts(data: TextDataModule, part: Part) -> TokenizedTexts:
    """Return the untruncated texts of a part, in the order of its rows."""
    lengths, codes = zip(*data.corpus.iter_rows(data.dataset.parts[part]), strict=True)
    return TokenizedTexts(np.concatenate(lengths), np.concatenate(codes), data.corpus.dictionary)
