"""Initializers of layers."""

from typing import TYPE_CHECKING, Literal, TypeVar

from torch import Tensor, nn

from seqtext.choices import INITIALIZERS

# keras: weights Glorot-uniform, recurrent weights orthogonal, biases zero except an LSTM's forget
# bias 1; torch: torch's defaults; he_normal: as keras, but He-normal weights, Glorot-normal in the
# output layer
if TYPE_CHECKING:
    Init = str
else:
    Init = Literal[INITIALIZERS]

TRUNC_NORMAL_STD = 0.87962566103423978  # of a standard normal distribution truncated at ±2


Layer = TypeVar("Layer", nn.Linear, nn.Conv1d)


def init_linear_(layer: Layer, init: Init, output: bool = False) -> Layer:
    """Initialize a layer in place; with he_normal, an output layer is Glorot-normal."""
    if init == "torch":
        return layer
    if init == "he_normal":
        inputs = layer.weight[0].numel()
        _trunc_normal_(layer.weight, 2 / (sum(layer.weight.shape) if output else inputs))
    else:
        nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def init_rnn_(cell: nn.RNNBase, init: Init, single_bias: bool) -> nn.RNNBase:
    """Initialize a cell in place; with `single_bias` the second bias is fixed at zero."""
    [[w_ih, w_hh, b_ih, b_hh]] = cell.all_weights  # one layer, one direction
    if init == "he_normal":
        _trunc_normal_(w_ih, 2 / cell.input_size)
    elif init == "keras":
        nn.init.xavier_uniform_(w_ih)
    if init != "torch":
        nn.init.orthogonal_(w_hh)
        nn.init.zeros_(b_ih)
        nn.init.zeros_(b_hh)
        if isinstance(cell, nn.LSTM):
            nn.init.ones_(b_ih.chunk(4)[1])  # gates: input, forget, cell, output
    if single_bias:
        nn.init.zeros_(b_hh).requires_grad_(False)
    return cell


def _trunc_normal_(weight: Tensor, variance: float) -> None:
    """Fill with a normal distribution truncated at ±2 std, with this variance, as in Keras."""
    std = variance**0.5 / TRUNC_NORMAL_STD
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
