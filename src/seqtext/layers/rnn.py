"""Simple recurrent, LSTM and GRU layers over padded texts, in one or both directions.

Layers run over padded instead of packed batches: torch's packed CPU kernels mostly take twice as
long (the LSTM's up to 11 times), and in the forward direction padding only follows the tokens. The
backward direction starts at each text's own last token.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers import rnn_autograd, rnn_onnx, rnn_reference
from seqtext.layers.activations import Activation
from seqtext.layers.initializers import Init, init_rnn_
from seqtext.layers.module_list import ModuleList
from seqtext.layers.ops import rnn as compiled_rnn
from seqtext.layers.ops.extension import load_extension
from seqtext.layers.rnn_reference import RNNOptions

CellName = Literal["rnn", "lstm", "gru"]


class CellSpec(NamedTuple):
    """Describes a kind of recurrent cell.

    module: torch's module with the weights
    single_bias: whether to train one bias vector, as Keras' SimpleRNN and LSTM, of torch's two
    has_gates: whether the cell has gates, with the `recurrent_activation`
    """

    module: type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]
    single_bias: bool
    has_gates: bool


CELLS: dict[str, CellSpec] = {
    "rnn": CellSpec(nn.RNN, single_bias=True, has_gates=False),
    "lstm": CellSpec(nn.LSTM, single_bias=True, has_gates=True),
    "gru": CellSpec(nn.GRU, single_bias=False, has_gates=True),
}


class RNNLayer(ModuleList[nn.RNNBase]):
    """Recurrent layer with one cell, or two cells for both directions.

    Args:
        cell: kind of cell, see `CELLS`
        inputs: D, number of input features
        units: U, width of each direction
        bidirectional: whether to concatenate the states of a forward and a backward pass
        activation: activation of the candidate, and of an LSTM's output
        recurrent_activation: activation of the gates
        variational_dropout: dropout rate of the inputs, with one mask per text (Gal and
            Ghahramani, 2016)
        recurrent_dropout: dropout rate of the previous state, with one mask per text and gate; then
            the inputs have a mask per gate too
        init: weight initialization
    """

    def __init__(
        self,
        cell: CellName,
        inputs: int,
        units: int,
        bidirectional: bool = False,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        variational_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        init: Init = "keras",
    ):
        spec = CELLS[cell]
        super().__init__(
            init_rnn_(spec.module(inputs, units, batch_first=True), init, spec.single_bias)
            for _ in range(1 + bidirectional)
        )
        self.units = units
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.variational_dropout, self.recurrent_dropout = variational_dropout, recurrent_dropout
        load_extension()  # compile now, before training is timed

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, T, U × directions]; values after a text's last token are undefined."""
        outputs = [self._run(cell, states, lengths, reverse=n == 1) for n, cell in enumerate(self)]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)

    def _run(self, cell: nn.RNNBase, states: Tensor, lengths: Tensor, reverse: bool) -> Tensor:
        functions = self.activation, self.recurrent_activation
        if not self.training or self.recurrent_dropout == 0:
            states = variational_dropout(states, self.variational_dropout, self.training)
            return rnn_forward(cell, states, lengths, *functions, reverse=reverse)
        # As in Keras, with dropout of the state the inputs have one mask per gate too.
        gates = len(cell.all_weights[0][1]) // self.units
        input_mask = None
        if self.variational_dropout:
            ones = states.new_ones(gates, len(states), states.shape[2])
            input_mask = F.dropout(ones, self.variational_dropout)
        ones = states.new_ones(gates, len(states), self.units)
        mask = F.dropout(ones, self.recurrent_dropout)
        return rnn_forward(cell, states, lengths, *functions, input_mask, mask, reverse)


def variational_dropout(states: Tensor, rate: float, training: bool) -> Tensor:
    """Drop features of [B, T, D] with one mask per text for all its tokens."""
    if not training or rate == 0:
        return states
    mask = torch.empty_like(states[:, :1]).bernoulli_(1 - rate)  # [B, 1, D]
    return states * (mask / (1 - rate))


def rnn_forward(
    cell: nn.RNNBase,
    inputs: Tensor,
    lengths: Tensor,
    activation: Activation = "tanh",
    recurrent_activation: Activation = "sigmoid",
    input_mask: Tensor | None = None,
    mask: Tensor | None = None,
    reverse: bool = False,
) -> Tensor:
    """Compute the states of a cell at all tokens, with the fastest supported implementation.

    On a CPU, this is a compiled kernel; else torch's module, or for options that it does not
    support (other activations, dropout of states), an implementation in torch's operators.

    Args:
        cell: one layer and direction: nn.RNN, nn.LSTM or nn.GRU, with G gates
        inputs: [B, T, E]
        lengths: [B]
        activation: activation of the candidate, and of an LSTM's output
        recurrent_activation: activation of the gates
        input_mask: [G, B, E] dropout factors of the inputs of each gate
        mask: [G, B, U] dropout factors of the previous state for each gate
        reverse: whether to run backwards; the output is still in token order

    Returns:
        States [B, T, U]; values after a text's last token are undefined.
    """
    options = RNNOptions(activation, recurrent_activation, input_mask, mask)
    if torch.compiler.is_exporting():
        return rnn_onnx.rnn_forward(cell, inputs, lengths, options, reverse)
    if compiled_rnn.is_supported(cell, inputs, options):
        return compiled_rnn.rnn_forward(cell, inputs, lengths, options, reverse)
    index = build_reverse_index(lengths, inputs.shape[1]) if reverse else None
    inputs = inputs if index is None else reorder_time_steps(inputs, index)
    if options == RNNOptions():
        states = cell(inputs)[0]
    elif "softmax" in (activation, recurrent_activation):
        states = rnn_reference.rnn_forward(cell, inputs, options)
    else:
        states = rnn_autograd.rnn_forward(cell, inputs, lengths, options)
    return states if index is None else reorder_time_steps(states, index)


def build_reverse_index(lengths: Tensor, steps: int) -> Tensor:
    """Return positions [B, T] that reverse each text within its length and keep its padding."""
    forward = torch.arange(steps, device=lengths.device)
    backward = lengths[:, None] - 1 - forward
    return torch.where(backward >= 0, backward, forward)


def reorder_time_steps(states: Tensor, index: Tensor) -> Tensor:
    """Reorder the steps of each text: [B, T, D] and positions [B, T] → [B, T, D]."""
    return states.gather(1, index[..., None].expand(-1, -1, states.shape[2]))
