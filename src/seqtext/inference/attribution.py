"""Word attributions: attention weights, or each word's contribution to the logit.

Integrated gradients (Sundararajan et al., 2017, "Axiomatic attribution for deep networks")
interpolate from the unknown-token baseline, a text of as many unknown words, to the text. The
integral of the gradients is the difference of the two logits. For a linear model the contributions
are exact.
"""

import re
from collections.abc import Iterator
from functools import partial
from operator import methodcaller
from types import ModuleType
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from seqtext.data.cleaning_origins import find_origins
from seqtext.data.corpus import BLOCK_ROWS, split_words
from seqtext.data.loaders import Batch, EncodedDataset, iter_batches_by_length
from seqtext.embeddings.spelling import set_unknown_tokens
from seqtext.errors import UserError
from seqtext.inference.load_model import LoadedModel
from seqtext.inference.predictor import Predictor
from seqtext.models.base import TextClassifier
from seqtext.models.non_neural import NonNeuralClassifier, TokenizedTexts
from seqtext.token_ids import UNKNOWN

ATTENTION, GRADIENTS, LINEAR = "attention", "integrated gradients", "linear"
MAX_BATCH_TEXTS = 32  # texts in a batch
MAX_BATCH_TOKENS = 1 << 14  # tokens, including padding, with gradients in memory at once
STEPS = (32, 128, 512)  # interpolation steps, increased only for texts with a larger error
# error of the sum relative to the logits' difference, or absolute if that is below 1
TOLERANCE = 0.01


class Explanation(NamedTuple):
    """Hold the attributions of a text's words.

    words: [W] words, subwords or characters that the model reads, after cleaning and truncation
    weights: [W] contributions to the class's logit (log-odds for two classes), whose sum is its
        difference from the logit of as many unknown words; or attention weights, whose sum is 1
    class_name: predicted class
    probability: probability of this class
    method: "attention", "integrated gradients", or "linear" (exact)
    known: [W] whether the word is in the vocabulary
    text: the text before cleaning
    spans: [W, 2] first character and last + 1 of each word in `text`
    """

    words: list[str]
    weights: np.ndarray
    class_name: str
    probability: float
    method: str
    known: np.ndarray
    text: str
    spans: np.ndarray


class ReadText(NamedTuple):
    """Hold what a model reads of a text.

    words, spans, text: see `Explanation`
    known: [W] whether each word is in the vocabulary
    """

    words: list[str]
    spans: np.ndarray
    text: str
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
    if isinstance(loaded_model.model, NonNeuralClassifier):
        method, read, weights = _explain_linear(loaded_model, texts, classes)
    else:
        method, read, weights = _explain_network(predictor, texts, classes)
    if method != ATTENTION:
        weights = [each / loaded_model.temperature for each in weights]
    return [
        Explanation(
            words=read[n].words,
            weights=weights[n],
            class_name=predictor.class_names[number],
            probability=float(shares[n, number]),
            method=method,
            known=read[n].known,
            text=read[n].text,
            spans=read[n].spans,
        )
        for n, number in enumerate(classes)
    ]


def _explain_linear(
    loaded_model: LoadedModel, texts: pa.Array, classes: np.ndarray
) -> tuple[str, list[ReadText], list[np.ndarray]]:
    """Return the method, and words and weights [W] of each text for its class in `classes` [N]."""
    model = loaded_model.model
    assert isinstance(model, NonNeuralClassifier)
    lengths, words = split_words(loaded_model.cleaning(texts))
    tokenized = TokenizedTexts(lengths, words.indices.to_numpy(), words.dictionary)
    tokenized = tokenized.split_words(loaded_model.tokenizer)
    outputs = torch.from_numpy(model.word_attributions(tokenized))  # [sum of lengths, 1 or C]
    targets = torch.from_numpy(np.repeat(classes, lengths))
    weights = tokenized.split(select_target_logit(outputs, targets).numpy())
    known = tokenized.split(model.find_known(tokenized))
    read = []
    for text, known_words in zip(texts.to_pylist(), known, strict=True):
        cleaned, origins = find_origins(loaded_model.cleaning, text)
        spans = np.array([word.span() for word in re.finditer(r"\S+", cleaned)]).reshape(-1, 2)
        read.append(_read_spans(text, cleaned, origins, spans, known_words))
    return LINEAR, read, weights


