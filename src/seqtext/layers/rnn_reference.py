"""SimpleRNN, LSTM and GRU step by step: the definition that tests compare the other forms with.

It also runs the one activation that mixes units, a softmax over them: its derivative is a matrix,
which the faster forms have no room for.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.activations import ACTIVATIONS, Activation


def rnn_forward(
    cell: nn.RNNBase,
    inputs: Tensor,
    activation: Activation,
    recurrent_activation: Activation,
    input_mask: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """As `layers.rnn.rnn_forward`, forwards."""
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    step = STEP[type(cell)]
    input_mask = None if input_mask is None else input_mask[:, :, None]
    gates = len(cell.weight_hh_l0) // cell.hidden_size
    x = _by_gate(gates, inputs, cell.weight_ih_l0, cell.bias_ih_l0, input_mask)  # G of [B, T, U]
    state = carry = x[0].new_zeros(len(inputs), cell.hidden_size)
    states = []
    for x_t in zip(*(part.unbind(1) for part in x), strict=True):
        seen = _by_gate(gates, state, cell.weight_hh_l0, cell.bias_hh_l0, mask)
        state, carry = step(x_t, seen, state, carry, act, gate)
        states.append(state)
    return torch.stack(states, dim=1)


def _by_gate(
    gates: int, x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None
) -> list[Tensor]:
    """W x + b of each gate, which may see x masked its own way."""
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


STEP = {nn.RNN: _rnn, nn.LSTM: _lstm, nn.GRU: _gru}  # gates' inputs → state and carry
