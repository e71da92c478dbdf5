"""The compiled recurrent layers equal the reference: sizes, dtypes, threads, directions."""

import copy

import pytest
import torch
from torch import Tensor, nn

from seqtext.layers import rnn as cells
from seqtext.layers import rnn_autograd as plain
from seqtext.layers.activations import ACTIVATIONS
from seqtext.layers.ops import rnn as fused
from seqtext.layers.ops.extension import load_extension
from seqtext.layers.rnn_reference import RNNOptions

pytestmark = pytest.mark.skipif(not load_extension(), reason="There is no compiled operator here.")
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SIZES = [  # texts, steps, inputs, units
    (1, 1, 1, 1),
    (1, 5, 2, 3),
    (7, 1, 17, 17),
    (5, 9, 3, 33),
    (19, 4, 40, 8),
    (2, 300, 1, 3),  # more steps than are gathered at once
    (9, 3, 300, 150),  # deeper than the part of a product that is done at once
]


@pytest.fixture(params=CELLS)
def kind(request) -> type[nn.RNNBase]:
    return CELLS[request.param]


class Case:
    """A cell and texts of several lengths, from a seed."""

    def __init__(self, kind, texts=5, steps=7, inputs=3, units=4, dtype=torch.float64):
        self.random = torch.Generator().manual_seed(0)
        self.cell = kind(inputs, units, batch_first=True).to(dtype)
        for parameter in self.cell.parameters():
            parameter.data.copy_(self.numbers(*parameter.shape) / units**0.5)
        self.x = self.numbers(texts, steps, inputs)
        self.lengths = torch.arange(texts) * 3 % steps + 1
        self.lengths[-1] = steps
        self.weights = self.numbers(texts, steps, units)

    def numbers(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.random, dtype=torch.float64)

    def mask(self, features: int) -> Tensor:
        gates = len(self.cell.weight_hh_l0) // self.cell.hidden_size
        return (self.numbers(gates, len(self.x), features) > 0) * 2.0

    def results(self, rnn_forward, **options) -> list[Tensor]:
        """Return the states of words, and the gradients of a weighted sum of them."""
        dtype = self.cell.weight_hh_l0.dtype
        x = self.x.detach().to(dtype).requires_grad_()
        self.cell.zero_grad()
        states = rnn_forward(self.cell, x, self.lengths, **options)
        words = torch.arange(states.shape[1]) < self.lengths[:, None]
        states = states * words[..., None]
        (states * self.weights.to(dtype)).sum().backward()
        return [states, x.grad, *(p.grad.clone() for p in self.cell.parameters())]


def plainly(cell, x, lengths, reverse=False, **options):
    """Run the reference implementation."""
    order = cells.build_reverse_index(lengths, x.shape[1])
    x = cells.reorder_time_steps(x, order) if reverse else x
    states = plain.rnn_forward(cell, x, lengths, RNNOptions(**options))
    return cells.reorder_time_steps(states, order) if reverse else states


def check(case: Case, **options) -> None:
    dtype = case.cell.weight_hh_l0.dtype
    near = 1e-12 if dtype == torch.float64 else 1e-5
    for one, other in zip(
        case.results(cells.rnn_forward, **options), case.results(plainly, **options), strict=True
    ):
        scale = other.abs().max().clamp(min=1)
        torch.testing.assert_close(one / scale, other / scale, atol=near, rtol=near)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(kind, sizes, dtype, reverse):
    check(Case(kind, *sizes, dtype=dtype), reverse=reverse)


