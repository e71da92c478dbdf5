"""The compiled convolutional block equals the reference in PyTorch."""

import pytest
import torch
from torch import Tensor

from seqtext.layers.conv import ConvBlock
from seqtext.layers.ops import conv as fused_block
from seqtext.layers.ops.extension import load_extension

pytestmark = pytest.mark.skipif(not load_extension(), reason="There is no compiled operator here.")
SIZES = [  # texts, steps, inputs, filters, width
    (1, 1, 1, 1, 1),
    (1, 2, 3, 2, 9),
    (5, 9, 3, 17, 2),
    (7, 6, 17, 4, 3),
    (3, 300, 2, 33, 5),  # a text is longer than what is laid out at a time
    (40, 13, 40, 8, 4),  # more texts than that
]
NORMS = ["none", "training", "known"]


class Case:
    """A block and texts of several lengths, from a seed; padding is nan."""

    def __init__(
        self, sizes=SIZES[2], norm="training", dtype=torch.float64, pool_size=2, relu=True
    ):
        texts, steps, inputs, filters, width = sizes
        torch.manual_seed(0)
        self.lengths = torch.arange(texts) * 5 % steps + 1
        self.lengths[-1] = steps
        behind = torch.arange(steps) >= self.lengths[:, None]
        self.x = torch.randn(texts, steps, inputs, dtype=dtype)
        self.x = self.x.masked_fill(behind[..., None], torch.nan)
        block = ConvBlock(inputs, filters, width, pool_size, norm != "none", "keras", relu)
        self.block = block.to(dtype).train(norm == "training")
        if norm != "none":
            for row in (*block.norm.parameters(), block.norm.running_mean):
                row.data.normal_()
            block.norm.running_var.uniform_(0.5, 2)

    def served(self) -> bool:
        return fused_block.is_supported(self.block.convolution, self.block.norm, self.x)

    def largest_and_sum(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pooled values, and a weighted sum of them."""
        largest, lengths = self.block(x, self.lengths), self.block.pooled_lengths(self.lengths)
        words = torch.arange(largest.shape[1]) < lengths[:, None]
        largest = largest.masked_fill(~words[..., None], 0)
        direction = torch.linspace(-1, 1, largest.numel(), dtype=x.dtype).view_as(largest)
        return largest, (largest * direction).sum()

    def results(self) -> list[Tensor]:
        """Return pooled values, gradients of a weighted sum, and batch norm statistics."""
        x = self.x.detach().requires_grad_()
        largest, weighted = self.largest_and_sum(x)
        gradients = torch.autograd.grad(weighted, [x, *self.block.parameters()])
        return [largest.detach(), *gradients, *(row.double() for row in self.block.buffers())]


def check(monkeypatch, **options) -> list[Tensor]:
    case = Case(**options)
    assert case.served()
    fused = case.results()
    with monkeypatch.context() as patch:
        patch.setattr(fused_block, "is_supported", lambda *_: False)
        plain = Case(**options).results()
    near = 1e-12 if case.x.dtype == torch.float64 else 2e-5
    for one, other in zip(fused, plain, strict=True):
        scale = other.abs().max().clamp(min=1)
        torch.testing.assert_close(one / scale, other / scale, atol=near, rtol=near)
    return fused


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("threads", [1, 2, 3], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(monkeypatch, sizes, norm, dtype):
    fused = check(monkeypatch, sizes=sizes, norm=norm, dtype=dtype)
    assert all(map(torch.equal, fused, Case(sizes, norm, dtype).results()))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("pool_size", [1, 3, 50, None])
def test_pools(monkeypatch, pool_size, norm):
    check(monkeypatch, pool_size=pool_size, norm=norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("pool_size", [1, 2, None])
def test_without_relu(monkeypatch, pool_size, norm):
    pooled = check(monkeypatch, pool_size=pool_size, norm=norm, relu=False)[0]
    assert pooled.min() < 0


def test_equal_words_share_the_gradient(monkeypatch):
    """As in amax; also words whose values after ReLU are all zero."""
    monkeypatch.setattr(torch, "randn", torch.ones)
    fused = check(monkeypatch, pool_size=None, sizes=(2, 4, 2, 6, 1), norm="training")
    assert fused[1].abs().sum() > 0


def test_views_that_are_not_contiguous():
    expected, case = Case().results(), Case()
    case.x = case.x.transpose(0, 1).contiguous().transpose(0, 1)
    weight = case.block.convolution.weight
    weight.data = weight.data.transpose(0, 2).contiguous().transpose(0, 2)
    assert not weight.is_contiguous()
    assert all(map(torch.equal, case.results(), expected))


def test_frozen_vectors():
    case, frozen = Case(), Case()
    expected = case.results()[2]
    _, weighted = frozen.largest_and_sum(frozen.x)
    weighted.backward()
    assert torch.equal(frozen.block.convolution.weight.grad, expected)


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_by_differences(norm):
    case = Case((3, 5, 2, 3, 3), norm)
    given = [p.detach().requires_grad_() for p in case.block.parameters()]
    names = [name for name, _ in case.block.named_parameters()]

    def block(x, *parameters):
        weights = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(case.block, weights, (x, case.lengths))

    assert torch.autograd.gradcheck(block, (case.x.nan_to_num().requires_grad_(), *given))


@pytest.mark.parametrize("pool_size", [2, None])
def test_what_is_not_a_number_stays_seen(pool_size):
    case = Case(norm="none", pool_size=pool_size)
    case.x[1, 0, 0] = torch.nan
    largest = case.block(case.x, case.lengths)
    assert largest[1, 0].isnan().all()
    assert largest[0].isfinite().all()


def test_lengths_beyond_the_texts_and_without_gradients():
    case = Case()
    case.x = case.x[:, :4].nan_to_num()
    with torch.no_grad():
        cut, whole = (case.block(case.x, case.lengths.clamp(max=most)) for most in (4, 9))
    assert torch.equal(cut, whole)


def test_known_moments_may_change_before_the_way_back():
    case = Case(norm="known")
    expected = case.results()[1]
    x = case.x.detach().requires_grad_()
    _, weighted = case.largest_and_sum(x)
    case.block.norm.running_mean.zero_()
    weighted.backward()
    assert torch.equal(x.grad, expected)


def test_left_to_the_plain_form(monkeypatch):
    case = Case(dtype=torch.float32)
    assert case.served()
    monkeypatch.setattr("seqtext.layers.normalization.distributed.is_initialized", lambda: True)
    assert not case.served()  # its moments are those of all processes
    case.block.eval()
    assert case.served()
    case.x = case.x.double()
    assert not case.served()
    case.block.convolution.double()
    assert not case.served()  # the norm's numbers are of another type
    case.block.double()
    assert case.served()
    case.x = case.x[:0]
    assert not case.served()


@pytest.mark.parametrize("width", [2, 4])
def test_inputs_of_another_width_are_refused(width):
    block = ConvBlock(3, 5, 2, None, False, "keras")
    with pytest.raises(RuntimeError, match="to have 3 channels, but got"):
        block(torch.zeros(2, 6, width), torch.tensor([6, 4]))
