"""Recurrent layers whose gates do not depend on the previous state: minGRU, minLSTM and QRNN.

Their recurrence is elementwise and linear in the state, h = a h + b, and all gates are one matrix
product. On a CPU a compiled kernel computes both; elsewhere torch's product and `linear_scan`.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.ops import linear_rnn as compiled
from seqtext.layers.ops.extension import load_extension
from seqtext.layers.pooling import padding_mask
from seqtext.layers.scan import ScanMethod, linear_scan

LinearCellName = Literal["mingru", "minlstm", "qrnn"]
Candidate = Literal["positive", "linear", "tanh", "relu"]
GATES = {"mingru": 2, "minlstm": 3, "qrnn": 3}


def positive(x: Tensor) -> Tensor:
    """Return x + 0.5 where x is not negative, else sigmoid(x): positive, continuous, unbounded."""
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


CANDIDATES = {
    "positive": positive,
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


class LinearRNNLayer(nn.Module):
    """Recurrent layer in one or both directions without recurrent weights.

    minGRU and minLSTM (Feng et al., 2024, "Were RNNs All We Needed?", arXiv 2410.01201):
    h = (1 - z) h + z n, z = σ(W_z x), n = g(W_n x), or with z = i / (f + i), f and i gates like z.
    QRNN (Bradbury et al., 2017, "Quasi-Recurrent Neural Networks") with fo-pooling:
    c = f c + (1 - f) n, h = o c; its gates read the last `window` inputs.

    Args:
        cell: kind of the recurrence
        inputs: D, number of input features
        units: U, width of each direction
        bidirectional: whether to concatenate the states of a forward and a backward pass
        activation: g, of the candidate
        variational_dropout: dropout rate of the inputs, with one mask per text
        window: number of inputs that a step reads: its own and those before it, in each direction
        init: weight initialization
    """

    def __init__(
        self,
        cell: LinearCellName,
        inputs: int,
        units: int,
        bidirectional: bool = False,
        activation: Candidate = "linear",
        variational_dropout: float = 0.0,
        window: int = 1,
        init: Init = "keras",
    ):
        super().__init__()
        self.cell: LinearCellName = cell
        self.activation, self.window = activation, window
        self.variational_dropout = variational_dropout
        shape = 1 + bidirectional, GATES[cell], units  # [directions, G, U]
        self.weight = nn.Parameter(torch.empty(*shape, window * inputs))
        self.bias = nn.Parameter(torch.empty(shape))
        for direction in range(shape[0]):
            for gate in range(shape[1]):
                linear = init_linear_(nn.Linear(window * inputs, units), init)
                with torch.no_grad():
                    self.weight[direction, gate] = linear.weight
                    self.bias[direction, gate] = linear.bias
        load_extension()  # compile now, before training is timed

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, T, U × directions]; values after a text's last token are undefined."""
        mask = None
        if self.training and self.variational_dropout:
            ones = states.new_ones(len(states), states.shape[2])
            mask = F.dropout(ones, self.variational_dropout)  # [B, D]
        return linear_rnn_forward(
            self.cell, states, lengths, self.weight, self.bias, self.activation, mask
        )


def stack_windows(states: Tensor, window: int, reverse: bool) -> Tensor:
    """Concatenate each step and those before it, or after it: [B, T, D] → [B, T, W D]."""
    if window == 1:
        return states
    steps, around = states.shape[1], window - 1
    padded = F.pad(states, (0, 0, 0, around) if reverse else (0, 0, around, 0))
    return torch.cat([padded[:, start : start + steps] for start in range(window)], dim=2)


def linear_rnn_forward(
    cell: LinearCellName,
    inputs: Tensor,
    lengths: Tensor,
    weight: Tensor,
    bias: Tensor,
    activation: Candidate = "linear",
    mask: Tensor | None = None,
    method: ScanMethod | None = None,
) -> Tensor:
    """Compute the states of all steps and directions.

    Args:
        cell: kind of the recurrence, with G gates: mingru z, n; minlstm f, i, n; qrnn n, f, o
        inputs: [B, T, E]
        lengths: [B]
        weight: [directions, G, U, W E] of the W inputs that a step reads: its own and those before
            it in each direction, in the order of the text
        bias: [directions, G, U]
        activation: activation of the candidate n
        mask: [B, E] factors of the inputs of a text
        method: see `linear_scan`; None also allows the compiled kernel

    Returns:
        States [B, T, directions × U], zero or undefined after a text's end.
    """
    if method is None and compiled.is_supported(activation, inputs, weight):
        return compiled.linear_rnn_forward(cell, inputs, lengths, weight, bias, activation, mask)
    inputs = inputs if mask is None else inputs * mask[:, None]
    is_padding = padding_mask(lengths, inputs.shape[1])[..., None]
    window, outputs = weight.shape[3] // inputs.shape[2], []
    if window > 1:  # windows before the end of a text contain padding
        inputs = inputs.masked_fill(is_padding, 0)
    for direction, (w, b) in enumerate(zip(weight, bias, strict=True)):
        windows = stack_windows(inputs, window, reverse=direction == 1)
        gates = F.linear(windows, w.flatten(0, 1), b.flatten()).to(w.dtype)
        decay, new, output = _compute_gates(cell, gates.chunk(len(w), dim=2), activation)
        if direction:  # the state is zero until the last token
            decay, new = (each.masked_fill(is_padding, 0) for each in (decay, new))
        states = linear_scan(decay, new, direction == 1, method)
        outputs.append(states if output is None else output * states)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def _compute_gates(
    cell: str, gates: tuple[Tensor, ...], activation: str
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return a and b of h = a h + b, and QRNN's output gate; [B, T, U] each."""
    act = CANDIDATES[activation]
    if cell == "mingru":
        update, new = torch.sigmoid(gates[0]), act(gates[1])
        return 1 - update, update * new, None
    if cell == "minlstm":
        forget, enter, new = torch.sigmoid(gates[0]), torch.sigmoid(gates[1]), act(gates[2])
        share = forget / (forget + enter)
        return share, (1 - share) * new, None
    new, forget, output = act(gates[0]), torch.sigmoid(gates[1]), torch.sigmoid(gates[2])
    return forget, (1 - forget) * new, output
