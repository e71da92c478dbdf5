"""From one vector per word to one per text. Padding never counts."""

from typing import Literal

import torch
from torch import Tensor, nn

from seqtext.models.starting import Init, start_linear

Pooling = Literal["last", "max", "mean", "max_mean", "attention"]


def padding_mask(lengths: Tensor, steps: int) -> Tensor:
    """[B, T] True where there is no word."""
    return torch.arange(steps, device=lengths.device) >= lengths[:, None]


def max_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """[B, T, D] → [B, D], the largest value of each feature."""
    mask = padding_mask(lengths, states.shape[1])
    return states.masked_fill(mask[..., None], -torch.inf).amax(dim=1)


def mean_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """[B, T, D] → [B, D], the average over the words."""
    mask = padding_mask(lengths, states.shape[1])
    return states.masked_fill(mask[..., None], 0).sum(dim=1) / lengths[:, None].to(states.dtype)


def at_position(states: Tensor, positions: Tensor) -> Tensor:
    """[B, T, D] → [B, D], the state at one position of each text."""
    return states[torch.arange(len(states), device=states.device), positions]


class AdditiveAttention(nn.Module):
    """A weighted average of the words, weights from v · tanh(W h + b) (Bahdanau et al., 2015)."""

    def __init__(self, features: int, init: Init):
        super().__init__()
        self.hidden = start_linear(nn.Linear(features, features), init)
        self.score = start_linear(nn.Linear(features, 1, bias=False), init)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, D]"""
        weights = self.weights(states, lengths).to(states.dtype)
        mask = padding_mask(lengths, states.shape[1])
        return (weights[..., None] * states.masked_fill(mask[..., None], 0)).sum(dim=1)

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T] how much each word counts: together 1 in each text, padding 0."""
        scores = self.score(torch.tanh(self.hidden(states))).squeeze(2)
        mask = padding_mask(lengths, states.shape[1])
        return scores.masked_fill(mask, -torch.inf).softmax(dim=1)
