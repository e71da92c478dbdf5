"""Convolutions over word vectors; texts end where their words end, whatever padding follows.

Convolutions keep a text's length and read zeros beyond its ends (Keras' padding="same"), batch
norm and pooling look at words only.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.models.classifier import TextClassifier
from seqtext.models.head import BatchNorm
from seqtext.models.pooling import max_over_time, maximum, padding_mask
from seqtext.models.recurrent import variational_dropout
from seqtext.models.starting import Init, start_layer
from seqtext.options import Count, Rate, UserError, checked


class CNN(TextClassifier):
    """Study 2: blocks of convolution, ReLU, batch norm and max-pooling; the maximum over time.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: of each block
        widths: words that a filter of each block reads
        pool: neighbours of which each block keeps the largest; a rest at the end is a group too
        batch_norm: normalise after each convolution, by the words of the batch
        dropout: on the inputs of each block, one mask per text for all its words
        head: see `TextClassifier`

    Raises:
        UserError: if there are not as many widths as filters.
    """

    name = "cnn"

    @checked
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: list[Count] = (64, 128, 256),
        widths: list[Count] = (5, 5, 3),
        pool: Count = 2,
        batch_norm: bool = True,
        dropout: Rate = 0.0,
        **head: Any,
    ):
        if not filters or len(filters) != len(widths):
            raise UserError(
                f"model.filters has {len(filters)} numbers and model.widths {len(widths)}: give "
                f"one of each for each block."
            )
        super().__init__(embedding, classes, features=filters[-1], **head)
        inputs = [embedding.embedding_dim, *filters]
        self.convolutions = nn.ModuleList(
            convolution(*sizes, self.init) for sizes in zip(inputs, filters, widths, strict=False)
        )
        self.norms = nn.ModuleList(map(BatchNorm, filters if batch_norm else []))
        self.pool, self.dropout = pool, dropout

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        states = self.embed(ids)  # [B, T, E]
        for block, layer in enumerate(self.convolutions):
            states = variational_dropout(states, self.dropout, self.training)
            states = convolved(layer, states, lengths).relu()
            if len(self.norms):
                states = self.norms[block].of_words(states, lengths)
            states, lengths = max_pooled(states, lengths, self.pool)
        return self.logits(max_over_time(states, lengths))


class KimCNN(TextClassifier):
    """Filters of several widths side by side, each with its maximum over time (Kim, 2014).

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: of each width
        widths: words that the filters read
        dropout: on the word vectors, one mask per text for all its words
        head: see `TextClassifier`

    Raises:
        UserError: if there is no width.
    """

    name = "kim_cnn"

    @checked
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: Count = 100,
        widths: list[Count] = (3, 4, 5),
        dropout: Rate = 0.0,
        **head: Any,
    ):
        if not widths:
            raise UserError("model.widths is empty: give at least one width, as in [3,4,5].")
        super().__init__(embedding, classes, features=filters * len(widths), **head)
        dim = embedding.embedding_dim
        self.convolutions = nn.ModuleList(
            convolution(dim, filters, width, self.init) for width in widths
        )
        self.dropout = dropout

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        vectors = variational_dropout(self.embed(ids), self.dropout, self.training)  # [B, T, E]
        features = [
            max_over_time(convolved(layer, vectors, lengths).relu(), lengths)
            for layer in self.convolutions
        ]
        return self.logits(torch.cat(features, dim=1))


class Convolution(nn.Conv1d):
    """Over time: [B, T, D] → [B, T - width + 1, filters]."""

    def forward(self, states: Tensor) -> Tensor:
        # As pictures of one line, whose channels stand together in memory: so no layout changes.
        weight = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        pictures = F.conv2d(states.transpose(1, 2).unsqueeze(2), weight, self.bias)
        return pictures.squeeze(2).transpose(1, 2)


def convolution(inputs: int, filters: int, width: int, init: Init) -> Convolution:
    """With its starting values."""
    return start_layer(Convolution(inputs, filters, width), init)


def convolved(layer: Convolution, states: Tensor, lengths: Tensor) -> Tensor:
    """[B, T, D] → [B, T, filters]; beyond a text's end the filters read zeros."""
    mask = padding_mask(lengths, states.shape[1])
    around = layer.kernel_size[0] - 1
    states = states.masked_fill(mask[..., None], 0)
    return layer(F.pad(states, (0, 0, around // 2, around - around // 2)))


def max_pooled(states: Tensor, lengths: Tensor, pool: int) -> tuple[Tensor, Tensor]:
    """[B, T, D] and [B] → [B, ⌈T / pool⌉, D] and [B]; groups at a text's end may be smaller."""
    mask = padding_mask(lengths, states.shape[1])
    states = states.masked_fill(mask[..., None], -torch.inf)
    groups = (states.shape[1] + pool - 1) // pool
    states = F.pad(states, (0, 0, 0, pool - 1), value=-torch.inf)[:, : groups * pool]
    largest = maximum(states.unflatten(1, (groups, pool)), 2)
    return largest, (lengths + pool - 1) // pool
