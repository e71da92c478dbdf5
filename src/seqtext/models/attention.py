"""A recurrence whose states are summed with weights that the model learns to give."""

from typing import Any

from torch import Tensor, nn

from seqtext.layers.pooling import AdditiveAttention, AttentionPer
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


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
        attention: one weight to each "word", or to each "feature" of each word; see
            `AdditiveAttention`
        head: see `TextClassifier`
    """

    name = "attention"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: CellName = "lstm",
        units: PositiveInt = 64,
        bidirectional: bool = True,
        dropout: DropoutRate = 0.0,
        recurrent_dropout: DropoutRate = 0.0,
        attention: AttentionPer = "word",
        **head: Any,
    ):
        width = units * (2 if bidirectional else 1)
        super().__init__(embedding, classes, features=width, **head)
        self.recurrence = RNNLayer(
            cell,
            embedding.embedding_dim,
            units,
            bidirectional,
            variational_dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            init=self.init,
        )
        self.attention = AdditiveAttention(width, self.init, attention)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        return self.classify(self.attention(self._states(ids, lengths), lengths))

    def attention_weights(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """See `TextClassifier.attention_weights`."""
        return self.attention.weights(self._states(ids, lengths), lengths)

    def _states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, F]"""
        return self.recurrence(self.embed(ids), lengths)
