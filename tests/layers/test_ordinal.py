"""Outputs for ordered classes are class probabilities, and their loss is CORN's."""

import pytest
import torch
from torch.nn import functional as F

from seqtext.layers.ordinal import build_step_signs, compute_ordinal_logits
from seqtext.losses import cross_entropy
from seqtext.metrics.scores import compute_probabilities, predict_classes


def draw_outputs(rows: int = 50, classes: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, classes - 1, generator=generator, dtype=torch.float64) * 2


def test_probabilities():
    outputs = draw_outputs()
    shares = compute_ordinal_logits(outputs).exp()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(50, dtype=torch.float64))
    above = outputs.sigmoid().cumprod(dim=1)  # of class k
    for k in range(4):
        torch.testing.assert_close(shares[:, k + 1 :].sum(dim=1), above[:, k])


def test_the_cross_entropy_is_the_sum_of_the_conditional_losses():
    outputs = draw_outputs()
    labels = torch.arange(50) % 5
    total = 0.0
    for k in range(4):
        reached = labels >= k
        targets = (labels[reached] > k).double()
        each = F.binary_cross_entropy_with_logits(outputs[reached, k], targets, reduction="sum")
        total = total + each
    torch.testing.assert_close(cross_entropy(compute_ordinal_logits(outputs), labels), total / 50)


def test_extreme_and_half_precision_outputs():
    outputs = torch.tensor([[200.0, -300.0, 0.0]], requires_grad=True)
    logits = compute_ordinal_logits(outputs)
    assert logits.isfinite().all()
    cross_entropy(logits, torch.tensor([1])).backward()
    assert outputs.grad.isfinite().all()
    assert compute_ordinal_logits(outputs.bfloat16()).dtype == torch.float32


def test_signs_of_the_steps():
    outputs = draw_outputs()
    earlier, same = map(torch.from_numpy, build_step_signs(5))
    logits = F.logsigmoid(outputs) @ earlier.double() + F.logsigmoid(-outputs) @ same.double()
    torch.testing.assert_close(logits, compute_ordinal_logits(outputs))


def test_the_median_is_predicted():
    shares = torch.tensor([[0.4, 0.3, 0.3], [0.5, 0.1, 0.4], [0.1, 0.2, 0.7]])
    assert predict_classes(shares, is_ordinal=True).tolist() == [1, 0, 2]
    assert predict_classes(shares).tolist() == [0, 0, 2]
    logits = compute_ordinal_logits(draw_outputs())
    above = draw_outputs().sigmoid().cumprod(dim=1)
    expected = (above > 0.5).sum(dim=1)  # CORN's rule
    found = predict_classes(compute_probabilities(logits), is_ordinal=True)
    assert found.tolist() == expected.tolist()
    two = torch.tensor([[0.6, 0.4]])
    assert predict_classes(two, 0.3, is_ordinal=True).tolist() == [1]


@pytest.mark.parametrize("classes", [3, 7])
def test_one_output_less_than_classes(classes):
    assert compute_ordinal_logits(torch.zeros(2, classes - 1)).shape == (2, classes)
