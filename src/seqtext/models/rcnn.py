"""Recurrent convolutional network: each word with its left and right context."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.layers.activations import ACTIVATIONS, Activation
from seqtext.layers.initializers import init_linear_
from seqtext.layers.pooling import build_pooling, padding_mask, prepare_pooling
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.models.pooled import PooledClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args

ContextPooling = (  # the first and last word have but one context
    Literal["max", "mean", "max_mean", "attention", "attention_per_feature"]
    | Callable[..., nn.Module]
)


class RCNN(PooledClassifier):
    """Recurrent convolutional network (Lai et al., 2015).

    "Recurrent Convolutional Neural Networks for Text Classification": a word is represented by its
    vector, the forward state of the words before it and the backward state of those after it; a
    dense layer, tanh(W x + b), and the maximum over all words follow.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        cell: kind of the recurrent layer; the paper's is rnn
        units: U, width of each context
        filters: width of the dense layer
        activation: activation of the dense layer
        variational_dropout: dropout rate of the recurrent layer's inputs, with one mask per text
        pooling: pooling of the dense layer's outputs, over all words; see `StackedClassifier`
        head: see `TextClassifier`
    """

    name = "rcnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: CellName = "lstm",
        units: PositiveInt = 100,
        filters: PositiveInt = 100,
        activation: Activation = "tanh",
        variational_dropout: DropoutRate = 0.2,
        pooling: ContextPooling = "max",
        **head: Any,
    ):
        prepared, features = prepare_pooling(pooling, filters)
        super().__init__(embedding, classes, features, **head)
        dim = get_embedding_dim(embedding)
        self.recurrence = RNNLayer(
            *(cell, dim, units, True), variational_dropout=variational_dropout, init=self.init
        )
        self.dense = init_linear_(nn.Linear(dim + 2 * units, filters), self.init)
        self.activation = activation
        self.pool = build_pooling(prepared, filters, self.init)

    def compute_states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the dense layer's outputs, ids [B, T] → [B, T, filters]."""
        vectors = self.embed(ids)  # [B, T, E]
        states = self.recurrence(vectors, lengths)  # [B, T, 2 U]
        states = states.masked_fill(padding_mask(lengths, states.shape[1])[..., None], 0)
        before, after = states.chunk(2, dim=2)
        before = F.pad(before, (0, 0, 1, 0))[:, :-1]  # of the words before each
        after = F.pad(after, (0, 0, 0, 1))[:, 1:]
        words = torch.cat([before, vectors, after], dim=2)
        return ACTIVATIONS[self.activation](self.dense(words))
