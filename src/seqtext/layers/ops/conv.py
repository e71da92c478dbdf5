"""Convolution, ReLU, batch norm and pooling on a CPU, as one compiled operator: see csrc/."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqtext.layers.normalization import BatchNorm
from seqtext.layers.ops import extension as compiled
from seqtext.layers.ops.extension import Call

WEIGHTS = ("weight", "bias", "scale", "shift")
PLAIN, GIVEN, OF_WORDS = range(3)  # moments, as in csrc/convolutions.cpp


class _Block(Call):
    """As in csrc/convolutions.cpp."""

    function = "convolve"
    _fields_ = Call.fields(
        "moments threads texts steps inputs filters width pool",
        "epsilon",
        "lengths x weight bias scale shift mean variance values largest gradient "
        "d_values d_x d_weight d_bias d_scale d_shift",
    )


class Moments(NamedTuple):
    """What batch norm goes by, [F]; if that is the batch itself, room for the operator to say."""

    kind: int
    mean: Tensor | None
    variance: Tensor | None


def serves(layer: nn.Conv1d, norm: BatchNorm | None, states: Tensor) -> bool:
    """Whether `run` can do this, here."""
    fits = norm is None or (norm.by_own_batch() and norm.weight.dtype == states.dtype)
    return fits and compiled.serves(states, layer.weight)


def run(
    layer: nn.Conv1d, norm: BatchNorm | None, states: Tensor, lengths: Tensor, pool: int | None
) -> Tensor:
    """As `cnn.Block.forward`; behind a text's end stand zeros."""
    lengths = lengths.clamp(0, states.shape[1])
    moments, affine = Moments(PLAIN, None, None), (None, None)
    if norm is not None:
        affine = norm.weight, norm.bias
        known = norm.running_mean.clone(), norm.running_var.clone()  # they may change meanwhile
        of_words = norm.training and lengths.sum() > 1
        moments = Moments(OF_WORDS if of_words else GIVEN, *known)
    numbers = {
        "moments": moments.kind,
        "texts": states.shape[0],
        "steps": states.shape[1],
        "inputs": states.shape[2],
        "filters": layer.out_channels,
        "width": layer.kernel_size[0],
        "pool": min(pool or states.shape[1], states.shape[1]),
        "epsilon": norm.eps if norm else 0.0,
    }
    weights = layer.weight, layer.bias, *affine
    largest = _Convolution.apply(states, *weights, lengths, *moments[1:], numbers)
    if moments.kind == OF_WORDS:
        norm.remember(moments.mean, moments.variance)
    return largest


class _Convolution(torch.autograd.Function):
    """A block's forward and backward."""

    @staticmethod
    def forward(ctx, x, weight, bias, scale, shift, lengths, mean, variance, numbers):
        """x [B, T, D], weight [F, D, W], lengths [B] → [B, ⌈T / pool⌉, F]"""
        texts, steps, filters = *x.shape[:2], numbers["filters"]
        largest = x.new_empty(texts, -(-steps // numbers["pool"]), filters)
        tensors = {
            "x": x,
            **dict(zip(WEIGHTS, (weight, bias, scale, shift), strict=True)),
            "lengths": lengths,
            "mean": mean,
            "variance": variance,
            "values": x.new_empty(texts, steps, filters),
        }
        _Block.forward(ctx, numbers, tensors, largest=largest)
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        tensors = _Block.kept(ctx)
        x = tensors["x"]
        tensors["gradient"] = gradient.contiguous()
        tensors["d_values"] = torch.empty_like(tensors["values"])
        tensors["d_x"] = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        for name in WEIGHTS:
            weight = tensors[name]
            tensors[f"d_{name}"] = None if weight is None else torch.empty_like(weight)
        _Block.run(ctx.numbers, tensors, back=True)
        return tensors["d_x"], *(tensors[f"d_{name}"] for name in WEIGHTS), *[None] * 4
