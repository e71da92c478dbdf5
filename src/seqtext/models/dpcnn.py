"""Deep pyramid convolutional network."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.layers.conv import ConvBlock
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import Pooling, build_pooling, padding_mask, prepare_pooling
from seqtext.layers.rnn import variational_dropout as drop_features
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, NonNegativeInt, PositiveInt, validate_args


class DPCNN(TextClassifier):
    """Deep pyramid convolutional network (Johnson and Zhang, 2017).

    "Deep Pyramid Convolutional Neural Networks for Text Categorization": a convolution computes
    vectors of regions of words; blocks of two convolutions with ReLU before each (pre-activation)
    are added to their inputs. Before each block but the first, the maximum of 3 steps, every 2
    steps, halves the text, so that a block costs half as much as the one before. The number of
    filters is the same everywhere. A text of one step is not shortened further.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: number of filters of each convolution
        region_size: number of words that the first convolution reads
        blocks: number of blocks that halve the text
        variational_dropout: dropout rate of the word vectors, with one mask per text
        pooling: pooling of the last block's steps; see `StackedClassifier`
        head: see `TextClassifier`
    """

    name = "dpcnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: PositiveInt = 128,
        region_size: PositiveInt = 3,
        blocks: NonNegativeInt = 5,
        variational_dropout: DropoutRate = 0.0,
        pooling: Pooling = "max",
        **head: Any,
    ):
        prepared, features = prepare_pooling(pooling, filters)
        super().__init__(embedding, classes, features, **head)
        dim = get_embedding_dim(embedding)
        self.variational_dropout = variational_dropout
        self.regions = self._build_convolution(dim, filters, region_size)
        self.blocks = ModuleList(
            ModuleList(self._build_convolution(filters, filters, 3) for _ in range(2))
            for _ in range(1 + blocks)
        )
        self.pool = build_pooling(prepared, filters, self.init)

    def _build_convolution(self, inputs: int, filters: int, size: int) -> ConvBlock:
        return ConvBlock(inputs, filters, size, 1, batch_norm=False, init=self.init, relu=False)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        vectors = drop_features(self.embed(ids), self.variational_dropout, self.training)
        states = self.regions(vectors, lengths)  # [B, T, F]
        for number, block in enumerate(self.blocks):
            if number:
                states, lengths = halve(states, lengths), (lengths + 1) // 2
            hidden = states
            for convolution in block:
                hidden = convolution(hidden.relu(), lengths)
            states = states + hidden
        return self.compute_logits(self.pool(states, lengths))


def halve(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the maxima of steps 2 t, 2 t + 1 and 2 t + 2: [B, T, D] → [B, ⌈T / 2⌉, D].

    Windows end at the end of a text.
    """
    steps = (states.shape[1] + 1) // 2
    is_padding = padding_mask(lengths, states.shape[1])[..., None]
    states = F.pad(states.masked_fill(is_padding, -torch.inf), (0, 0, 0, 2), value=-torch.inf)
    first, second, third = (states[:, k : k + 2 * steps - 1 : 2] for k in range(3))
    largest = first.maximum(second).maximum(third)
    return largest.masked_fill(padding_mask((lengths + 1) // 2, steps)[..., None], 0)
