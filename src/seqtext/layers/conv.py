"""Convolutions over padded texts, whose results do not depend on the padding.

A convolution keeps a text's length and pads it with zeros (Keras' padding="same"); batch norm and
pooling use tokens only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.normalization import BatchNorm
from seqtext.layers.ops import conv as compiled_conv
from seqtext.layers.ops.extension import load_extension
from seqtext.layers.pooling import amax_with_ties, max_over_time, padding_mask


class ConvBlock(nn.Module):
    """Applies convolution, ReLU, batch norm and max pooling to padded texts.

    Args:
        inputs: D, number of input features
        filters: F, number of filters
        kernel_size: kernel size, in tokens
        pool_size: size of a pooling window; None: all tokens of a text
        batch_norm: whether to normalize after the convolution
        init: weight initialization
        relu: whether to apply ReLU to the convolution
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        kernel_size: int,
        pool_size: int | None,
        batch_norm: bool,
        init: Init,
        relu: bool = True,
    ):
        super().__init__()
        self.convolution = init_linear_(nn.Conv1d(inputs, filters, kernel_size), init)
        self.norm = BatchNorm(filters) if batch_norm else None
        self.pool_size, self.relu = pool_size, relu
        load_extension()  # compile now, before training is timed

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D], [B] → [B, ⌈T / pool_size⌉, F]"""
        if compiled_conv.is_supported(self.convolution, self.norm, states):
            return compiled_conv.conv_block_forward(
                self.convolution, self.norm, states, lengths, self.pool_size, self.relu
            )
        states = masked_conv1d(self.convolution, states, lengths)
        states = states.relu() if self.relu else states
        states = self.norm.forward_masked(states, lengths) if self.norm else states
        if self.pool_size is None:
            return max_over_time(states, lengths)[:, None]
        if self.pool_size == 1:
            return states.masked_fill(padding_mask(lengths, states.shape[1])[..., None], 0)
        pooled = max_pool_1d(states, lengths, self.pool_size)
        mask = padding_mask(self.pooled_lengths(lengths), pooled.shape[1])
        return pooled.masked_fill(mask[..., None], 0)

    def pooled_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of pooling windows of texts with these lengths: [B] → [B]."""
        if self.pool_size is None:
            return torch.ones_like(lengths)
        return (lengths + self.pool_size - 1) // self.pool_size


def masked_conv1d(layer: nn.Conv1d, states: Tensor, lengths: Tensor) -> Tensor:
    """Convolve padded texts, [B, T, D] → [B, T, F]; values after a text's end are zeros."""
    mask = padding_mask(lengths, states.shape[1])
    around = layer.kernel_size[0] - 1
    states = states.masked_fill(mask[..., None], 0)
    states = F.pad(states, (0, 0, around // 2, around - around // 2))
    return layer(states.transpose(1, 2)).transpose(1, 2)


def max_pool_1d(states: Tensor, lengths: Tensor, pool_size: int) -> Tensor:
    """Pool the maximum of each window, [B, T, D], [B] → [B, ⌈T / pool_size⌉, D].

    The last window of a text may be smaller.
    """
    mask = padding_mask(lengths, states.shape[1])
    states = states.masked_fill(mask[..., None], -torch.inf)
    groups = (states.shape[1] + pool_size - 1) // pool_size
    states = F.pad(states, (0, 0, 0, pool_size - 1), value=-torch.inf)[:, : groups * pool_size]
    return amax_with_ties(states.unflatten(1, (groups, pool_size)), 2)
