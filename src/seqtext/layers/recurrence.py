"""One recurrent layer over padded texts, as a part of other models."""

from typing import Literal

from torch import Tensor

from seqtext.layers.initializers import Init, start_recurrence
from seqtext.layers.pooling import at_position
from seqtext.models.rnn import GRU, LSTM, RecurrentLayer, SimpleRNN

Cell = Literal["rnn", "lstm", "gru"]
CELLS = {kind.name: kind for kind in (SimpleRNN, LSTM, GRU)}


class Recurrence(RecurrentLayer):
    """A layer of one kind, in one or both directions.

    Args:
        cell: kind of recurrence
        inputs: D
        units: U, of each direction
        bidirectional: read from both ends; the two states are concatenated
        dropout, recurrent_dropout: see `RecurrentLayer`
        init: starting values
    """

    def __init__(
        self,
        cell: Cell,
        inputs: int,
        units: int,
        bidirectional: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        init: Init = "keras",
    ):
        kind = CELLS[cell]
        cells = [kind.cell(inputs, units, batch_first=True) for _ in range(1 + bidirectional)]
        cells = [start_recurrence(one, init, kind.one_bias) for one in cells]
        super().__init__(cells, dropout, recurrent_dropout)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, T, U × directions]; what stands behind a text's end means nothing."""
        return super().forward(states, lengths, "tanh", "sigmoid")

    def last(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, U], after each text's last word; for one direction."""
        return at_position(self(states, lengths), lengths - 1)
