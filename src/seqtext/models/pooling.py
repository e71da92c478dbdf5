"""From one vector per word to one per text. Padding never counts."""

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["last", "max", "mean"]


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
