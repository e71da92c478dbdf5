"""Within autocast, the compiled operators round the operands of their products to bfloat16."""

import pytest
import torch
from torch import Tensor, nn

from seqtext.layers.conv import ConvBlock
from seqtext.layers.linear_rnn import LinearRNNLayer
from seqtext.layers.ops import conv, embedding, extension, linear_rnn, pooling, rnn
from seqtext.layers.rnn import RNNLayer

pytestmark = pytest.mark.skipif(
    not extension.load_extension(), reason="There is no compiled operator here."
)
SIZES = [  # texts, steps, inputs, units: even and odd widths, and several panels
    (4, 3, 1, 2),
    (5, 9, 3, 17),
    (19, 6, 40, 34),
    (3, 150, 7, 3),
]
LAYERS = {
    "rnn": lambda inputs, units: RNNLayer("rnn", inputs, units, bidirectional=True),
    "lstm": lambda inputs, units: RNNLayer("lstm", inputs, units, recurrent_dropout=0.3),
    "gru": lambda inputs, units: RNNLayer(
        "gru", inputs, units, recurrent_dropout=0.3, variational_dropout=0.3
    ),
    "conv": lambda inputs, units: ConvBlock(inputs, units, 3, 1, True, "keras", relu=False),
    "mingru": lambda inputs, units: LinearRNNLayer("mingru", inputs, units, bidirectional=True),
    "minlstm": lambda inputs, units: LinearRNNLayer(
        "minlstm", inputs, units, variational_dropout=0.3
    ),
    "qrnn": lambda inputs, units: LinearRNNLayer("qrnn", inputs, units, window=2),
}
ARGUMENTS = {"conv": conv.ConvArgs, "rnn": rnn.RNNArgs, "linear": linear_rnn.LinearRNNArgs}


@pytest.fixture(params=LAYERS)
def name(request) -> str:
    return request.param


@pytest.fixture
def kernel_calls(monkeypatch) -> list[int]:
    """Return a list that grows by `bf16` of each call of a kernel."""
    calls: list[int] = []
    run = extension.KernelArgs.run.__func__

    def record(cls, options, tensors, is_backward):
        calls.append(options["bf16"])
        run(cls, options, tensors, is_backward)

    monkeypatch.setattr(extension.KernelArgs, "run", classmethod(record))
    return calls


def compute_all(layer: nn.Module, x: Tensor, lengths: Tensor, **autocast) -> list[Tensor]:
    """Return the states of words, and gradients of a weighted sum of them."""
    torch.manual_seed(1)  # the same dropout
    x = x.detach().requires_grad_()
    with torch.autocast("cpu", **autocast):
        states = layer(x, lengths)
    words = torch.arange(x.shape[1]) < lengths[:, None]
    states = states * words[..., None]
    weights = torch.linspace(-1, 1, states.numel()).view_as(states)
    parameters = [p for p in layer.parameters() if p.requires_grad]
    gradients = torch.autograd.grad((states.float() * weights).sum(), [x, *parameters])
    return [states.detach(), *gradients]


def build_case(name: str, sizes: tuple[int, ...] = SIZES[1]) -> tuple[nn.Module, Tensor, Tensor]:
    texts, steps, inputs, units = sizes
    torch.manual_seed(0)
    lengths = torch.arange(texts) * 5 % steps + 1
    lengths[-1] = steps
    return LAYERS[name](inputs, units), torch.randn(texts, steps, inputs), lengths


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_results_are_those_of_float32_but_for_rounding(name, sizes, kernel_calls):
    case = build_case(name, sizes)
    expected = compute_all(*case, enabled=False)
    assert not any(kernel_calls)
    kernel_calls.clear()
    results = compute_all(*case, dtype=torch.bfloat16)
    assert kernel_calls
    assert set(kernel_calls) == {int(extension.has_bf16_products())}
    for one, other in zip(results, expected, strict=True):
        assert one.dtype == torch.float32
        scale = other.abs().max().clamp(min=0.3)
        torch.testing.assert_close(one / scale, other / scale, atol=0.03, rtol=0)


def test_without_instructions_for_it_and_in_float16_results_are_those_of_float32(name, monkeypatch):
    case = build_case(name)
    expected = compute_all(*case, enabled=False)
    assert all(map(torch.equal, compute_all(*case, dtype=torch.float16), expected))
    monkeypatch.setattr(extension, "has_bf16_products", lambda: False)
    assert all(map(torch.equal, compute_all(*case, dtype=torch.bfloat16), expected))


def test_sums_have_float32(name):
    """Products of numbers that bfloat16 has are exact: only sums could be rounded."""
    layer, x, lengths = build_case(name, (4, 1, 33, 5))
    for parameter in layer.parameters():
        parameter.data = parameter.data.bfloat16().float()
    x = x.bfloat16().float()
    layer.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = layer(x, lengths)
    torch.testing.assert_close(states, layer(x, lengths), atol=2e-6, rtol=1e-5)


def test_rounded_inputs_are_cast(name):
    layer, x, lengths = build_case(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = layer.eval()(x.bfloat16(), lengths)
        assert states.dtype == torch.float32
        assert torch.equal(states, layer(x.bfloat16().float(), lengths))


def test_nan_and_large_numbers_of_one_text_remain_its_own(name):
    layer, x, lengths = build_case(name)
    expected = compute_all(layer.eval(), x, lengths, dtype=torch.bfloat16)[0]
    x[0, 0, 0], x[1, 0] = torch.nan, 3e38
    states = compute_all(layer, x, lengths, dtype=torch.bfloat16)[0]
    assert states[0, 0].isnan().any()
    assert torch.equal(states[2:], expected[2:])


def test_look_up_and_maximum_keep_float32():
    table = torch.randn(7, 3, requires_grad=True)
    ids = torch.tensor([[1, 2, 3], [4, 4, 0]])
    results = []
    for enabled in (False, True):
        table.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            assert pooling.is_supported(table)
            largest = pooling.max_over_time(embedding.embed(ids, table), torch.tensor([3, 2]))
            largest.square().sum().backward()
        results.append([largest, table.grad])
    assert all(map(torch.equal, *results))


def test_when_bf16_is_used(monkeypatch):
    monkeypatch.setattr(extension, "has_bf16_products", lambda: True)
    assert not extension.use_bf16_products()
    with torch.autocast("cpu", dtype=torch.float16):
        assert not extension.use_bf16_products()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert extension.use_bf16_products()
        with torch.autocast("cpu", enabled=False):
            assert not extension.use_bf16_products()
        monkeypatch.setattr(extension, "has_bf16_products", lambda: False)
        assert not extension.use_bf16_products()
