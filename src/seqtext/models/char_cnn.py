"""Convolutional network on characters."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.layers.conv import ConvBlock
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import padding_mask
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class CharCNN(TextClassifier):
    """Character-level convolutional network (Zhang, Zhao and LeCun, 2015).

    Each layer is a convolution without padding, ReLU and max pooling. The defaults are the small
    network of "Character-level Convolutional Networks for Text Classification"; the large one has
    1024 filters and dense layers of 2048. With one-hot embedding, both have the paper's parameters.

    A text is read as exactly `length` characters: it is filled up with zero vectors, or cut at the
    end, and all outputs of the last layer are the text vector. It does not depend on the padding of
    a batch, nor does its cost: outputs that read no character of any text are computed once. Dense
    layers weigh each output by its place in the text, which takes many texts to learn: the paper's
    smallest set has 120,000; `VDCNN` and `CharRNN` pool over time.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        filters: F, number of filters of each layer
        kernel_sizes: kernel size of each layer, in characters
        pool_sizes: steps per max-pooling window of each layer; 1: no pooling
        length: number of characters of a text that are read
        word_dropout, head_dropout, head_units, head_units_dropout, head: see `TextClassifier`

    Raises:
        UserError: if `kernel_sizes` and `pool_sizes` differ in length, or an output of the last
            layer reads more than `length` characters.
    """

    name = "char_cnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        filters: PositiveInt = 256,
        kernel_sizes: Sequence[PositiveInt] = (7, 7, 3, 3, 3, 3),
        pool_sizes: Sequence[PositiveInt] = (3, 3, 1, 1, 1, 3),
        length: PositiveInt = 1014,
        word_dropout: DropoutRate = 0.0,
        head_dropout: DropoutRate = 0.0,
        head_units: PositiveInt | Sequence[PositiveInt] | None = (1024, 1024),
        head_units_dropout: DropoutRate | list[DropoutRate] = 0.5,
        **head: Any,
    ):
        if not kernel_sizes or len(kernel_sizes) != len(pool_sizes):
            raise UserError(
                f"model.kernel_sizes has {len(kernel_sizes)} numbers and model.pool_sizes "
                f"{len(pool_sizes)}: give one of each for each layer."
            )
        stride, window = 1, 1  # of an output of the last layer, in characters
        for kernel, pool in zip(kernel_sizes, pool_sizes, strict=True):
            window += (kernel - 1 + pool - 1) * stride
            stride *= pool
        if length < window:
            raise UserError(
                f"model.length={length} is too small: an output of the last layer reads {window} "
                f"characters."
            )
        outputs = 1 + (length - window) // stride
        head |= {"word_dropout": word_dropout, "head_dropout": head_dropout}
        head |= {"head_units": head_units, "head_units_dropout": head_units_dropout}
        super().__init__(embedding, classes, features=outputs * filters, **head)
        self.length, self.stride, self.window, self.outputs = length, stride, window, outputs
        inputs = [get_embedding_dim(embedding), *[filters] * (len(kernel_sizes) - 1)]
        self.blocks = ModuleList(
            ValidConvBlock(width, filters, kernel, pool, False, self.init)
            for width, kernel, pool in zip(inputs, kernel_sizes, pool_sizes, strict=True)
        )

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        outputs = self.outputs
        if not torch.compiler.is_exporting():  # to a graph for texts of any length
            outputs = min(outputs, math.ceil(ids.shape[1] / self.stride) + 1)
        steps = (outputs - 1) * self.stride + self.window
        states = F.pad(self.embed(ids), (0, 0, 0, steps))[:, :steps]
        states = states.masked_fill(padding_mask(lengths, steps)[..., None], 0)  # [B, steps, E]
        for block in self.blocks:
            states = block(states)
        if outputs < self.outputs:  # the last one, and all after it, read zeros only
            rest = states[:, -1:].expand(-1, self.outputs - outputs, -1)
            states = torch.cat([states, rest], dim=1)
        return self.compute_logits(states.flatten(1))


class ValidConvBlock(ConvBlock):
    """Applies convolution without padding, ReLU and max pooling to texts of equal lengths.

    `ConvBlock` pads texts: its outputs that read padding are left out. Rows of zeros before a text
    make its pooling windows begin at the first output that does not read padding.
    """

    def forward(self, states: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[B, T, D] → [B, ⌊(T - kernel_size + 1) / pool_size⌋, F]"""
        around, pool = self.convolution.kernel_size[0] - 1, self.pool_size
        assert pool is not None
        outputs = (states.shape[1] - around) // pool
        shift = -(around // 2) % pool
        if shift:
            states = F.pad(states, (0, 0, shift, 0))
        lengths = torch.full(states.shape[:1], states.shape[1], device=states.device)
        first = (around // 2 + shift) // pool
        return super().forward(states, lengths)[:, first : first + outputs]
