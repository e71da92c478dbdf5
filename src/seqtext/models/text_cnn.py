"""Parallel convolutions of several kernel sizes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.layers.conv import ConvBlock
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import Pooling, build_pooling, prepare_pooling
from seqtext.layers.rnn import variational_dropout
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class TextCNN(TextClassifier):
    """Parallel convolutions of several kernel sizes, max-pooled over time (Kim, 2014).

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: number of filters of each kernel size
        kernel_sizes: kernel sizes, in tokens
        variational_dropout: dropout rate of the word vectors, with one mask per text
        pooling: pooling of the filters' outputs; see `RNNClassifier`
        head: see `TextClassifier`

    Raises:
        UserError: if `kernel_sizes` is empty.
    """

    name = "text_cnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: PositiveInt = 100,
        kernel_sizes: Sequence[PositiveInt] = (3, 4, 5),
        variational_dropout: DropoutRate = 0.2,
        pooling: Pooling = "max",
        **head: Any,
    ):
        if not kernel_sizes:
            raise UserError("model.kernel_sizes is empty: give at least one size, as in [3,4,5].")
        states = filters * len(kernel_sizes)
        prepared, features = prepare_pooling(pooling, states)
        super().__init__(embedding, classes, features, **head)
        has_kernel = pooling == "max"  # the kernel of a convolution computes this maximum
        pool_size = None if has_kernel else 1
        dim = get_embedding_dim(embedding)
        self.blocks = ModuleList(
            ConvBlock(dim, filters, size, pool_size, False, self.init) for size in kernel_sizes
        )
        self.variational_dropout = variational_dropout
        self.pool = None if has_kernel else build_pooling(prepared, states, self.init)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        vectors = variational_dropout(
            self.embed(ids), self.variational_dropout, self.training
        )  # [B, T, E]
        states = torch.cat([block(vectors, lengths) for block in self.blocks], dim=2)
        return self.compute_logits(self.pool(states, lengths) if self.pool else states.squeeze(1))
