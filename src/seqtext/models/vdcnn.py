"""Very deep convolutional network."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.layers.conv import ConvBlock, masked_conv1d
from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.module_list import ModuleList
from seqtext.layers.normalization import BatchNorm
from seqtext.layers.pooling import k_max_over_time, padding_mask
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args

Halving = Literal["max", "k_max", "convolution"]
BLOCKS: dict[int, tuple[int, ...]] = {  # by depth: blocks of two convolutions in each of 4 groups
    9: (1, 1, 1, 1),
    17: (2, 2, 2, 2),
    29: (5, 5, 2, 2),
    49: (8, 8, 5, 3),
}


class VDCNN(TextClassifier):
    """Very deep convolutional network on characters (Conneau et al., 2017).

    A convolution and four groups of blocks with F, 2 F, 4 F and 8 F filters, each of which reads 3
    steps. The number of steps is halved between groups, and the k largest values of each feature
    after the last one, in their order, are the text vector. A text of fewer steps is filled up with
    zeros, which are the smallest value after ReLU. Batch norm's statistics are those of the
    characters without padding, with the constants of PyTorch.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]; the paper's have 16 dimensions
        classes: C
        depth: number of convolutional layers, see `BLOCKS`
        filters: F
        halving: "max": maximum of 3 steps, every 2 steps; "k_max": the larger half of each
            feature's values; "convolution": the first convolution of a group takes every 2nd step
        shortcut: whether to add the inputs of each block to its outputs, before the last ReLU
        k_max: k
        word_dropout, head_dropout, head_units, init, head: see `TextClassifier`
    """

    name = "vdcnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        depth: Literal[9, 17, 29, 49] = 9,
        filters: PositiveInt = 64,
        halving: Halving = "max",
        shortcut: bool = False,
        k_max: PositiveInt = 8,
        word_dropout: DropoutRate = 0.0,
        head_dropout: DropoutRate = 0.0,
        head_units: PositiveInt | Sequence[PositiveInt] | None = (2048, 2048),
        init: Init = "he_normal",
        **head: Any,
    ):
        head |= {"word_dropout": word_dropout, "head_dropout": head_dropout}
        head |= {"head_units": head_units, "init": init}
        super().__init__(embedding, classes, features=8 * filters * k_max, **head)
        self.k_max = k_max
        dim = get_embedding_dim(embedding)
        self.first = ConvBlock(dim, filters, 3, 1, batch_norm=False, init=init, relu=False)
        self.blocks: ModuleList[DeepBlock] = ModuleList()
        inputs = filters
        for group, count in enumerate(BLOCKS[depth]):
            outputs = filters * 2**group
            for number in range(count):
                how = halving if group and not number else None
                self.blocks.append(DeepBlock(inputs, outputs, how, shortcut, init))
                inputs = outputs

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        states = self.first(self.embed(ids), lengths)  # [B, T, F]
        for block in self.blocks:
            states, lengths = block(states, lengths), block.reduce_lengths(lengths)
        states = F.pad(states, (0, 0, 0, self.k_max))  # at least k steps
        features = k_max_over_time(states, lengths, self.k_max)  # [B, k, 8 F]
        return self.compute_logits(features.flatten(1))


class DeepBlock(nn.Module):
    """Applies two convolutions, each with batch norm and ReLU; before that, may halve the steps.

    Args:
        inputs: D, number of input features
        filters: F, number of filters
        halving: see `VDCNN`; None: keep all steps
        shortcut: whether to add the inputs, or if D is not F a linear function of them
        init: weight initialization
    """

    def __init__(
        self, inputs: int, filters: int, halving: Halving | None, shortcut: bool, init: Init
    ):
        super().__init__()
        self.halving = halving
        self.first = NormalizedConv(inputs, filters, init, 2 if halving == "convolution" else 1)
        self.second = NormalizedConv(filters, filters, init)
        self.shortcut: nn.Linear | None = None
        self.has_shortcut = shortcut
        if shortcut and inputs != filters:
            self.shortcut = init_linear_(nn.Linear(inputs, filters, bias=False), init)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D], [B] → [B, T', F], T' = T, or ⌈T / 2⌉; zeros after the end of a text."""
        halved = self.reduce_lengths(lengths)
        if self.halving == "max":
            states = max_of_three(states)
            mask = padding_mask(halved, states.shape[1])  # also where a window ends behind a text
            states = states.masked_fill(mask[..., None], 0)
        elif self.halving == "k_max":
            steps = (states.shape[1] + 1) // 2
            states = k_max_over_time(states, lengths, steps, halved)
        hidden = self.first(states, lengths if self.halving == "convolution" else halved).relu()
        hidden = self.second(hidden, halved)
        if self.has_shortcut:
            states = states[:, ::2] if self.halving == "convolution" else states
            hidden = hidden + (self.shortcut(states) if self.shortcut else states)
        return hidden.relu()

    def reduce_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of steps of texts with these lengths: [B] → [B]."""
        return (lengths + 1) // 2 if self.halving else lengths


class NormalizedConv(ConvBlock):
    """Applies a convolution of 3 steps and batch norm.

    Args:
        inputs: D, number of input features
        filters: F, number of filters
        init: weight initialization
        stride: 1, or 2 to compute every second step only
    """

    def __init__(self, inputs: int, filters: int, init: Init, stride: int = 1):
        super().__init__(inputs, filters, 3, 1, batch_norm=True, init=init, relu=False)
        self.convolution.stride = (stride,)
        bias = self.convolution.bias
        assert bias is not None
        nn.init.zeros_(bias).requires_grad_(False)  # batch norm has one
        assert self.norm is not None
        self.norm.eps, self.norm.momentum = 1e-5, 0.1  # as in PyTorch: deep networks need few steps

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D], [B] → [B, ⌈T / stride⌉, F]; zeros after the end of a text."""
        [stride] = self.convolution.stride
        if stride == 1:
            return super().forward(states, lengths)
        assert isinstance(self.norm, BatchNorm)
        states = masked_conv1d(self.convolution, states, lengths)
        return self.norm.forward_masked(states, (lengths + stride - 1) // stride)


def max_of_three(states: Tensor) -> Tensor:
    """Return the maxima of steps 2 t - 1, 2 t and 2 t + 1: [B, T, D] → [B, ⌈T / 2⌉, D].

    No value is negative: the zeros around a text change no maximum.
    """
    steps = (states.shape[1] + 1) // 2
    states = F.pad(states, (0, 0, 1, 1))
    before, here, after = (states[:, k : k + 2 * steps - 1 : 2] for k in range(3))
    return before.maximum(here).maximum(after)
