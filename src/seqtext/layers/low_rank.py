"""Low-rank adaptation of linear layers."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 2.0  # of the addition: α / r of Hu et al., 2021


class LowRankLinear(nn.Linear):
    """A linear layer with fixed weights, to whose outputs a product of low rank is added.

    LoRA (Hu et al., 2021, "LoRA: Low-Rank Adaptation of Large Language Models"): W x + b + s U D x,
    where D [r, inputs] is random and U [outputs, r] is zero at first, and both are trained.

    Args:
        linear: the layer whose weights it has
        rank: r
    """

    def __init__(self, linear: nn.Linear, rank: int):
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.down = nn.Linear(self.in_features, rank, bias=False, dtype=self.weight.dtype)
        self.up = nn.Linear(rank, self.out_features, bias=False, dtype=self.weight.dtype)
        nn.init.zeros_(self.up.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., D] → [..., D']"""
        fixed = F.linear(inputs, self.weight, self.bias)
        return torch.add(fixed, self.up(self.down(inputs)), alpha=SCALE)


def add_low_rank(module: nn.Module, names: Iterable[str], rank: int) -> int:
    """Fix the weights of a module, and adapt its linear layers of some names, in place.

    Returns:
        The number of adapted layers.
    """
    module.requires_grad_(False)
    wanted, count = {*names}, 0
    for owner in [*module.modules()]:
        for name, child in [*owner.named_children()]:
            if name in wanted and type(child) is nn.Linear:
                setattr(owner, name, LowRankLinear(child, rank))
                count += 1
    return count
