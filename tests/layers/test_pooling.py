"""Maximum over time, with its own backward."""

import pytest
import torch

from seqtext.layers.pooling import amax_with_ties, max_over_time


@pytest.mark.parametrize("dim", [1, 2])
def test_maximum_and_its_gradients_are_those_of_amax(dim):
    states = torch.randint(3, (5, 6, 4)).double()  # many are the largest together
    weights = torch.randn(states.amax(dim).shape, dtype=torch.float64)
    gradients = []
    for largest in (amax_with_ties, torch.amax):
        leaf = states.clone().requires_grad_()
        values = largest(leaf, dim)
        assert torch.equal(values, states.amax(dim))
        (values * weights).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


def test_padding_is_never_the_largest_and_gets_no_gradient():
    states = -torch.rand(2, 5, 3)
    states[0, 3:] = 7
    leaf = states.requires_grad_()
    largest = max_over_time(leaf, torch.tensor([3, 5]))
    assert (largest < 0).all()
    largest.sum().backward()
    assert (leaf.grad[0, 3:] == 0).all()
    assert leaf.grad.sum() == 6
