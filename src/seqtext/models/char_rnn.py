"""Recurrent network on characters, behind convolutions."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.layers.conv import ConvBlock
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import Pooling, build_pooling, prepare_pooling
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class CharRNN(TextClassifier):
    """Applies convolutions and max pooling, then a recurrent layer (Xiao and Cho, 2016).

    "Efficient Character-level Document Classification by Combining Convolution and Recurrent
    Layers": pooling shortens the sequence of characters, so that the recurrence takes fewer steps,
    each of about a syllable, and a gradient passes through fewer of them.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: number of filters of each convolution
        kernel_sizes: kernel size of each convolution, in steps
        pool_size: steps per max-pooling window; the last window of a text may be smaller
        cell: kind of the recurrent layer
        units: U, width of each direction
        bidirectional: whether to concatenate the states of a forward and a backward pass
        variational_dropout: dropout rate of the recurrent layer's inputs, with one mask per text
        pooling: pooling of the states; see `RNNClassifier`
        word_dropout, head: see `TextClassifier`

    Raises:
        UserError: if `kernel_sizes` and `filters` differ in length.
    """

    name = "char_rnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: Sequence[PositiveInt] = (128, 128),
        kernel_sizes: Sequence[PositiveInt] = (5, 3),
        pool_size: PositiveInt = 2,
        cell: CellName = "lstm",
        units: PositiveInt = 128,
        bidirectional: bool = True,
        variational_dropout: DropoutRate = 0.5,
        pooling: Pooling = "max",
        word_dropout: DropoutRate = 0.0,
        **head: Any,
    ):
        if not filters or len(filters) != len(kernel_sizes):
            raise UserError(
                f"model.filters has {len(filters)} numbers and model.kernel_sizes "
                f"{len(kernel_sizes)}: give one of each for each convolution."
            )
        width = units * (1 + bidirectional)
        prepared, features = prepare_pooling(pooling, width)
        super().__init__(embedding, classes, features, word_dropout=word_dropout, **head)
        inputs = [get_embedding_dim(embedding), *filters[:-1]]
        self.blocks = ModuleList(
            ConvBlock(*sizes, pool_size, batch_norm=False, init=self.init)
            for sizes in zip(inputs, filters, kernel_sizes, strict=True)
        )
        self.recurrence = RNNLayer(
            cell,
            filters[-1],
            units,
            bidirectional,
            variational_dropout=variational_dropout,
            init=self.init,
        )
        self.pool = build_pooling(prepared, width, self.init, 1 + bidirectional)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        states = self.embed(ids)  # [B, T, E]
        for block in self.blocks:
            states, lengths = block(states, lengths), block.pooled_lengths(lengths)
        states = self.recurrence(states, lengths)  # [B, T', U × directions]
        return self.compute_logits(self.pool(states, lengths))