def _explain_network(
    predictor: Predictor, texts: pa.Array, classes: np.ndarray
) -> tuple[str, list[ReadText], list[np.ndarray]]:
    """Return the method, and words and weights [W] of each text for its class in `classes` [N]."""
    loaded_model, model = predictor.loaded_model, predictor.loaded_model.model
    tokenizer = loaded_model.tokenizer
    ids, lengths = tokenizer.encode(loaded_model.cleaning(texts))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    set_unknown_tokens(cast(TextClassifier, model), tokenizer.vocabulary)
    encoded = EncodedDataset(ids, offsets, labels=classes)
    to_device = methodcaller("to", predictor.device)
    method, weights = "", [np.zeros(0)] * len(lengths)
    for positions in iter_batches_by_length(lengths, MAX_BATCH_TEXTS, MAX_BATCH_TOKENS):
        batch = Batch(*map(to_device, encoded.batch(positions)[:4]))
        method, of_batch = _attribute_batch(cast(TextClassifier, model), batch)
        for position, row in zip(positions, of_batch.double().cpu().numpy(), strict=True):
            weights[position] = row[: lengths[position]]
    read = []
    for n, text in enumerate(texts.to_pylist()):
        tokens = ids[offsets[n] : offsets[n + 1]]
        of_text, weights[n] = _read_tokens(loaded_model, text, tokens, weights[n])
        read.append(of_text)
    return method, read, weights


def _read_tokens(
    loaded_model: LoadedModel, text: str, ids: np.ndarray, weights: np.ndarray
) -> tuple[ReadText, np.ndarray]:
    """Return what the tokens of a text are in it, and their weights [W]."""
    tokenizer = loaded_model.tokenizer
    known = (ids != UNKNOWN) & (ids < len(tokenizer.vocabulary))
    cleaned, origins = find_origins(loaded_model.cleaning, text)
    spans = tokenizer.find_spans(cleaned)
    if spans is None or len(spans) not in (0, len(ids)):  # a tokenizer that does not know
        words = tokenizer.decode(ids)
        stops = np.cumsum([len(word) + 1 for word in words]) - 1
        spans = np.stack([stops - [len(word) for word in words], stops], axis=1)
        return ReadText(words, spans, " ".join(words), known), weights
    if not len(spans):
        return _read_spans(text, cleaned, origins, spans, known[:0]), weights[:0]
    # Tokens of the same characters are one word: the bytes of an emoji, or "▁" and what follows it.
    first = _find_first(spans)
    starts = np.minimum.reduceat(spans[:, 0], first)
    spans = np.stack([starts, np.maximum.reduceat(spans[:, 1], first)], axis=1)
    known, weights = np.logical_and.reduceat(known, first), np.add.reduceat(weights, first)
    return _read_spans(text, cleaned, origins, spans, known), weights


def _find_first(spans: np.ndarray) -> np.ndarray:
    """Return the first token of each group of tokens whose spans [tokens, 2] overlap."""
    before, after = spans[:-1], spans[1:]
    is_apart = after[:, 0] >= np.maximum.accumulate(before[:, 1])
    return np.flatnonzero(np.r_[True, is_apart & (after != before).any(axis=1)])


def _read_spans(
    text: str, cleaned: str, origins: np.ndarray, spans: np.ndarray, known: np.ndarray
) -> ReadText:
    """Return the words at `spans` [W, 2] of a cleaned text, and their places in the text."""
    words = [cleaned[start:stop] for start, stop in spans]
    in_text = np.array(
        [
            (origins[start:stop, 0].min(), origins[start:stop, 1].max()) if stop > start else (0, 0)
            for start, stop in spans
        ]
    )
    return ReadText(words, in_text.reshape(-1, 2), text, known)


def iter_segments(explanation: Explanation) -> Iterator[tuple[str, int | None]]:
    """Yield the parts of the text, each with the position of its word, or None beside words."""
    position = 0
    for number, (start, stop) in enumerate(explanation.spans.tolist()):
        if start > position:
            yield explanation.text[position:start], None
        if stop > max(position, start):
            yield explanation.text[max(position, start) : stop], number
        position = max(position, stop)
    if position < len(explanation.text):
        yield explanation.text[position:], None


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
