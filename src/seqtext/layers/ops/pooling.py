"""Maximum over the tokens of padded texts on a CPU as one compiled kernel, see csrc/."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqtext.layers.ops import extension
from seqtext.layers.ops.extension import KernelArgs


class MaxArgs(KernelArgs):
    """Arguments of the kernel, as `MaxArgs` in csrc/pooling.cpp."""

    function = "max"
    _fields_ = KernelArgs.fields(
        "threads texts steps features", "", "lengths x largest equal gradient d_x"
    )


def is_supported(states: Tensor) -> bool:
    """Return whether `max_over_time` supports these states and their device."""
    return extension.is_supported(states, states)


def max_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """Pool the maximum of each feature, [B, T, D] → [B, D]; equal maxima share the gradient."""
    return _Max.apply(states, lengths.clamp(0, states.shape[1]))


class _Max(torch.autograd.Function):
    """Autograd function of the maximum; 20 instead of 60 bytes are moved per state."""

    @staticmethod
    def forward(ctx, x, lengths):
        """x [B, T, D], lengths [B] → [B, D]"""
        (texts, steps, features), x = x.shape, x.contiguous()
        largest, equal = x.new_empty(texts, features), x.new_empty(texts, features)
        options = {"texts": texts, "steps": steps, "features": features}
        saved = {"x": x, "lengths": lengths, "largest": largest, "equal": equal}
        MaxArgs.forward(ctx, options, saved)
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        tensors = MaxArgs.saved_tensors(ctx)
        d_x = torch.empty_like(tensors["x"])
        tensors |= {"gradient": gradient.contiguous(), "d_x": d_x}
        MaxArgs.run(ctx.options, tensors, is_backward=True)
        return d_x, None
