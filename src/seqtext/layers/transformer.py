"""Layers of a Transformer encoder, on rows of tokens without padding (see `TokenRows`)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.activations import ACTIVATIONS, Activation
from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.token_rows import TokenRows, is_autocast_to_cpu
from seqtext.speedups import avoid_cudnn_attention

Positions = Literal["rotary", "learned"]
ROTARY_BASE = 10_000.0


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network, each behind a layer norm (Xiong et al., 2020).

    The layers that write to the residual stream start (2 L)^-½ times as large (Radford et al.,
    2019), so that the stream's size does not grow with the number of layers.

    Args:
        units: D, width of the states
        heads: H, number of attention heads
        feedforward_units: width of the hidden layer
        activation: activation of the hidden layer
        dropout: dropout rate of both outputs and of the hidden layer
        attention_dropout: dropout rate of the attention weights
        layers: L, number of layers of the encoder
        init: weight initialization
    """

    def __init__(
        self,
        units: int,
        heads: int,
        feedforward_units: int,
        activation: Activation = "gelu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        layers: int = 1,
        init: Init = "keras",
    ):
        super().__init__()
        avoid_cudnn_attention()
        self.heads, self.activation = heads, activation
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.attention_norm = nn.LayerNorm(units)
        self.attention_input = init_linear_(nn.Linear(units, 3 * units), init)
        self.attention_output = init_linear_(nn.Linear(units, units), init)
        self.norm = nn.LayerNorm(units)
        self.hidden = init_linear_(nn.Linear(units, feedforward_units), init)
        self.output = init_linear_(nn.Linear(feedforward_units, units), init)
        with torch.no_grad():
            for writer in (self.attention_output, self.output):
                writer.weight *= (2 * layers) ** -0.5

    def forward(self, rows: Tensor, tokens: TokenRows, rotation: Tensor | None) -> Tensor:
        """[N, D] → [N, D]; rotation: see `rotate`, None: no rotary positions."""
        rate = self.dropout if self.training else 0.0
        qkv = self.attention_input(self.attention_norm(rows))
        if is_autocast_to_cpu(qkv):  # whose attention is slower in bfloat16
            qkv = qkv.float()
        qkv = qkv.unflatten(1, (3, self.heads, -1))  # [N, 3, H, size]
        query_key = qkv[:, :2] if rotation is None else rotate(qkv[:, :2], rotation)
        attention_dropout = self.attention_dropout if self.training else 0.0
        attended = tokens.attend(query_key, qkv[:, 2], attention_dropout)
        rows = rows + _drop(self.attention_output(attended), rate)
        hidden = ACTIVATIONS[self.activation](self.hidden(self.norm(rows)))
        return rows + _drop(self.output(_drop(hidden, rate)), rate)


def build_rotation(positions: Tensor, features: int) -> Tensor:
    """Compute the angles' cosines and sines for `rotate`: [N] → [N, features / 2, 2]."""
    exponents = torch.arange(0, features, 2, device=positions.device) / features
    angles = positions[:, None] * ROTARY_BASE**-exponents
    return torch.stack([angles.cos(), angles.sin()], dim=2)


def rotate(states: Tensor, rotation: Tensor) -> Tensor:
    """Rotate pairs of features by angles that grow with the position (Su et al., 2021, RoFormer).

    The product of a rotated query and key depends on the distance of the two only.

    Args:
        states: [N, 2, H, features]
        rotation: [N, features / 2, 2]
    """
    rotation = rotation[:, None, None]
    pairs = states.unflatten(3, (-1, 2))
    if torch.compiler.is_exporting() or states.dtype not in (torch.float32, torch.float64):
        (even, odd), (cos, sin) = pairs.unbind(4), rotation.to(states.dtype).unbind(4)
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=4).flatten(3)
    factors = torch.view_as_complex(rotation.to(states.dtype))  # one pass over memory, not five
    return torch.view_as_real(torch.view_as_complex(pairs) * factors).flatten(3)


def _drop(states: Tensor, rate: float) -> Tensor:
    return F.dropout(states, rate) if rate else states
