"""SimpleRNN, LSTM and GRU over whole texts on a CPU, as one compiled operator: see csrc/."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqtext.layers.ops import extension as compiled
from seqtext.layers.ops.extension import Call

# In the order of csrc/functions.h; the others' slopes cannot be told from their values.
ACTIVATIONS = (
    "tanh",
    "sigmoid",
    "relu",
    "linear",
    "hard_sigmoid",
    "elu",
    "selu",
    "softsign",
    "leaky_relu",
)
WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")


@dataclass(frozen=True)
class Kind:
    """A cell of csrc/cells.h: its number there, and the numbers it saves per step and unit."""

    number: int
    saved: int


KINDS = {nn.RNN: Kind(0, 0), nn.LSTM: Kind(1, 5), nn.GRU: Kind(2, 4)}


class _Recursion(Call):
    """As in csrc/cells.h."""

    function = "recur"
    _fields_ = Call.fields(
        "cell activation recurrent_activation reverse threads texts steps inputs units",
        "",
        "lengths x w_ih w_hh b_ih b_hh input_mask mask states saved gradient "
        "d_x d_w_ih d_w_hh d_b_ih d_b_hh",
    )


def serves(cell: nn.RNNBase, inputs: Tensor, activation: str, recurrent_activation: str) -> bool:
    """Whether `recur` can do this, here."""
    return (
        type(cell) in KINDS
        and {activation, recurrent_activation} <= {*ACTIVATIONS}
        and compiled.serves(inputs, cell.weight_hh_l0)
    )


def recur(
    cell: nn.RNNBase,
    inputs: Tensor,
    lengths: Tensor,
    activation: str,
    recurrent_activation: str,
    input_mask: Tensor | None,
    mask: Tensor | None,
    reverse: bool,
) -> Tensor:
    """As `cells.recur`."""
    weight, bias = cell.weight_ih_l0, cell.bias_ih_l0
    if isinstance(cell, nn.GRU):  # the new state first: gates whose weights see it stand together
        weight, bias = weight.roll(cell.hidden_size, 0), bias.roll(cell.hidden_size, 0)
        input_mask = None if input_mask is None else input_mask.roll(1, 0)
    kind = KINDS[type(cell)]
    numbers = {
        "cell": kind.number,
        "activation": ACTIVATIONS.index(activation),
        "recurrent_activation": ACTIVATIONS.index(recurrent_activation),
        "reverse": int(reverse),
        "texts": inputs.shape[0],
        "steps": inputs.shape[1],
        "inputs": inputs.shape[2],
        "units": cell.hidden_size,
    }
    weights = weight, cell.weight_hh_l0, bias, cell.bias_hh_l0
    lengths = lengths.clamp(0, inputs.shape[1])
    saved = kind.saved if torch.is_grad_enabled() else 0
    return _Recurrence.apply(inputs, *weights, lengths, input_mask, mask, saved, numbers)


class _Recurrence(torch.autograd.Function):
    """The states of all steps; each thread adds up its own gradient of the weights."""

    @staticmethod
    def forward(ctx, x, w_ih, w_hh, b_ih, b_hh, lengths, input_mask, mask, saved, numbers):
        """x [B, T, E], lengths [B], masks [G, B, E] and [G, B, U] → states [B, T, U]"""
        states = x.new_empty(*x.shape[:2], numbers["units"])
        tensors = {
            "x": x,
            **dict(zip(WEIGHTS, (w_ih, w_hh, b_ih, b_hh), strict=True)),
            "lengths": lengths,
            "input_mask": None if input_mask is None else input_mask.to(x.dtype),
            "mask": None if mask is None else mask.to(x.dtype),
            "states": states,
            "saved": x.new_empty(*x.shape[:2], saved * numbers["units"]) if saved else None,
        }
        _Recursion.forward(ctx, numbers, tensors)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        tensors = _Recursion.kept(ctx)
        x, threads = tensors["x"], torch.get_num_threads()
        tensors["gradient"] = gradient.contiguous()
        tensors["d_x"] = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_threads = [x.new_zeros(threads, *tensors[name].shape) for name in WEIGHTS]
        tensors |= {f"d_{name}": d for name, d in zip(WEIGHTS, of_threads, strict=True)}
        _Recursion.run(ctx.numbers, tensors, back=True)
        return tensors["d_x"], *(d.sum(0) for d in of_threads), *[None] * 5
