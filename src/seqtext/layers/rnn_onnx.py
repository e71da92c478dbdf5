"""SimpleRNN, LSTM and GRU in ONNX operators with dynamic shapes; see `seqtext.inference.export`.

ONNX has an operator for each cell, with some of the activations. With other activations, a step is
the body of ONNX' `Scan`. Builds the traced form for torch.export; nothing is computed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.activations import ACTIVATIONS
from seqtext.layers.pooling import padding_mask
from seqtext.layers.rnn_reference import STEP, RNNOptions


class OnnxActivation(NamedTuple):
    """Hold an activation of ONNX' operators and its constants."""

    name: str
    alpha: tuple[float, ...] = ()
    beta: tuple[float, ...] = ()


ONNX_ACTIVATIONS = {
    "tanh": OnnxActivation("Tanh"),
    "relu": OnnxActivation("Relu"),
    "sigmoid": OnnxActivation("Sigmoid"),
    "hard_sigmoid": OnnxActivation("HardSigmoid", (1 / 6,), (0.5,)),
    "linear": OnnxActivation("Affine", (1.0,), (0.0,)),
    "elu": OnnxActivation("Elu", (1.0,)),
    "softplus": OnnxActivation("Softplus"),
    "softsign": OnnxActivation("Softsign"),
    "leaky_relu": OnnxActivation("LeakyRelu", (0.2,)),
}
# torch's gates in ONNX' order: LSTM input, output, forget, cell; GRU update, reset, new
ONNX_GATE_ORDER = {nn.RNN: [0], nn.LSTM: [0, 3, 1, 2], nn.GRU: [1, 0, 2]}


def rnn_forward(
    cell: nn.RNNBase, inputs: Tensor, lengths: Tensor, options: RNNOptions, reverse: bool
) -> Tensor:
    """Build `layers.rnn.rnn_forward` without masks; states after a text's end are zero."""
    inputs = inputs.transpose(0, 1)  # [T, B, E]
    names = options.activation, options.recurrent_activation
    if {*names} <= {*ONNX_ACTIVATIONS}:
        states = _call_operator(
            cell, inputs, lengths, build_operator_attributes(cell, *names, reverse)
        )
    else:
        functions = ACTIVATIONS[names[0]], ACTIVATIONS[names[1]]
        states = _scan(cell, inputs, lengths, functions, reverse)
    return states.transpose(0, 1)


def _call_operator(
    cell: nn.RNNBase, inputs: Tensor, lengths: Tensor, attributes: dict[str, Any]
) -> Tensor:
    """[T, B, E] → [T, B, U]"""
    states = torch.onnx.ops.symbolic(
        type(cell).__name__,
        [inputs, *build_operator_weights(cell), lengths.int()],
        attributes,
        dtype=inputs.dtype,
        shape=[inputs.shape[0], 1, inputs.shape[1], cell.hidden_size],
    )
    return states.squeeze(1)


def build_operator_weights(cell: nn.RNNBase) -> list[Tensor]:
    """Return ONNX' weights W [1, G × U, E], R [1, G × U, U] and B [1, 2 × G × U]."""
    order = ONNX_GATE_ORDER[type(cell)]
    gates = [w.unflatten(0, (len(order), -1)) for w in cell.all_weights[0]]  # [G, U, …] each
    *weights, bias, other = (parts[order].flatten(0, 1)[None] for parts in gates)
    return [*weights, torch.cat([bias, other], dim=1)]


def build_operator_attributes(
    cell: nn.RNNBase, activation: str, recurrent_activation: str, reverse: bool
) -> dict[str, Any]:
    """Return the attributes of ONNX' operator, with the activations' constants as lists."""
    names = {
        nn.RNN: [activation],
        nn.GRU: [recurrent_activation, activation],
        nn.LSTM: [recurrent_activation, activation, activation],
    }[type(cell)]
    functions = [ONNX_ACTIVATIONS[name] for name in names]
    attributes = {
        "hidden_size": cell.hidden_size,
        "direction": "reverse" if reverse else "forward",
        "activations": [function.name for function in functions],
        "activation_alpha": [number for function in functions for number in function.alpha],
        "activation_beta": [number for function in functions for number in function.beta],
        "linear_before_reset": int(isinstance(cell, nn.GRU)),  # as in torch and Keras
    }
    return {name: value for name, value in attributes.items() if value}


def _scan(
    cell: nn.RNNBase,
    inputs: Tensor,
    lengths: Tensor,
    functions: tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]],
    reverse: bool,
) -> Tensor:
    """Build a scan over time, [T, B, E] → [T, B, U]; the state is zero at padding.

    Args:
        functions: activations of the candidate and of the gates
    """
    from torch._higher_order_ops.scan import scan  # not public yet

    gates, step = len(ONNX_GATE_ORDER[type(cell)]), STEP[type(cell)]
    [[w_ih, w_hh, b_ih, b_hh]] = cell.all_weights
    is_word = ~padding_mask(lengths, inputs.shape[0]).t()[..., None]  # [T, B, 1]

    def scan_step(before: tuple[Tensor, Tensor], read: tuple[Tensor, Tensor]) -> tuple:
        (state, carry), (x, is_word) = before, read
        seen = F.linear(state, w_hh, b_hh).chunk(gates, dim=1)
        after = step(x.chunk(gates, dim=1), seen, state, carry, *functions)
        state, carry = (torch.where(is_word, each, 0) for each in after)
        return (state, carry.clone()), state.clone()  # scan refuses aliased outputs

    x = F.linear(inputs, w_ih, b_ih)  # [T, B, G × U]
    start = x.new_zeros(x.shape[1], cell.hidden_size)
    return scan(scan_step, (start, start.clone()), (x, is_word), reverse=reverse)[1]
