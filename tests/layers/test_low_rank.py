"""Low-rank adaptation of linear layers."""

import torch

from seqtext.layers.low_rank import LowRankLinear


def test_outputs_are_those_of_the_published_equation():
    """W x + b + s U D x; gradients reach U and D only once U is not zero."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(4, 3)
    layer = LowRankLinear(linear.requires_grad_(False), rank=2)
    inputs = torch.randn(5, 4)
    torch.testing.assert_close(layer(inputs), linear(inputs))
    torch.nn.init.normal_(layer.up.weight)
    update = 2.0 * layer.up.weight @ layer.down.weight
    torch.testing.assert_close(layer(inputs), inputs @ (linear.weight + update).T + linear.bias)
    layer(inputs).sum().backward()
    assert linear.weight.grad is None
    assert layer.up.weight.grad is not None
    assert {*layer.state_dict()} == {"weight", "bias", "down.weight", "up.weight"}
