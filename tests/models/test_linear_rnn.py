"""minGRU, minLSTM and QRNN: the published equations step by step, scans, the compiled kernel."""

import pytest
import torch
from torch import Tensor, nn

from seqtext.layers.linear_rnn import Candidate, LinearRNNLayer, linear_rnn_forward
from seqtext.layers.ops import linear_rnn as compiled
from seqtext.layers.ops.extension import load_extension
from seqtext.layers.pooling import padding_mask
from seqtext.layers.scan import linear_scan
from seqtext.models.linear_rnn import QRNN, MinGRU, MinLSTM
from tests.models.invariance import model_of, texts

KINDS = {"mingru": MinGRU, "minlstm": MinLSTM, "qrnn": QRNN}
ACTIVATIONS: tuple[Candidate, ...] = ("positive", "linear", "tanh", "relu")
SIZES = [(1, 1, 1, 1), (5, 9, 3, 33), (3, 300, 17, 20)]  # texts, steps, inputs, units
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def activate(name: str, x: Tensor) -> Tensor:
    if name == "positive":  # g of the paper's appendix
        return torch.where(x >= 0, x + 0.5, x.sigmoid())
    return {"linear": lambda x: x, "tanh": torch.tanh, "relu": torch.relu}[name](x)


def step_by_step(
    cell: str, window: int, weight, bias, activation, text: Tensor, is_reversed: bool
) -> Tensor:
    """Compute the states of one text and direction by the papers' equations, [T, E] → [T, U]."""
    state = carry = text.new_zeros(weight.shape[1])
    states = []
    for t in range(len(text)):
        read = [text[t - k] if t >= k else torch.zeros_like(text[0]) for k in range(window)]
        read = read if is_reversed else read[::-1]  # in the order of the text
        gates = [w @ torch.cat(read) + b for w, b in zip(weight, bias, strict=True)]
        if cell == "mingru":
            z, new = gates[0].sigmoid(), activate(activation, gates[1])
            state = (1 - z) * state + z * new
        elif cell == "minlstm":
            forget, enter = gates[0].sigmoid(), gates[1].sigmoid()
            new, total = activate(activation, gates[2]), forget + enter
            state = forget / total * state + enter / total * new
        else:
            new, forget = activate(activation, gates[0]), gates[1].sigmoid()
            carry = forget * carry + (1 - forget) * new
            state = gates[2].sigmoid() * carry
        states.append(state)
    return torch.stack(states)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("window", [1, 3])
def test_equals_the_published_equations(name, window):
    model = model_of(KINDS[name], units=4, bidirectional=True, window=window).double()
    ids, lengths = texts([3, 1, 7, 2])
    with torch.no_grad():
        vectors = model.embed(ids)
        states = model.layers[0](vectors, lengths)
        layer = model.layers[0]
        for row, length in enumerate(lengths):
            text = vectors[row, :length]
            args = [(layer.weight[n], layer.bias[n], layer.activation) for n in range(2)]
            forward = step_by_step(name, window, *args[0], text, False)
            backward = step_by_step(name, window, *args[1], text.flip(0), True).flip(0)
            wanted = torch.cat([forward, backward], dim=1)
            torch.testing.assert_close(states[row, :length], wanted, atol=1e-12, rtol=0)


def results(method, cell: str, sizes, activation: Candidate, dtype, window: int) -> list[Tensor]:
    """Return states and gradients of one way to compute them."""
    torch.manual_seed(0)
    batch, steps, inputs, units = sizes
    options = {"bidirectional": True, "window": window, "init": "torch"}
    layer = LinearRNNLayer(cell, inputs, units, **options).to(dtype)
    x = torch.randn(batch, steps, inputs).to(dtype).requires_grad_()
    lengths = torch.arange(batch) * 3 % steps + 1
    lengths[-1] = steps
    mask = None if activation == "relu" else torch.rand(batch, inputs).to(dtype)
    states = linear_rnn_forward(
        *(cell, x, lengths, layer.weight, layer.bias, activation, mask), method
    )
    states = states.masked_fill(padding_mask(lengths, steps)[..., None], 0)
    weights = torch.randn(states.shape).to(dtype)
    return [states, *torch.autograd.grad((states * weights).sum(), [x, layer.weight, layer.bias])]


@pytest.mark.parametrize("cell", KINDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_all_ways_agree(cell, dtype, sizes):
    """Parallel, sequential and compiled; both directions; of one and several inputs."""
    for activation in ACTIVATIONS:
        for window in (1, 3):
            case = cell, sizes, activation, dtype, window
            wanted = results("sequential", *case)
            for method in ("parallel", None):
                for one, other in zip(results(method, *case), wanted, strict=True):
                    scale = other.abs().max().clamp(min=1)
                    near = TOLERANCE[dtype]
                    torch.testing.assert_close(one / scale, other / scale, atol=near, rtol=0)


def test_scan_gradients():
    torch.manual_seed(0)
    decay = torch.rand(2, 6, 3, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    for reverse in (False, True):
        for method in ("parallel", "sequential"):
            assert torch.autograd.gradcheck(
                lambda a, b, r=reverse, m=method: linear_scan(a, b, r, m), (decay, inputs)
            )


@pytest.mark.skipif(not load_extension(), reason="There is no compiled operator here.")
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("threads", [2], indirect=True)
def test_threads_and_kept_values(monkeypatch):
    case = "mingru", (5, 9, 3, 33), "positive", torch.float64, 1
    two = results(None, *case)
    assert all(map(torch.equal, two, results(None, *case)))
    torch.set_num_threads(1)
    torch.testing.assert_close(results(None, *case), two, atol=1e-12, rtol=0)
    kept, run = [], compiled.LinearRNNArgs.run

    def watch(options, tensors, is_backward):
        kept.append(tensors["saved"])
        run(options, tensors, is_backward)

    monkeypatch.setattr(compiled.LinearRNNArgs, "run", watch)
    model = model_of(MinGRU)
    batch = texts([4, 2])
    wanted = model(*batch)
    assert kept.pop() is not None
    with torch.no_grad():
        assert torch.equal(model(*batch), wanted)
    assert kept.pop() is None


def test_mask_of_inputs_is_one_per_text():
    layer = LinearRNNLayer("mingru", 40, 3, activation="linear", variational_dropout=0.5).train()
    with torch.no_grad():
        layer.bias[0, 0] = 100  # z is 1: the state is the candidate
    states = layer(torch.ones(6, 5, 40), torch.full((6,), 5))
    assert torch.equal(states, states[:, :1].expand_as(states))
    assert len(states[:, 0].unique(dim=0)) == 6


def test_extreme_inputs_are_finite():
    for cell in KINDS:
        layer = LinearRNNLayer(cell, 2, 3, activation="tanh")
        nn.init.ones_(layer.weight)
        x = torch.tensor([[[1e4, 1e4], [-1e4, -1e4], [0, 0]]], requires_grad=True)
        states = layer(x, torch.tensor([3]))
        states.sum().backward()
        assert states.isfinite().all()
        assert x.grad.isfinite().all()
