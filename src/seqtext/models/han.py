"""Hierarchical attention network: words, then segments of a text."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.layers.pooling import AdditiveAttention
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class HAN(TextClassifier):
    """Hierarchical attention network (Yang et al., 2016).

    "Hierarchical Attention Networks for Document Classification": a bidirectional recurrent layer
    and attention make one vector of the words of a sentence, a second layer and attention one
    vector of the sentences. Tokens do not tell where a sentence ends, since most cleaning removes
    punctuation: a sentence is a segment of `segment_length` tokens; the last one may be shorter.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        cell: kind of both recurrent layers
        units: U, width of each direction
        segment_length: number of tokens of a segment
        variational_dropout: dropout rate of the inputs of both layers, with one mask per segment
            or text
        head: see `TextClassifier`
    """

    name = "han"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: CellName = "gru",
        units: PositiveInt = 50,
        segment_length: PositiveInt = 25,
        variational_dropout: DropoutRate = 0.2,
        **head: Any,
    ):
        super().__init__(embedding, classes, features=2 * units, **head)
        self.segment_length = segment_length
        self.words, self.segments = (
            RNNLayer(
                *(cell, inputs, units, True),
                variational_dropout=variational_dropout,
                init=self.init,
            )
            for inputs in (get_embedding_dim(embedding), 2 * units)
        )
        self.word_attention = AdditiveAttention(2 * units, self.init)
        self.segment_attention = AdditiveAttention(2 * units, self.init)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        words, word_counts = self._read_words(ids, lengths)
        states, segment_counts = self._read_segments(words, word_counts, lengths)
        return self.compute_logits(self.segment_attention(states, segment_counts))

    def attention_weights(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the products of a word's weight and its segment's, [B, T]."""
        words, word_counts = self._read_words(ids, lengths)
        states, segment_counts = self._read_segments(words, word_counts, lengths)
        by_word = self.word_attention.weights(words, word_counts)  # [B × segments, words]
        by_segment = self.segment_attention.weights(states, segment_counts)  # [B, segments]
        weights = by_word.unflatten(0, by_segment.shape) * by_segment[..., None]
        return weights.flatten(1)[:, : ids.shape[1]]

    def _read_words(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return states [B × segments, words, 2 U] and the number of words of each segment.

        The segments behind a text's end have one word, which nothing reads.
        """
        size, steps = self.segment_length, ids.shape[1]
        count = (steps + size - 1) // size
        vectors = F.pad(self.embed(ids), (0, 0, 0, count * size - steps))
        starts = size * torch.arange(count, device=lengths.device)
        word_counts = (lengths[:, None] - starts).clamp(1, size).flatten()
        return self.words(vectors.reshape(-1, size, vectors.shape[2]), word_counts), word_counts

    def _read_segments(
        self, words: Tensor, word_counts: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return states [B, segments, 2 U] and the number of segments of each text."""
        vectors = self.word_attention(words, word_counts).unflatten(0, (lengths.shape[0], -1))
        segment_counts = (lengths + self.segment_length - 1) // self.segment_length
        return self.segments(vectors, segment_counts), segment_counts
