"""SimpleRNN, LSTM and GRU over whole texts on a CPU as one compiled kernel, see csrc/."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqtext.layers.ops import extension
from seqtext.layers.ops.extension import KernelArgs
from seqtext.layers.rnn_reference import RNNOptions

# In the order of csrc/functions.h: the activations whose derivative is a function of the value.
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
class KernelCell:
    """A cell of csrc/cells.h: its number, and the number of values saved per step and unit."""

    number: int
    saved: int


CELLS = {nn.RNN: KernelCell(0, 0), nn.LSTM: KernelCell(1, 5), nn.GRU: KernelCell(2, 4)}


class RNNArgs(KernelArgs):
    """Arguments of the kernel, as `RNNArgs` in csrc/cells.h."""

    function = "rnn"
    _fields_ = KernelArgs.fields(
        "cell activation recurrent_activation reverse bf16 threads texts steps inputs units",
        "",
        "lengths x w_ih w_hh b_ih b_hh input_mask mask states saved gradient "
        "d_x d_w_ih d_w_hh d_b_ih d_b_hh",
    )


def is_supported(cell: nn.RNNBase, inputs: Tensor, options: RNNOptions) -> bool:
    """Return whether `rnn_forward` supports this cell and device.

    Inputs of another width than the cell's are left to PyTorch, which raises an error.
    """
    return (
        type(cell) in CELLS
        and inputs.shape[-1] == cell.input_size
        and {options.activation, options.recurrent_activation} <= {*ACTIVATIONS}
        and extension.is_supported(inputs, cell.all_weights[0][1])
    )


def rnn_forward(
    cell: nn.RNNBase, inputs: Tensor, lengths: Tensor, options: RNNOptions, reverse: bool
) -> Tensor:
    """Compute the states [B, T, U], see `layers.rnn.rnn_forward`; zeros after a text's end."""
    weights: list[Tensor] = [*cell.all_weights[0]]  # W_ih, W_hh, b_ih, b_hh
    input_mask = options.input_mask
    if isinstance(cell, nn.GRU):  # candidate first, then r, z
        for n in (0, 2):
            weights[n] = weights[n].roll(cell.hidden_size, 0)
        input_mask = None if input_mask is None else input_mask.roll(1, 0)
    inputs = inputs.to(weights[1].dtype)
    spec = CELLS[type(cell)]
    numbers = {
        "cell": spec.number,
        "activation": ACTIVATIONS.index(options.activation),
        "recurrent_activation": ACTIVATIONS.index(options.recurrent_activation),
        "reverse": int(reverse),
        "bf16": int(extension.use_bf16_products()),
        "texts": inputs.shape[0],
        "steps": inputs.shape[1],
        "inputs": inputs.shape[2],
        "units": cell.hidden_size,
    }
    lengths = lengths.clamp(0, inputs.shape[1])
    saved = spec.saved if torch.is_grad_enabled() else 0
    return _Recurrence.apply(inputs, *weights, lengths, input_mask, options.mask, saved, numbers)


class _Recurrence(torch.autograd.Function):
    """Autograd function of a recurrence; gradients of weights are summed per thread."""

    @staticmethod
    def forward(ctx, x, w_ih, w_hh, b_ih, b_hh, lengths, input_mask, mask, saved, options):
        """x [B, T, E], lengths [B], masks [G, B, E] and [G, B, U] → states [B, T, U]"""
        states = x.new_empty(*x.shape[:2], options["units"])
        tensors = {
            "x": x,
            **dict(zip(WEIGHTS, (w_ih, w_hh, b_ih, b_hh), strict=True)),
            "lengths": lengths,
            "input_mask": None if input_mask is None else input_mask.to(x.dtype),
            "mask": None if mask is None else mask.to(x.dtype),
            "states": states,
            "saved": x.new_empty(*x.shape[:2], saved * options["units"]) if saved else None,
        }
        RNNArgs.forward(ctx, options, tensors)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        tensors = RNNArgs.saved_tensors(ctx)
        x, threads = tensors["x"], torch.get_num_threads()
        tensors["gradient"] = gradient.contiguous()
        tensors["d_x"] = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        per_thread = [x.new_zeros(threads, *tensors[name].shape) for name in WEIGHTS]
        tensors |= {f"d_{name}": d for name, d in zip(WEIGHTS, per_thread, strict=True)}
        RNNArgs.run(ctx.options, tensors, is_backward=True)
        return tensors["d_x"], *(d.sum(0) for d in per_thread), *[None] * 5
