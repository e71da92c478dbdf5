"""Word attributions: attention weights, or each word's contribution to the logit.

Integrated gradients (Sundararajan et al., 2017, "Axiomatic attribution for deep networks")
interpolate from the unknown-token baseline, a text of as many unknown words, to the text. The
integral of the gradients is the difference of the two logits. For a linear model the contributions
are exact.
"""

from functools import partial
from operator import methodcaller
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from seqtext.data.corpus import BLOCK_ROWS, split_words
from seqtext.data.loaders import Batch, EncodedDataset, iter_batches_by_length
from seqtext.errors import UserError
from seqtext.inference.load_model import LoadedModel
from seqtext.inference.predictor import Predictor
from seqtext.models.base import TextClassifier
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.base import truncate

ATTENTION, GRADIENTS, LINEAR = "attention", "integrated gradients", "linear"
MAX_BATCH_TEXTS = 32  # texts in a batch
MAX_BATCH_TOKENS = 1 << 14  # tokens, including padding, with gradients in memory at once
STEPS = (32, 128, 512)  # interpolation steps, increased only for texts with a larger error
# error of the sum relative to the logits' difference, or absolute if that is below 1
TOLERANCE = 0.01


class Explanation(NamedTuple):
    """Hold the attributions of a text's words.

    words: [W] words after cleaning and truncation
    weights: [W] contributions to the class's logit (log-odds for two classes), whose sum is its
        difference from the logit of as many unknown words; or attention weights, whose sum is 1
    class_name: predicted class
    probability: probability of this class
    method: "attention", "integrated gradients", or "linear" (exact)
    known: [W] whether the word is in the vocabulary
    """

    words: list[str]
    weights: np.ndarray
    class_name: str
    probability: float
    method: str
    known: np.ndarray


def explain(predictor: Predictor, texts: pa.Array) -> list[Explanation]:
    """Return [N] explanations of [N] strings; null is an empty text, which has no words.

    Raises:
        UserError: if captum is needed but not installed.
    """
    texts = texts.fill_null("")
    starts = range(0, len(texts), BLOCK_ROWS)
    blocks = [_explain_block(predictor, texts.slice(start, BLOCK_ROWS)) for start in starts]
    return [explanation for block in blocks for explanation in block]


def _explain_block(predictor: Predictor, texts: pa.Array) -> list[Explanation]:
    loaded_model, logits = predictor.loaded_model, predictor.predict_logits(texts)
    shares, classes = predictor.probabilities(logits), predictor.predict_classes(logits)
    read = _tokenize_texts(loaded_model, texts)
    method, weights = _compute_weights(predictor, read, classes)
    words = read.split(read.dictionary.take(pa.array(read.codes)).to_numpy(zero_copy_only=False))
    known = read.split(
        (loaded_model.tokenizer.vocabulary.encode(read.dictionary) > UNKNOWN)[read.codes]
    )
    return [
        Explanation(
            words=words[n].tolist(),
            weights=weights[n],
            class_name=predictor.class_names[number],
            probability=float(shares[n, number]),
            method=method,
            known=known[n],
        )
        for n, number in enumerate(classes)
    ]


def _tokenize_texts(loaded_model: LoadedModel, texts: pa.Array) -> TokenizedTexts:
    lengths, words = split_words(loaded_model.cleaning(texts))
    codes = words.indices.to_numpy()
    if not isinstance(loaded_model.model, NonNeuralClassifier):  # which reads untruncated texts
        is_filled = lengths > 0
        tokenizer = loaded_model.tokenizer
        codes, kept = truncate(codes, lengths, tokenizer.max_length, tokenizer.truncation_side)
        codes, lengths = codes[np.repeat(is_filled, kept)], np.where(is_filled, kept, 0)
    return TokenizedTexts(lengths, codes, words.dictionary)


def _compute_weights(
    predictor: Predictor, read: TokenizedTexts, classes: np.ndarray
) -> tuple[str, list[np.ndarray]]:
    """Return the method, and weights [W] of each text for its class in `classes` [N]."""
    model, lengths = predictor.loaded_model.model, read.lengths
    if isinstance(model, NonNeuralClassifier):
        outputs = torch.from_numpy(model.word_attributions(read))  # [sum of lengths, 1 or C]
        of_words = torch.from_numpy(np.repeat(classes, lengths))
        return LINEAR, read.split(select_target_logit(outputs, of_words).numpy())
    ids = predictor.loaded_model.tokenizer.vocabulary.encode(read.dictionary)[read.codes]
    ids, filled = truncate(ids, lengths, None)  # an empty text is one unknown word
    texts = EncodedDataset(ids, np.concatenate([[0], np.cumsum(filled)]), labels=classes)
    to_device = methodcaller("to", predictor.device)
    method, weights = "", [np.zeros(0)] * len(lengths)
    for positions in iter_batches_by_length(filled, MAX_BATCH_TEXTS, MAX_BATCH_TOKENS):
        batch = Batch(*map(to_device, texts.batch(positions)[:4]))
        method, of_batch = _attribute_batch(model, batch)
        for position, row in zip(positions, of_batch.double().cpu().numpy(), strict=True):
            weights[position] = row[: lengths[position]]
    return method, weights


def _attribute_batch(model: TextClassifier, batch: Batch) -> tuple[str, Tensor]:
    """Return the method and the weights of the words, [B, T]."""
    with torch.no_grad():
        attention = model.attention_weights(batch.ids, batch.lengths)
    if attention is None:
        return GRADIENTS, integrated_gradients(model, batch)
    return ATTENTION, attention if attention.ndim == 2 else attention.mean(dim=2)


def integrated_gradients(model: TextClassifier, batch: Batch) -> Tensor:
    """Return contributions [B, T] to the logits of the classes `labels`; 0 at padding.

    Raises:
        UserError: if captum is not installed.
    """
    method = _import_captum().IntegratedGradients(partial(_compute_scaled_logits, model))
    whole = torch.ones(batch.ids.shape, dtype=model.output.weight.dtype, device=batch.ids.device)
    weights, left = torch.zeros_like(whole), torch.arange(len(whole), device=whole.device)
    for steps in STEPS:
        present = whole[left]
        weights[left], error = method.attribute(
            present,
            torch.zeros_like(present),
            additional_forward_args=tuple(part[left] for part in batch[:3]),
            n_steps=steps,
            internal_batch_size=max(len(left), MAX_BATCH_TOKENS // whole.shape[1]),
            return_convergence_delta=True,
        )
        left = left[error.abs() > TOLERANCE * weights[left].sum(dim=1).abs().clamp(min=1)]
        if not len(left):
            break
    return weights


def _compute_scaled_logits(
    model: TextClassifier, presence: Tensor, ids: Tensor, lengths: Tensor, classes: Tensor
) -> Tensor:
    """Return the logits [B] of the classes, with each word vector scaled by `presence`."""
    # cuDNN does not compute gradients of recurrent layers in eval mode
    with model.scale_tokens(presence), torch.backends.cudnn.flags(enabled=False):
        return select_target_logit(model(ids, lengths), classes)


def select_target_logit(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the logits of `classes` [N] from [N, C]; for two classes, from [N] or [N, 1]."""
    if logits.ndim == 2 and logits.shape[1] > 1:
        return logits.gather(1, classes[:, None]).squeeze(1)
    logits = logits.flatten()
    return torch.where(classes == 1, logits, -logits)


def _import_captum() -> ModuleType:
    try:
        from captum import attr
    except ImportError as error:
        raise UserError(
            "explain=true needs captum for this model: pip install -e '.[explain]'"
        ) from error
    return attr