def test_without_gradients_nothing_is_kept_and_the_states_are_the_same(kind, monkeypatch):
    case, kept = Case(kind), []
    run = fused.RNNArgs.run

    def watched(options, tensors, is_backward):
        kept.append(tensors["saved"])
        run(options, tensors, is_backward)

    monkeypatch.setattr(fused.RNNArgs, "run", watched)
    with torch.no_grad():
        states = cells.rnn_forward(case.cell, case.x, case.lengths)
    assert kept == [None]
    words = torch.arange(states.shape[1]) < case.lengths[:, None]
    assert torch.equal(states * words[..., None], case.results(cells.rnn_forward)[0].detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_masks(kind, sizes, dtype):
    case = Case(kind, *sizes, dtype=dtype)
    check(case, input_mask=case.mask(sizes[2]), mask=case.mask(sizes[3]), reverse=True)
    check(case, mask=case.mask(sizes[3]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", fused.ACTIVATIONS)
def test_activations(kind, activation, dtype):
    check(Case(kind, dtype=dtype), activation=activation)
    if kind is not nn.RNN:
        check(Case(kind, dtype=dtype), recurrent_activation=activation)


def test_other_activations_take_the_plain_form(kind):
    case = Case(kind)
    assert fused.is_supported(case.cell, case.x, RNNOptions("relu"))
    for name in {*ACTIVATIONS} - {*fused.ACTIVATIONS, "softmax"}:
        assert not fused.is_supported(case.cell, case.x, RNNOptions(name))
        check(case, activation=name)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize("texts", [1, 2, 5])
def test_two_threads(kind, texts):
    case = Case(kind, texts)
    check(case, reverse=True)
    again = [case.results(cells.rnn_forward) for _ in range(2)]
    assert all(map(torch.equal, *again))
    torch.set_num_threads(1)
    torch.testing.assert_close(case.results(cells.rnn_forward), again[0], atol=1e-12, rtol=0)


def test_views_that_are_not_contiguous(kind):
    case = Case(kind, inputs=4)
    expected = case.results(cells.rnn_forward)
    case.x = case.x.transpose(0, 1).contiguous().transpose(0, 1)
    case.lengths = torch.stack([case.lengths, case.lengths], dim=1)[:, 0]
    case.weights = case.weights[..., :1].expand_as(case.weights)
    for name, parameter in case.cell.named_parameters():
        if name.startswith("weight"):
            parameter.data = parameter.data.t().contiguous().t()
    assert not case.cell.weight_ih_l0.is_contiguous()
    assert torch.equal(case.results(cells.rnn_forward)[0], expected[0])
    check(case)


def test_uses_of_one_cell(kind):
    """Twice in one graph, backward twice, copied, without gradients, with frozen weights."""
    case = Case(kind)
    x = case.x.requires_grad_()
    states = cells.rnn_forward(case.cell, x @ x.new_ones(3, 3), case.lengths)
    states = cells.rnn_forward(case.cell, states[..., :3], case.lengths)
    parameters = [x, *case.cell.parameters()]
    once = torch.autograd.grad(states.sum(), parameters, retain_graph=True)
    assert all(map(torch.equal, once, torch.autograd.grad(states.sum(), parameters)))
    twin = copy.deepcopy(case.cell)
    twin.weight_hh_l0.requires_grad_(False)
    cells.rnn_forward(twin, x.detach(), case.lengths).sum().backward()
    assert twin.weight_hh_l0.grad is None
    assert twin.weight_ih_l0.grad.any()
    with torch.inference_mode():
        expected = cells.rnn_forward(case.cell, x, case.lengths)
    assert torch.equal(cells.rnn_forward(twin, x, case.lengths), expected)


def test_large_numbers_and_nan(kind):
    """The limits of the functions' ranges; nan stays nan, in its own text."""
    case = Case(kind, dtype=torch.float32)
    x = case.x.float()
    x[0] *= 1e4
    x[2, 1, 0] = torch.nan
    for activation in fused.ACTIVATIONS:
        x[1, :, 0] = torch.inf if activation == "tanh" else 0
        states = cells.rnn_forward(case.cell, x, case.lengths, activation)
        expected = plainly(case.cell, x, case.lengths, activation=activation)
        torch.testing.assert_close(states, expected, equal_nan=True, atol=1e-5, rtol=1e-5)
        assert states[2, 1:].isnan().any()
        assert states[3:].isfinite().all()


def test_lengths_beyond_the_steps_are_cut(kind):
    case = Case(kind)
    expected = cells.rnn_forward(case.cell, case.x, torch.full((5,), 7))
    assert torch.equal(cells.rnn_forward(case.cell, case.x, torch.full((5,), 99)), expected)


@pytest.mark.parametrize("change", [torch.Tensor.bfloat16, lambda x: x.to("meta")])
def test_what_it_does_not_serve(kind, change):
    case = Case(kind)
    assert fused.is_supported(case.cell, case.x, RNNOptions())
    assert not fused.is_supported(case.cell, change(case.x), RNNOptions())
    with torch.autocast("cpu", torch.bfloat16):  # which leaves float64 as it is
        assert not fused.is_supported(case.cell, case.x, RNNOptions())


@pytest.mark.parametrize("width", [2, 4])
def test_inputs_of_another_width_are_refused(kind, width):
    case = Case(kind, inputs=3)
    with pytest.raises(RuntimeError, match="Expected 3, got"):
        cells.rnn_forward(case.cell, case.numbers(5, 7, width), case.lengths)
