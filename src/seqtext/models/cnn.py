"""Convolutional network of several blocks."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.layers.conv import ConvBlock
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import Pooling, build_pooling, prepare_pooling
from seqtext.layers.rnn import variational_dropout
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class CNN(TextClassifier):
    """Applies blocks of convolution, ReLU, batch norm and max pooling, then pools over time.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: number of filters of each block
        kernel_sizes: kernel size of each block, in tokens
        pool_size: steps per max-pooling window; the last window of a text may be smaller, and the
            last block pools the whole text
        batch_norm: whether to normalize after each convolution, over the tokens of the batch
        variational_dropout: dropout rate of the inputs of each block, with one mask per text
        pooling: pooling of the last block's states; see `RNNClassifier`
        head: see `TextClassifier`

    Raises:
        UserError: if `kernel_sizes` and `filters` differ in length.
    """

    name = "cnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: Sequence[PositiveInt] = (64, 128, 256),
        kernel_sizes: Sequence[PositiveInt] = (5, 5, 3),
        pool_size: PositiveInt = 2,
        batch_norm: bool = True,
        variational_dropout: DropoutRate = 0.0,
        pooling: Pooling = "max",
        **head: Any,
    ):
        if not filters or len(filters) != len(kernel_sizes):
            raise UserError(
                f"model.filters has {len(filters)} numbers and model.kernel_sizes "
                f"{len(kernel_sizes)}: give one of each for each block."
            )
        prepared, features = prepare_pooling(pooling, filters[-1])
        super().__init__(embedding, classes, features, **head)
        inputs = [get_embedding_dim(embedding), *filters]
        has_kernel = pooling == "max"  # the kernel of a convolution computes this maximum
        pools = [pool_size] * (len(filters) - 1) + [None if has_kernel else 1]
        self.blocks = ModuleList(
            ConvBlock(*sizes, batch_norm, self.init)
            for sizes in zip(inputs[:-1], filters, kernel_sizes, pools, strict=True)
        )
        self.variational_dropout = variational_dropout
        self.pool = None if has_kernel else build_pooling(prepared, filters[-1], self.init)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        states = self.embed(ids)  # [B, T, E]
        for block in self.blocks:
            states = variational_dropout(states, self.variational_dropout, self.training)
            states, lengths = block(states, lengths), block.pooled_lengths(lengths)
        return self.compute_logits(self.pool(states, lengths) if self.pool else states.squeeze(1))
