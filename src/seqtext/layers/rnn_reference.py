"""Reference implementation of SimpleRNN, LSTM and GRU, with which tests compare the others.

It is also used for the activation softmax, whose derivative is a matrix over the units, which the
faster implementations do not support.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.activations import ACTIVATIONS, Activation


class RNNOptions(NamedTuple):
    """Options of a recurrent layer, see `layers.rnn.rnn_forward`."""

    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    input_mask: Tensor | None = None
    mask: Tensor | None = None


def rnn_forward(cell: nn.RNNBase, inputs: Tensor, options: RNNOptions) -> Tensor:
    """Compute `layers.rnn.rnn_forward` in forward direction."""
    act, gate = ACTIVATIONS[options.activation], ACTIVATIONS[options.recurrent_activation]
    step, [[w_ih, w_hh, b_ih, b_hh]] = STEP[type(cell)], cell.all_weights
    input_mask = None if options.input_mask is None else options.input_mask[:, :, None]
    gates = len(w_hh) // cell.hidden_size
    x = _by_gate(gates, inputs, w_ih, b_ih, input_mask)  # G of [B, T, U]
    state = carry = x[0].new_zeros(len(inputs), cell.hidden_size)
    states = []
    for x_t in zip(*(part.unbind(1) for part in x), strict=True):
        seen = _by_gate(gates, state, w_hh, b_hh, options.mask)
        state, carry = step(x_t, seen, state, carry, act, gate)
        states.append(state)
    return torch.stack(states, dim=1)


def _by_gate(
    gates: int, x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None
) -> list[Tensor]:
    """Compute W x + b of each gate, with a separate mask of x per gate."""
    masks = [1] * gates if mask is None else mask
    rows = zip(weight.chunk(gates), bias.chunk(gates), masks, strict=True)
    return [F.linear(x * m, w, b) for w, b, m in rows]


def _rnn(x, seen, state, carry, act, gate):
    return act(x[0] + seen[0]), carry


def _lstm(x, seen, state, carry, act, gate):
    enter, forget, new, output = (a + b for a, b in zip(x, seen, strict=True))
    carry = gate(forget) * carry + gate(enter) * act(new)
    return gate(output) * act(carry), carry


def _gru(x, seen, state, carry, act, gate):
    reset, update = (gate(x[n] + seen[n]) for n in (0, 1))
    new = act(x[2] + reset * seen[2])
    return update * state + (1 - update) * new, carry


STEP = {nn.RNN: _rnn, nn.LSTM: _lstm, nn.GRU: _gru}  # gate inputs → state and carry
