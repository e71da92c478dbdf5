"""Pool token vectors of padded texts to one vector per text, without padding."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from seqtext import speedups
from seqtext.layers.initializers import Init, init_linear_
from seqtext.token_ids import PAD

AttentionPer = Literal["word", "feature"]
Pooling = Literal["last", "max", "mean", "max_mean", "attention", "attention_per_feature"]


def padding_mask(lengths: Tensor, steps: int) -> Tensor:
    """Return a mask [B, T] that is True at padding."""
    return torch.arange(steps, device=lengths.device) >= lengths[:, None]


def max_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """Pool the maximum of each feature: [B, T, D] → [B, D]."""
    mask = padding_mask(lengths, states.shape[1])
    return amax_with_ties(states.masked_fill(mask[..., None], -torch.inf), 1)


def amax_with_ties(states: Tensor, dim: int) -> Tensor:
    """Return the maxima along `dim`; equal maxima share the gradient, as in `Tensor.amax`."""
    if states.requires_grad and speedups.is_enabled():
        return _Amax.apply(states, dim)
    return states.amax(dim)


class _Amax(torch.autograd.Function):
    """amax with a faster backward, see `speedups.amax_backward`."""

    @staticmethod
    def forward(ctx, states: Tensor, dim: int) -> Tensor:
        largest = states.amax(dim, keepdim=True)
        ctx.save_for_backward(states, largest)
        ctx.dim = dim
        return largest.squeeze(dim)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        states, largest = ctx.saved_tensors
        return speedups.amax_backward(states, largest, gradient, ctx.dim), None


def mean_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """Pool the mean over the tokens: [B, T, D] → [B, D]."""
    mask = padding_mask(lengths, states.shape[1])
    return states.masked_fill(mask[..., None], 0).sum(dim=1) / lengths[:, None].to(states.dtype)


def select_time_step(states: Tensor, positions: Tensor) -> Tensor:
    """Select the state at one position of each text: [B, T, D], [B] → [B, D]."""
    places = positions[:, None, None].expand(-1, 1, states.shape[2])
    return states.gather(1, places).squeeze(1)


def masked_embedding_bag(table: Tensor, rows: Tensor, factors: Tensor | None = None) -> Tensor:
    """Sum rows of a table, [V, D] and row numbers [B, M] → [B, D]; row 0 is ignored.

    Args:
        factors: [B, M] factors of the rows
    """
    if torch.compiler.is_exporting():  # ONNX lacks embedding_bag, which saves memory
        return F.embedding(rows, table).masked_fill((rows == PAD)[..., None], 0).sum(dim=1)
    return F.embedding_bag(rows, table, mode="sum", padding_idx=PAD, per_sample_weights=factors)


class AdditiveAttention(nn.Module):
    """Averages token states with learned attention weights.

    Args:
        features: D, number of features
        init: weight initialization
        per: "word": one weight per word, the softmax of v · tanh(W h + b) (Bahdanau et al., 2015;
            Yang et al., 2016); "feature": one per feature of each word, of tanh(W h + b)
    """

    def __init__(self, features: int, init: Init, per: AttentionPer = "word"):
        super().__init__()
        self.hidden = init_linear_(nn.Linear(features, features), init)
        self.score = None
        if per == "word":
            self.score = init_linear_(nn.Linear(features, 1, bias=False), init)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, D]"""
        weights = self._weights(states, lengths).to(states.dtype)
        mask = padding_mask(lengths, states.shape[1])
        return (weights * states.masked_fill(mask[..., None], 0)).sum(dim=1)

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return weights [B, T], or [B, T, D] per feature; they sum to 1 over T, 0 at padding."""
        weights = self._weights(states, lengths)
        return weights.squeeze(2) if self.score else weights

    def _weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return weights that broadcast to states, [B, T, D] → [B, T, 1] or [B, T, D]."""
        scores = torch.tanh(self.hidden(states))
        if self.score:
            scores = self.score(scores)
        mask = padding_mask(lengths, states.shape[1])
        return scores.masked_fill(mask[..., None], -torch.inf).softmax(dim=1)
