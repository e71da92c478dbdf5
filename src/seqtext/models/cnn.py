"""Convolutions over word vectors; texts end where their words end, whatever padding follows.

Convolutions keep a text's length and read zeros beyond its ends (Keras' padding="same"), batch
norm and pooling look at words only.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.errors import UserError
from seqtext.layers.initializers import Init, start_layer
from seqtext.layers.normalization import BatchNorm
from seqtext.layers.ops import conv as fused_block
from seqtext.layers.ops.extension import library
from seqtext.layers.pooling import max_over_time, maximum, padding_mask
from seqtext.models.base import TextClassifier
from seqtext.models.rnn import variational_dropout
from seqtext.validation import Count, Rate, checked


class CNN(TextClassifier):
    """Study 2: blocks of convolution, ReLU, batch norm and max-pooling; the maximum over time.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: of each block
        widths: words that a filter of each block reads
        pool: neighbours of which each block keeps the largest, the last one of a whole text; a rest
            at the end is a group too
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
        pools = [pool] * (len(filters) - 1) + [None]
        self.blocks = nn.ModuleList(
            Block(*sizes, batch_norm, self.init)
            for sizes in zip(inputs[:-1], filters, widths, pools, strict=True)
        )
        self.dropout = dropout

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        states = self.embed(ids)  # [B, T, E]
        for block in self.blocks:
            states = variational_dropout(states, self.dropout, self.training)
            states, lengths = block(states, lengths), block.groups(lengths)
        return self.logits(states.squeeze(1))


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
        self.blocks = nn.ModuleList(
            Block(dim, filters, width, None, False, self.init) for width in widths
        )
        self.dropout = dropout

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        vectors = variational_dropout(self.embed(ids), self.dropout, self.training)  # [B, T, E]
        features = [block(vectors, lengths).squeeze(1) for block in self.blocks]
        return self.logits(torch.cat(features, dim=1))


class Block(nn.Module):
    """Convolution, ReLU, batch norm, and the largest of neighbours.

    Args:
        inputs: D
        filters: F
        width: words that a filter reads
        pool: neighbours of which the largest is kept; None for all words of a text
        batch_norm: whether there is one
        init: starting values
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        width: int,
        pool: int | None,
        batch_norm: bool,
        init: Init,
    ):
        super().__init__()
        self.convolution = start_layer(nn.Conv1d(inputs, filters, width), init)
        self.norm = BatchNorm(filters) if batch_norm else None
        self.pool = pool
        library()  # compiled, where it is not yet, before the clock of training runs

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D], [B] → [B, ⌈T / pool⌉, F]"""
        if fused_block.serves(self.convolution, self.norm, states):
            return fused_block.run(self.convolution, self.norm, states, lengths, self.pool)
        states = convolved(self.convolution, states, lengths).relu()
        states = self.norm.of_words(states, lengths) if self.norm else states
        if self.pool is None:
            return max_over_time(states, lengths)[:, None]
        return max_pooled(states, lengths, self.pool)

    def groups(self, lengths: Tensor) -> Tensor:
        """How many neighbourhoods texts of these lengths have: [B] → [B]."""
        if self.pool is None:
            return torch.ones_like(lengths)
        return (lengths + self.pool - 1) // self.pool


def convolved(layer: nn.Conv1d, states: Tensor, lengths: Tensor) -> Tensor:
    """[B, T, D] → [B, T, filters]; beyond a text's end the filters read zeros."""
    mask = padding_mask(lengths, states.shape[1])
    around = layer.kernel_size[0] - 1
    states = states.masked_fill(mask[..., None], 0)
    states = F.pad(states, (0, 0, around // 2, around - around // 2))
    return layer(states.transpose(1, 2)).transpose(1, 2)


def max_pooled(states: Tensor, lengths: Tensor, pool: int) -> Tensor:
    """[B, T, D], [B] → [B, ⌈T / pool⌉, D]; groups at a text's end may be smaller."""
    mask = padding_mask(lengths, states.shape[1])
    states = states.masked_fill(mask[..., None], -torch.inf)
    groups = (states.shape[1] + pool - 1) // pool
    states = F.pad(states, (0, 0, 0, pool - 1), value=-torch.inf)[:, : groups * pool]
    return maximum(states.unflatten(1, (groups, pool)), 2)
