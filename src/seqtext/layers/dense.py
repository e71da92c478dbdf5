"""Dense layers between text vector and output layer."""

from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.activations import ACTIVATIONS, Activation
from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.normalization import BatchNorm


class DenseBlock(nn.Module):
    """Applies linear layer, activation, batch norm and dropout to vectors [B, D]."""

    def __init__(
        self,
        inputs: int,
        width: int,
        activation: Activation,
        dropout: float,
        batch_norm: bool,
        l2: float,
        init: Init,
    ):
        super().__init__()
        self.linear = init_linear_(nn.Linear(inputs, width), init)
        self.norm = BatchNorm(width) if batch_norm else nn.Identity()
        self.activation, self.dropout, self.l2 = activation, dropout, l2

    def forward(self, features: Tensor) -> Tensor:
        """[B, D] → [B, width]"""
        features = self.norm(ACTIVATIONS[self.activation](self.linear(features)))
        return F.dropout(features, self.dropout, self.training)

    def penalty(self) -> Tensor:
        """Return l2 · Σ w², as Keras' kernel regularizer."""
        return self.l2 * self.linear.weight.square().sum()
