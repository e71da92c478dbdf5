"""Activation functions by Keras' names."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seqtext.choices import ACTIVATIONS as NAMES


def linear(x: Tensor) -> Tensor:
    """Return x."""
    return x


def softmax(x: Tensor) -> Tensor:
    """Compute the softmax over the last dimension, the features."""
    return torch.softmax(x, dim=-1)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid,  # relu6(x + 3) / 6, as in Keras 3; Keras 2 had a steeper one
    "linear": linear,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "softmax": softmax,
}
if TYPE_CHECKING:
    Activation = str
else:
    Activation = Literal[NAMES]
