"""Recurrent layers equal torch's modules, plain autograd and finite differences."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers import rnn as cells
from seqtext.layers import rnn_autograd as plain
from seqtext.layers.activations import ACTIVATIONS
from seqtext.layers.ops import extension as compiled
from seqtext.layers.rnn_reference import RNNOptions

CELLS = [nn.RNN, nn.LSTM, nn.GRU]
LENGTHS = torch.tensor([4, 1, 3])


@pytest.fixture(params=CELLS, ids=lambda cell: cell.__name__)
def cell(request) -> nn.RNNBase:
    """Build a cell with 3 inputs and 2 units in float64."""
    torch.manual_seed(0)
    made = request.param(3, 2, batch_first=True).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.7)
    return made


@pytest.fixture(params=["fused", "plain"])
def rnn_forward(request):
    """Run the compiled implementation if it supports the case, or the reference."""
    if request.param == "fused":
        if not compiled.load_extension():
            pytest.skip("There is no compiled operator here.")
        return cells.rnn_forward
    return lambda cell, x, lengths, *positional, **named: plain.rnn_forward(
        cell, x, lengths, RNNOptions(*positional, **named)
    )


def vectors() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 4, 3, generator=generator, dtype=torch.float64).requires_grad_()


def mask_of(cell: nn.RNNBase) -> Tensor:
    gates = len(cell.weight_hh_l0) // 2
    return torch.rand(gates, 3, 2, generator=torch.Generator().manual_seed(2)).double()


def slow(cell: nn.RNNBase, x: Tensor, act: str, gate: str, mask: Tensor | None) -> Tensor:
    """Run the defining equations with autograd."""
    act, gate = ACTIVATIONS[act], ACTIVATIONS[gate]
    weights = cell.weight_hh_l0.unflatten(0, (-1, 2))  # [G, U, U]
    mask = x.new_ones(len(weights), 3, 2) if mask is None else mask
    h, c, states = x.new_zeros(3, 2), x.new_zeros(3, 2), []
    for words in x.unbind(1):
        seen = (weights @ (h * mask).transpose(1, 2)).permute(2, 0, 1).flatten(1)
        seen = seen + cell.bias_hh_l0
        x_t = F.linear(words, cell.weight_ih_l0, cell.bias_ih_l0)
        if isinstance(cell, nn.RNN):
            h = act(x_t + seen)
        elif isinstance(cell, nn.LSTM):
            i, f, g, o = (x_t + seen).chunk(4, dim=1)
            c = gate(f) * c + gate(i) * act(g)
            h = gate(o) * act(c)
        else:
            r, z = gate((x_t + seen)[:, :4]).chunk(2, dim=1)
            h = z * h + (1 - z) * act(x_t[:, 4:] + r * seen[:, 4:])
        states.append(h)
    return torch.stack(states, dim=1)


def same(cell: nn.RNNBase, ours, theirs) -> None:
    """Compare the states of words, and the gradients of a function of them."""
    words, results = torch.arange(4) < LENGTHS[:, None], []
    for states in (ours, theirs):
        x = vectors()
        cell.zero_grad()
        output = states(x)[words]
        output.pow(3).sum().backward()
        results.append([output, x.grad, *(p.grad.clone() for p in cell.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_equals_torchs_module(rnn_forward, cell):
    same(cell, lambda x: rnn_forward(cell, x, LENGTHS), lambda x: cell(x)[0])


def test_torchs_relu(rnn_forward):
    cell = nn.RNN(3, 2, batch_first=True, nonlinearity="relu").double()
    same(cell, lambda x: rnn_forward(cell, x, LENGTHS, "relu"), lambda x: cell(x)[0])


@pytest.mark.parametrize("masked", [False, True])
def test_softmax_equals_the_definition(cell, masked):
    """The only activation that is not elementwise."""
    functions, mask = ("softmax", "hard_sigmoid"), mask_of(cell) if masked else None
    same(
        cell,
        lambda x: cells.rnn_forward(cell, x, LENGTHS, *functions, mask=mask),
        lambda x: slow(cell, x, *functions, mask),
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "softmax"])
def test_equals_the_definition(rnn_forward, cell, activation, masked):
    """Also with other activations of the gates."""
    gate = "hard_sigmoid" if masked else activation
    functions, mask = (activation, gate), mask_of(cell) if masked else None
    same(
        cell,
        lambda x: rnn_forward(cell, x, LENGTHS, *functions, mask=mask),
        lambda x: slow(cell, x, *functions, mask),
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "softplus", "linear"])
def test_gradients_are_differences(rnn_forward, cell, activation, masked):
    names, values = zip(*cell.named_parameters(), strict=True)
    mask = mask_of(cell) if masked else None

    def states(x: Tensor, *parameters: Tensor) -> Tensor:
        twin = type(cell)(3, 2, batch_first=True).double()
        for name, parameter in zip(names, parameters, strict=True):
            delattr(twin, name)
            setattr(twin, name, parameter)
        return rnn_forward(twin, x, LENGTHS, activation, mask=mask)

    inputs = (vectors(), *(v.detach().clone().requires_grad_() for v in values))
    assert torch.autograd.gradcheck(states, inputs)


def test_inputs_of_each_gate(rnn_forward, cell):
    """Each gate has its own inputs; zero weights hide the other gates."""
    gates, x = len(cell.weight_hh_l0) // 2, vectors()
    same(
        cell,
        lambda x: rnn_forward(cell, x, LENGTHS, input_mask=x.new_full((gates, 3, 3), 1.5)),
        lambda x: rnn_forward(cell, 1.5 * x, LENGTHS),
    )
    for gate in range(gates):
        mask = x.new_ones(gates, 3, 3)
        mask[gate] = 0
        blind = type(cell)(3, 2, batch_first=True).double()
        blind.load_state_dict(cell.state_dict())
        with torch.no_grad():
            blind.weight_ih_l0[2 * gate : 2 * gate + 2] = 0
        expected = rnn_forward(blind, x, LENGTHS)
        ours = rnn_forward(cell, x, LENGTHS, input_mask=mask)
        torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


def test_nothing_grows_behind_the_end(rnn_forward, cell):
    """A state that doubles with each step is zero in padding, and so are gradients."""
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.fill_(2)
    x = torch.ones(2, 3_000, 3, dtype=torch.float64, requires_grad=True)
    states = rnn_forward(cell, x, torch.tensor([1, 3]), "relu", "relu")
    assert not states[0, 1:].any()
    assert not states[1, 3:].any()
    states.sum().backward()
    assert x.grad.isfinite().all()
    assert cell.weight_hh_l0.grad.isfinite().all()


def test_autocast(rnn_forward, cell):
    """Only the inputs are rounded; backward is the same within autocast and after it."""
    cell.float()
    x, gradients = vectors().detach().float(), []
    expected = rnn_forward(cell, x, LENGTHS, "relu", mask=mask_of(cell))
    for within in (True, False):
        cell.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            states = rnn_forward(cell, x, LENGTHS, "relu", mask=mask_of(cell))
            if within:
                states.sum().backward()
        if not within:
            states.sum().backward()
        gradients.append(cell.weight_hh_l0.grad.clone())
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, expected, atol=0.05, rtol=0.05)
    assert torch.equal(*gradients)
