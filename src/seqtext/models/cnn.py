"""Convolutional network of several blocks over token vectors."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from seqtext.errors import UserError
from seqtext.layers.conv import ConvBlock
from seqtext.layers.module_list import ModuleList
from seqtext.layers.rnn import variational_dropout
from seqtext.models.base import TextClassifier, get_embedding_dim
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class CNN(TextClassifier):
    """Blocks of convolution, ReLU, batch norm and max-pooling; the maximum over time.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: of each block
        widths: words that a filter of each block reads
        pool: neighbours of which each block keeps the largest, the last one of a whole text; a rest
            at the end is a group too
        batch_norm: normalise after each convolution, by the words of the batch
        variational_dropout: on the inputs of each block, one mask per text for all its words
        head: see `TextClassifier`

    Raises:
        UserError: if there are not as many widths as filters.
    """

    name = "cnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: Sequence[PositiveInt] = (64, 128, 256),
        widths: Sequence[PositiveInt] = (5, 5, 3),
        pool: PositiveInt = 2,
        batch_norm: bool = True,
        variational_dropout: DropoutRate = 0.0,
        **head: Any,
    ):
        if not filters or len(filters) != len(widths):
            raise UserError(
                f"model.filters has {len(filters)} numbers and model.widths {len(widths)}: give "
                f"one of each for each block."
            )
        super().__init__(embedding, classes, features=filters[-1], **head)
        inputs = [get_embedding_dim(embedding), *filters]
        pools = [pool] * (len(filters) - 1) + [None]
        self.blocks = ModuleList(
            ConvBlock(*sizes, batch_norm, self.init)
            for sizes in zip(inputs[:-1], filters, widths, pools, strict=True)
        )
        self.variational_dropout = variational_dropout

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        states = self.embed(ids)  # [B, T, E]
        for block in self.blocks:
            states = variational_dropout(states, self.variational_dropout, self.training)
            states, lengths = block(states, lengths), block.pooled_lengths(lengths)
        return self.compute_logits(states.squeeze(1))
