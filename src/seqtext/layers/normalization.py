"""Batch normalization of vectors and padded texts, synchronized over processes."""

import torch
from torch import Tensor, distributed, nn

from seqtext.distributed import all_reduce_sum
from seqtext.layers.pooling import padding_mask


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization (Ioffe and Szegedy, 2015) with Keras' constants.

    The running variance uses the biased batch variance (torch: n / (n - 1) times it). A single row
    is normalized with the running statistics.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, features: int):
        super().__init__(features, eps=1e-3, momentum=0.01)

    def forward(self, rows: Tensor) -> Tensor:
        """[N, D] → [N, D]"""
        rows = rows.to(self.weight.dtype)
        if not self.is_local():
            return self._sync_batch_norm(rows)
        if self.training and len(rows) > 1:
            normal, mean, scale = torch.native_batch_norm(
                rows, self.weight, self.bias, None, None, True, self.momentum, self.eps
            )
            self.update_running_stats(mean, scale**-2 - self.eps)
            return normal
        return self._normalize(self.running_mean, self.running_var, rows)

    def forward_masked(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Normalize [B, T, D] over all tokens; padding becomes zero."""
        mask = padding_mask(lengths, states.shape[1])
        if not self.training:  # no batch statistics
            return self(states).masked_fill(mask[..., None], 0)
        words = (~mask).flatten().nonzero().squeeze(1)
        rows = states.flatten(0, 1)  # [B T, D]
        normal = self(rows.index_select(0, words))
        nothing = normal.new_zeros(rows.shape)
        return nothing.index_copy(0, words, normal).view_as(states)

    def is_local(self) -> bool:
        """Return whether statistics are not synchronized with other processes."""
        return not (self.training and distributed.is_initialized())

    def update_running_stats(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics with those of a batch, [D] each."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1

    def _sync_batch_norm(self, rows: Tensor) -> Tensor:
        totals = all_reduce_sum(torch.cat([rows.sum(dim=0), rows.new_tensor([len(rows)])]))
        if totals[-1] < 2:
            return self._normalize(self.running_mean, self.running_var, rows)
        mean = totals[:-1] / totals[-1]
        variance = all_reduce_sum((rows - mean).square().sum(dim=0)) / totals[-1]
        self.update_running_stats(mean.detach(), variance.detach())
        return self._normalize(mean, variance, rows)

    def _normalize(self, mean: Tensor, variance: Tensor, rows: Tensor) -> Tensor:
        return (rows - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias
