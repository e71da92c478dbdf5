"""Convolution, ReLU, batch norm and max pooling on a CPU as one compiled kernel, see csrc/."""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqtext.layers.normalization import BatchNorm
from seqtext.layers.ops import extension
from seqtext.layers.ops.extension import KernelArgs

WEIGHTS = ("weight", "bias", "scale", "shift")
NO_NORM, RUNNING, BATCH = range(3)  # kinds of statistics, as in csrc/convolutions.cpp


class ConvArgs(KernelArgs):
    """Arguments of the kernel, as `ConvArgs` in csrc/convolutions.cpp."""

    function = "conv_block"
    _fields_ = KernelArgs.fields(
        "stats bf16 threads texts steps inputs filters width pool relu",
        "epsilon",
        "lengths x weight bias scale shift mean variance values pooled gradient "
        "d_values d_x d_weight d_bias d_scale d_shift",
    )


def is_supported(layer: nn.Conv1d, norm: BatchNorm | None, states: Tensor) -> bool:
    """Return whether `conv_block_forward` supports this block and device.

    Inputs of another width than the layer's are left to PyTorch, which raises an error.
    """
    fits = norm is None or (norm.is_local() and norm.weight.dtype == layer.weight.dtype)
    return (
        fits
        and states.shape[-1] == layer.in_channels
        and extension.is_supported(states, layer.weight)
    )


def conv_block_forward(
    layer: nn.Conv1d,
    norm: BatchNorm | None,
    states: Tensor,
    lengths: Tensor,
    pool_size: int | None,
    relu: bool = True,
) -> Tensor:
    """Compute a block, see `ConvBlock.forward`; values after a text's last window are zeros."""
    states, lengths = states.to(layer.weight.dtype), lengths.clamp(0, states.shape[1])
    kind, affine, stats = NO_NORM, None, None
    if norm is not None:
        kind = BATCH if norm.training and lengths.sum() > 1 else RUNNING
        affine = norm.weight, norm.bias
        # Copies of [F], which may change before backward; for BATCH, the kernel writes them.
        stats = norm.running_mean.clone(), norm.running_var.clone()
    options = {
        "stats": kind,
        "bf16": int(extension.use_bf16_products()),
        "texts": states.shape[0],
        "steps": states.shape[1],
        "inputs": states.shape[2],
        "filters": layer.out_channels,
        "width": layer.kernel_size[0],
        "pool": min(pool_size or states.shape[1], states.shape[1]),
        "relu": int(relu),
        "epsilon": norm.eps if norm else 0.0,
    }
    weights = layer.weight, layer.bias, *(affine or (None, None))
    pooled = _Convolution.apply(states, *weights, lengths, *(stats or (None, None)), options)
    if norm is not None and stats is not None and kind == BATCH:
        norm.update_running_stats(*stats)
    return pooled


class _Convolution(torch.autograd.Function):
    """Autograd function of a convolution block."""

    @staticmethod
    def forward(ctx, x, weight, bias, scale, shift, lengths, mean, variance, options):
        """x [B, T, D], weight [F, D, W], lengths [B] → [B, ⌈T / pool_size⌉, F]"""
        (texts, steps, _), filters = x.shape, options["filters"]
        pooled = x.new_empty(texts, -(-steps // options["pool"]), filters)
        tensors = {
            "x": x,
            **dict(zip(WEIGHTS, (weight, bias, scale, shift), strict=True)),
            "lengths": lengths,
            "mean": mean,
            "variance": variance,
            "values": x.new_empty(texts, steps, filters),
        }
        ConvArgs.forward(ctx, options, tensors, pooled=pooled)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        tensors = ConvArgs.saved_tensors(ctx)
        x = tensors["x"]
        tensors["gradient"] = gradient.contiguous()
        tensors["d_values"] = torch.empty_like(tensors["values"])
        tensors["d_x"] = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        for name in WEIGHTS:
            weight = tensors[name]
            tensors[f"d_{name}"] = None if weight is None else torch.empty_like(weight)
        ConvArgs.run(ctx.options, tensors, is_backward=True)
        return tensors["d_x"], *(tensors[f"d_{name}"] for name in WEIGHTS), *[None] * 4
