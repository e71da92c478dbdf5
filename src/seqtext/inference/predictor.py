"""Compute logits of texts: clean, tokenize, batch by length, restore the order."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from seqtext.data.corpus import BLOCK_ROWS, split_words
from seqtext.data.loaders import EncodedDataset, iter_batches_by_length
from seqtext.embeddings.spelling import set_unknown_tokens
from seqtext.inference.load_model import LoadedModel, find_checkpoint, load_model
from seqtext.metrics.scores import compute_probabilities, predict_classes
from seqtext.models.base import TextClassifier
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.vocabulary import OpenVocabulary

log = logging.getLogger(__name__)


class TextPredictor(ABC):
    """Computes logits of texts: one model, or several.

    class_names: names of class 0, 1, …
    threshold: for two classes, the minimum probability at which class 1 is predicted
    is_ordinal: whether the model is one of ordered classes
    drop_labels: labels whose rows were dropped in training
    metric_options: settings of the metrics that the training run added, which may be untrusted
    """

    class_names: list[str]
    threshold: float
    is_ordinal: bool = False
    drop_labels: Sequence[str]
    metric_options: Mapping[str, Any]

    @property
    @abstractmethod
    def text_columns(self) -> Sequence[str]:
        """Return the text columns of the training data."""

    @abstractmethod
    def predict_logits(self, texts: pa.Array) -> Tensor:
        """Return logits of [N] strings, null as empty text: [N] for two classes, else [N, C]."""

    @abstractmethod
    def warn_of_unknown_texts(self) -> None:
        """Log a warning if some of the texts so far have no known word."""

    def probabilities(self, logits: Tensor) -> np.ndarray:
        """Return float64 probabilities [N, C] of logits [N] or [N, C]."""
        return compute_probabilities(logits).numpy()

    def predict_classes(self, logits: Tensor) -> np.ndarray:
        """Return class numbers [N] of logits [N] or [N, C], at the threshold."""
        probabilities = compute_probabilities(logits)
        return predict_classes(probabilities, self.threshold, self.is_ordinal).numpy()


class Predictor(TextPredictor):
    """Apply a trained model to texts.

    An empty text is encoded as one unknown word.

    Args:
        loaded_model: see `load_model`
    """

    def __init__(self, loaded_model: LoadedModel):
        self.loaded_model = loaded_model
        self.class_names, self.threshold = loaded_model.class_names, loaded_model.threshold
        self.is_ordinal = loaded_model.model.is_ordinal
        self.drop_labels = loaded_model.input_spec.drop_labels
        metrics = loaded_model.config.get("metrics")
        self.metric_options = metrics if isinstance(metrics, Mapping) else {}
        self.texts = self.unknown = 0  # texts so far, and those without known words
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.outputs = () if len(self.class_names) == 2 else (len(self.class_names),)
        self._process_block: Callable[[LoadedModel, pa.Array], tuple[Any, int]] = _predict_block
        if not isinstance(loaded_model.model, NonNeuralClassifier):
            loaded_model.model.to(self.device)
            self._process_block = _encode_block

    @classmethod
    def from_run(cls, run: str | Path) -> "Predictor":
        """Load from a run folder, a sweep's (its best run, by validation score) or a checkpoint.

        Raises:
            UserError: if there is no model, or it cannot be loaded.
        """
        return cls(load_model(find_checkpoint(run)))

    @property
    def text_columns(self) -> Sequence[str]:
        """Return the text columns of the training data."""
        return self.loaded_model.input_spec.columns

    def predict_logits(self, texts: pa.Array) -> Tensor:
        """Return logits, see `TextPredictor`."""
        texts = texts.fill_null("")
        vocabulary = self.loaded_model.tokenizer.vocabulary
        if isinstance(vocabulary, OpenVocabulary):
            vocabulary.forget_unknown_tokens()
        chunks = [texts.slice(i, BLOCK_ROWS) for i in range(0, len(texts), BLOCK_ROWS)]
        if not chunks:
            return torch.zeros(0, *self.outputs)
        if len(chunks) == 1:
            results = [self._process_block(self.loaded_model, chunks[0])]
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                results = list(pool.map(partial(self._process_block, self.loaded_model), chunks))
        parts, unknown = zip(*results, strict=True)
        self.texts += len(texts)
        self.unknown += sum(unknown)
        if isinstance(self.loaded_model.model, NonNeuralClassifier):
            logits = torch.cat(parts)
        else:
            ids, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
            logits = self._predict_encoded(ids, lengths)
        return logits / self.loaded_model.temperature

    def warn_of_unknown_texts(self, name: str = "the model") -> None:
        """Log a warning if some of the texts so far have no word that the model knows.

        Args:
            name: words for the model in the warning
        """
        if self.unknown:
            log.warning(
                "%s of %s texts (%.1f %%) have no word that %s knows: their class means little.",
                f"{self.unknown:,}",
                f"{self.texts:,}",
                100 * self.unknown / self.texts,
                name,
            )

    @torch.inference_mode()
    def _predict_encoded(self, ids: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Compute logits of ids [sum of lengths], lengths [N], as `predict_logits`."""
        model = cast(TextClassifier, self.loaded_model.model)
        set_unknown_tokens(model, self.loaded_model.tokenizer.vocabulary)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        texts = EncodedDataset(ids, offsets, labels=np.zeros(len(lengths), np.int64))
        logits = torch.empty(len(lengths), *self.outputs)
        for positions in iter_batches_by_length(lengths):
            batch = texts.batch(positions)
            padded, of_each = batch.ids.to(self.device), batch.lengths.to(self.device)
            logits[batch.rows] = model(padded, of_each).float().cpu()
        return logits


def _encode_block(
    loaded_model: LoadedModel, texts: pa.Array
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Return ids [sum of lengths], lengths [N], and the number of texts without known words."""
    tokenizer = loaded_model.tokenizer
    ids, lengths = tokenizer.encode(loaded_model.cleaning(texts))
    return (ids, lengths), _count_unknown(ids, lengths, len(tokenizer.vocabulary))


def _predict_block(loaded_model: LoadedModel, texts: pa.Array) -> tuple[Tensor, int]:
    """Return the logits, and the number of texts without known words."""
    lengths, words = split_words(loaded_model.cleaning(texts))
    codes = words.indices.to_numpy()
    model = cast(NonNeuralClassifier, loaded_model.model)
    read = TokenizedTexts(lengths, codes, words.dictionary).split_words(loaded_model.tokenizer)
    known = np.unique(read.get_text_numbers()[model.find_known(read)])
    return model.predict_logits(read), len(texts) - len(known)


def _count_unknown(ids: np.ndarray, lengths: np.ndarray, vocab_size: int) -> int:
    """Count the texts, each with at least one id, that have only unknown words."""
    is_known = (ids != UNKNOWN) & (ids < vocab_size)
    return int((~np.logical_or.reduceat(is_known, np.cumsum(lengths) - lengths)).sum())
