"""minGRU, minLSTM and QRNN over whole texts on a CPU as one compiled kernel, see csrc/."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqtext.layers.ops import extension
from seqtext.layers.ops.extension import KernelArgs
from seqtext.layers.ops.rnn import ACTIVATIONS as RNN_ACTIVATIONS

ACTIVATIONS = {  # of the candidate: its number in csrc/
    **{name: RNN_ACTIVATIONS.index(name) for name in ("tanh", "relu", "linear")},
    "positive": len(RNN_ACTIVATIONS),
}
CELLS = ("mingru", "minlstm", "qrnn")  # in the order of csrc/linear_recurrences.cpp
SAVED = {"mingru": 2, "minlstm": 3, "qrnn": 4}  # values saved per step and unit


class LinearRNNArgs(KernelArgs):
    """Arguments of the kernel, as `LinearRNNArgs` in csrc/linear_recurrences.cpp."""

    function = "linear_rnn"
    _fields_ = KernelArgs.fields(
        "cell activation reverse bf16 threads texts steps inputs window units writes row",
        "",
        "lengths x weight bias mask states saved gradient d_x d_weight d_bias",
    )


def is_supported(activation: str, inputs: Tensor, weight: Tensor) -> bool:
    """Return whether `linear_rnn_forward` supports this activation and device."""
    return (
        activation in ACTIVATIONS
        and weight.shape[-1] % inputs.shape[-1] == 0
        and extension.is_supported(inputs, weight)
    )


def linear_rnn_forward(
    cell: str,
    inputs: Tensor,
    lengths: Tensor,
    weight: Tensor,
    bias: Tensor,
    activation: str,
    mask: Tensor | None,
) -> Tensor:
    """Compute the states of all directions, see `layers.linear_rnn.linear_rnn_forward`."""
    inputs = inputs.to(weight.dtype)
    options = {
        "cell": CELLS.index(cell),
        "activation": ACTIVATIONS[activation],
        "bf16": int(extension.use_bf16_products()),
        "texts": inputs.shape[0],
        "steps": inputs.shape[1],
        "inputs": inputs.shape[2],
        "window": weight.shape[3] // inputs.shape[2],
        "units": weight.shape[2],
        "row": weight.shape[0] * weight.shape[2],
    }
    lengths = lengths.clamp(0, inputs.shape[1])
    saved = SAVED[cell] if torch.is_grad_enabled() else 0
    return _LinearRecurrence.apply(inputs, weight, bias, lengths, mask, saved, options)


class _LinearRecurrence(torch.autograd.Function):
    """Autograd function of the directions' recurrences; one call of the kernel for each."""

    @staticmethod
    def forward(ctx, x, weight, bias, lengths, mask, saved, options):
        """x [B, T, E], weight [directions, G, U, W E], mask [B, E] → [B, T, directions × U]"""
        directions, _, units, _ = weight.shape
        x, weight, bias, lengths = (each.contiguous() for each in (x, weight, bias, lengths))
        mask = None if mask is None else mask.to(x.dtype).contiguous()
        states = x.new_empty(*x.shape[:2], directions * units)
        kept = x.new_empty(directions, *x.shape[:2], saved * units) if saved else None
        ctx.options = options
        for n in range(directions):
            LinearRNNArgs.run(
                options | {"reverse": n},
                _list_tensors(n, x, weight, bias, lengths, mask, states, kept),
                is_backward=False,
            )
        ctx.save_for_backward(x, weight, bias, lengths, mask, states, kept)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, weight, bias, lengths, mask, states, kept = ctx.saved_tensors
        gradient, threads = gradient.contiguous(), torch.get_num_threads()
        writes = ctx.options["window"] == 1  # the first direction writes what the other adds to
        make = torch.empty_like if writes else torch.zeros_like
        d_x = make(x) if ctx.needs_input_grad[0] else None
        directions, gates, units, inputs = weight.shape
        d_weight = weight.new_zeros(directions, threads, inputs, gates, units)
        d_bias = bias.new_zeros(len(bias), threads, *bias.shape[1:])
        for n in range(len(weight)):
            tensors = _list_tensors(n, x, weight, bias, lengths, mask, states, kept)
            tensors |= {"gradient": _from_direction(gradient, n, units), "d_x": d_x}
            tensors |= {"d_weight": d_weight[n], "d_bias": d_bias[n]}
            options = ctx.options | {"reverse": n, "writes": int(writes and n == 0)}
            LinearRNNArgs.run(options, tensors, is_backward=True)
        return d_x, d_weight.sum(1).movedim(1, 3), d_bias.sum(1), *[None] * 4


def _list_tensors(
    direction: int,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    lengths: Tensor,
    mask: Tensor | None,
    states: Tensor,
    kept: Tensor | None,
) -> dict[str, Tensor | None]:
    return {
        "x": x,
        "weight": weight[direction],
        "bias": bias[direction],
        "lengths": lengths,
        "mask": mask,
        "states": _from_direction(states, direction, weight.shape[2]),
        "saved": None if kept is None else kept[direction],
    }


def _from_direction(states: Tensor, direction: int, units: int) -> Tensor:
    """Return a view of [B, T, directions × U] that starts at a direction's first unit."""
    return states[..., direction * units :]
