"""Vectors of ids whose gradient, on a CPU, is summed by a compiled kernel, see csrc/."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from seqtext.layers.ops import extension
from seqtext.layers.ops.extension import KernelArgs
from seqtext.token_ids import PAD


class EmbeddingArgs(KernelArgs):
    """Arguments of the kernel, as `EmbeddingArgs` in csrc/embedding.cpp."""

    function = "embedding"
    _fields_ = KernelArgs.fields("threads tokens vectors features padding", "", "ids x d_table")


def embed(ids: Tensor, table: Tensor) -> Tensor:
    """Return vectors, ids [B, T] and table [V, E] → [B, T, E]; that of padding has no gradient.

    The sums of the gradient equal those of `torch.nn.functional.embedding`, whose backward calls a
    function for each token.
    """
    if (
        table.requires_grad
        and torch.is_grad_enabled()
        and ids.dtype == torch.int64
        and extension.is_supported(table, table)
    ):
        return _Embedding.apply(ids, table)
    return F.embedding(ids, table, padding_idx=PAD)


class _Embedding(torch.autograd.Function):
    """Autograd function of the look-up."""

    @staticmethod
    def forward(ctx, ids, table):
        ctx.save_for_backward(ids)
        ctx.shape = table.shape
        return F.embedding(ids, table)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        [ids], (vectors, features) = ctx.saved_tensors, ctx.shape
        d_table = gradient.new_empty(ctx.shape)
        numbers = {
            "tokens": ids.numel(),
            "vectors": vectors,
            "features": features,
            "padding": PAD,
        }
        tensors = {"ids": ids.contiguous(), "x": gradient.contiguous(), "d_table": d_table}
        EmbeddingArgs.run(numbers, tensors, is_backward=True)
        return None, d_table
