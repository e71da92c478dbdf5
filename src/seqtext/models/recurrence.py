"""One recurrent layer over padded texts, as a part of other models."""

from typing import Literal

import torch
from torch import Tensor, nn

from seqtext.models.pooling import at_position
from seqtext.models.recurrent import GRU, LSTM, SimpleRNN, reversal, take

Cell = Literal["rnn", "lstm", "gru"]
CELLS = {kind.name: kind for kind in (SimpleRNN, LSTM, GRU)}


class Recurrence(nn.Module):
    """A layer in one or both directions, started and counted as in Keras (see `recurrent`).

    Args:
        cell: kind of recurrence
        inputs: D
        units: U, of each direction
        bidirectional: read from both ends; the two states are concatenated
    """

    def __init__(self, cell: Cell, inputs: int, units: int, bidirectional: bool = False):
        super().__init__()
        self.kind = CELLS[cell]
        count = 2 if bidirectional else 1
        self.directions = nn.ModuleList(self._direction(inputs, units) for _ in range(count))

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, T, U × directions]; what stands behind a text's end means nothing."""
        outputs = [self.directions[0](states)[0]]
        if len(self.directions) == 2:
            order = reversal(lengths, states.shape[1])
            outputs.append(take(self.directions[1](take(states, order))[0], order))
        return torch.cat(outputs, dim=2)

    def last(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, U], after each text's last word; for one direction."""
        return at_position(self(states, lengths), lengths - 1)

    def _direction(self, inputs: int, units: int) -> nn.RNNBase:
        layer = self.kind.cell(inputs, units, batch_first=True)
        nn.init.xavier_uniform_(layer.weight_ih_l0)
        nn.init.orthogonal_(layer.weight_hh_l0)
        nn.init.zeros_(layer.bias_ih_l0)
        nn.init.zeros_(layer.bias_hh_l0)
        if self.kind is LSTM:
            nn.init.ones_(layer.bias_ih_l0[units : 2 * units])  # of the forget gate
        layer.bias_hh_l0.requires_grad_(not self.kind.one_bias)
        return layer
