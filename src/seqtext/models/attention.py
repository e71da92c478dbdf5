"""A recurrence whose states are summed with weights that the model learns to give."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqtext.models.classifier import TextClassifier
from seqtext.models.pooling import padding_mask
from seqtext.models.recurrence import Cell, Recurrence
from seqtext.models.starting import start_linear
from seqtext.options import Count, Rate, checked


class Attention(TextClassifier):
    """embed → recurrence → weighted sum over the words → logits.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        cell: kind of recurrence
        units: U, of each direction
        bidirectional: read from both ends; the two states are concatenated
        dropout, recurrent_dropout: of the inputs and of the previous state of the recurrence, one
            mask per text for all its words
        attention: "word" gives one weight to each word, softmax over time of v · tanh(W h + b)
            (Bahdanau et al., 2015; Yang et al., 2016); "feature" one to each feature of each
            word, softmax over time of tanh(W h + b) (study 2)
        head: see `TextClassifier`
    """

    name = "attention"

    @checked
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: Cell = "lstm",
        units: Count = 64,
        bidirectional: bool = True,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        attention: Literal["word", "feature"] = "word",
        **head: Any,
    ):
        width = units * (2 if bidirectional else 1)
        super().__init__(embedding, classes, features=width, **head)
        dropouts = dropout, recurrent_dropout
        self.recurrence = Recurrence(
            cell, embedding.embedding_dim, units, bidirectional, *dropouts, self.init
        )
        self.score = start_linear(nn.Linear(width, width), self.init)
        self.query = None
        if attention == "word":
            self.query = start_linear(nn.Linear(width, 1, bias=False), self.init)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        states = self._states(ids, lengths)
        return self.logits((states * self._weights(states, lengths)).sum(dim=1))

    def attention_weights(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """How much each word counts: [B, T], or [B, T, F] of each feature; they sum to 1 over T."""
        weights = self._weights(self._states(ids, lengths), lengths)
        return weights.squeeze(2) if self.query else weights

    def _states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, F], zeros where there is no word."""
        states = self.recurrence(self.embed(ids), lengths)
        return states.masked_fill(padding_mask(lengths, states.shape[1])[..., None], 0)

    def _weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, F] → [B, T, 1] or [B, T, F], zeros where there is no word."""
        scores = self.score(states).tanh()
        if self.query:
            scores = self.query(scores)
        mask = padding_mask(lengths, states.shape[1])
        return scores.masked_fill(mask[..., None], -torch.inf).softmax(dim=1)
