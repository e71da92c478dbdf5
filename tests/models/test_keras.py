"""Layers with the weights of Keras' layers have the same outputs and gradients."""

import pytest
import torch
from torch import Tensor, nn

from seqtext.embeddings.random import RandomEmbedding
from seqtext.layers.activations import ACTIVATIONS
from seqtext.layers.normalization import BatchNorm
from seqtext.layers.rnn import rnn_forward
from seqtext.models.base import TextClassifier
from seqtext.models.rnn import GRU, LSTM, RNNClassifier, SimpleRNN
from tests.models.invariance import without_dropout
from tests.models.with_keras import keras

dtypes = keras.src.backend.common.dtypes
KINDS = {SimpleRNN: keras.layers.SimpleRNN, LSTM: keras.layers.LSTM, GRU: keras.layers.GRU}
LENGTHS = torch.tensor([4, 1, 6, 2])
TOLERANCE = {"float32": (1e-5, 1e-4), "float64": (1e-10, 1e-10)}  # of numbers, of gradients


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request) -> type:
    return request.param


@pytest.fixture(params=TOLERANCE)
def dtype(request, monkeypatch) -> str:
    """Make Keras use float64 in place of float32."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    return request.param


def equal(one: Tensor, other: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def keras_order(rows: Tensor, gates: int) -> Tensor:
    """Reorder a GRU's gates from reset, update, new to update, reset, new."""
    parts = rows.chunk(gates)
    return torch.cat([parts[1], parts[0], parts[2]]) if gates == 3 else rows


def keras_weights(cell: nn.RNNBase, values=lambda parameter: parameter.detach()) -> list[Tensor]:
    """Return the cell's weights (or `values` of each) in Keras' shapes and order."""
    gates = len(cell.weight_hh_l0) // cell.hidden_size
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0"]
    kernel, recurrent, bias = (keras_order(values(getattr(cell, n)), gates) for n in names)
    if isinstance(cell, nn.GRU):
        bias = torch.stack([bias, keras_order(values(cell.bias_hh_l0), gates)])
    return [kernel.T, recurrent.T, bias]


def keras_stack(model: RNNClassifier, all_states: bool, dtype: str) -> list:
    """Build Keras' layers with the weights of the model."""
    stack = []
    for number, layer in enumerate(model.layers):
        options = {"activation": model.layers[0].activation, "dtype": dtype}
        every = all_states or number < len(model.layers) - 1
        new = KINDS[type(model)](layer[0].hidden_size, return_sequences=every, **options)
        new = new if len(layer) == 1 else keras.layers.Bidirectional(new, dtype=dtype)
        new.build((None, None, layer[0].input_size))
        new.set_weights([w for cell in layer for w in keras_weights(cell)])
        stack.append(new)
    return stack


def model_of(kind: type, dtype: str, **options) -> RNNClassifier:
    """Build a model with random weights and biases."""
    torch.manual_seed(0)
    model = kind(RandomEmbedding(9, dim=5), pooling="last", **(without_dropout(kind) | options))
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.4)
    return model.to(getattr(torch, dtype))


def vectors(dtype: str) -> Tensor:
    x = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x.to(getattr(torch, dtype)).requires_grad_()


@pytest.mark.parametrize("all_states", [False, True], ids=["last", "all"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("units", [4, [4, 3]], ids=["one layer", "two layers"])
def test_recurrent_layers(kind, units, bidirectional, activation, all_states, dtype):
    model = model_of(kind, dtype, units=units, bidirectional=bidirectional, activation=activation)
    words = torch.arange(6) < LENGTHS[:, None]
    x, x_keras = vectors(dtype), vectors(dtype)
    states = x
    for layer in model.layers:
        states = layer(states, LENGTHS)
    ours = states[words] if all_states else model.pool(states, LENGTHS)
    theirs, stack = x_keras, keras_stack(model, all_states, dtype)
    for layer in stack:
        theirs = layer(theirs, mask=words)
    theirs = theirs[words] if all_states else theirs
    equal(ours, theirs, TOLERANCE[dtype][0])
    for output in (ours, theirs):
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    equal(x.grad, x_keras.grad, TOLERANCE[dtype][1])
    for layer, theirs in zip(model.layers, stack, strict=True):
        grads = [g for cell in layer for g in keras_weights(cell, lambda parameter: parameter.grad)]
        for grad, weight in zip(grads, theirs.trainable_weights, strict=True):
            equal(grad, weight.value.grad, TOLERANCE[dtype][1])


@pytest.mark.parametrize("activation", ["tanh", "relu", "softmax"])
def test_dropout_under_the_same_masks(kind, activation, dtype):
    """Dropout of inputs and of the previous state, with one mask per gate."""
    model = model_of(kind, dtype, units=4)
    ((cell,),) = model.layers
    words, gates = torch.arange(6) < LENGTHS[:, None], len(cell.weight_hh_l0) // 4
    masks = {rate: torch.rand(gates, 4, width) < 0.7 for rate, width in ((0.2, 5), (0.3, 4))}
    masks = {rate: mask.to(getattr(torch, dtype)) * 1.5 for rate, mask in masks.items()}
    layer = KINDS[kind](
        4, activation=activation, dropout=0.2, recurrent_dropout=0.3, return_sequences=True,
        dtype=dtype,
    )  # fmt: skip
    layer.build((None, None, 5))
    layer.set_weights(keras_weights(cell))
    in_order = {rate: list(keras_order(mask, gates)) for rate, mask in masks.items()}
    layer.cell._create_dropout_mask = lambda step_input, rate: (
        in_order[rate][0] if gates == 1 else in_order[rate]
    )
    x, x_keras = vectors(dtype), vectors(dtype)
    ours = rnn_forward(cell, x, LENGTHS, activation, "sigmoid", masks[0.2], masks[0.3])[words]
    theirs = layer(x_keras, mask=words, training=True)[words]
    equal(ours, theirs, TOLERANCE[dtype][0])
    ours.square().sum().backward()
    theirs.square().sum().backward()
    equal(x.grad, x_keras.grad, TOLERANCE[dtype][1])
    grads = keras_weights(cell, lambda parameter: parameter.grad)
    for grad, weight in zip(grads, layer.trainable_weights, strict=True):
        equal(grad, weight.value.grad, TOLERANCE[dtype][1])


class Headless(TextClassifier):
    """A model that consists of a head only."""

    def __init__(self, embedding: nn.Module, **head):
        super().__init__(embedding, **head)


def test_dense_head(dtype):
    torch.manual_seed(0)
    options = {
        "head_dropout": 0.0,
        "head_units": [7, 6],
        "head_activation": ["tanh", "relu"],
        "head_batch_norm": True,
    }
    ours = Headless(RandomEmbedding(9), classes=3, features=5, head_l2=[0.02, 0.01], **options)
    ours = ours.to(getattr(torch, dtype))
    layers = keras.layers
    theirs = keras.Sequential([
        layers.Dense(7, "tanh", kernel_regularizer=keras.regularizers.L2(0.02), dtype=dtype),
        layers.BatchNormalization(dtype=dtype),
        layers.Dense(6, "relu", kernel_regularizer=keras.regularizers.L2(0.01), dtype=dtype),
        layers.BatchNormalization(dtype=dtype),
        layers.Dense(3, dtype=dtype),
    ])  # fmt: skip
    theirs.build((None, 5))
    pairs = [
        *zip([*(d.linear for d in ours.head_layers), ours.output], theirs.layers[::2], strict=True)
    ]
    for linear, dense in pairs:
        dense.set_weights([linear.weight.detach().T, linear.bias.detach()])
    x = vectors(dtype).detach()[:, 0]
    numbers, gradients = TOLERANCE[dtype]
    for _ in range(3):  # the running statistics move
        one, other = ours.compute_logits(x), theirs(x, training=True)
        equal(one, other, numbers)
    penalty = sum(layer.penalty() for layer in ours.head_layers)
    equal(penalty, sum(theirs.losses), numbers)
    (one.square().sum() + penalty).backward()
    (other.square().sum() + sum(theirs.losses)).backward()
    for linear, dense in pairs:
        equal(linear.weight.grad.T, dense.kernel.value.grad, gradients)
        equal(linear.bias.grad, dense.bias.value.grad, gradients)
    equal(ours.eval().compute_logits(x), theirs(x, training=False), numbers)


def test_batch_norm_over_words(dtype):
    """Keras' masked one, where it does not add 1e-7 to the words' number; torch's, but for the
    n / (n - 1) in its running variance."""
    words = torch.arange(6) < LENGTHS[:, None]
    x, torch_dtype = vectors(dtype).detach(), getattr(torch, dtype)
    ours = BatchNorm(5).to(torch_dtype)
    theirs = keras.layers.BatchNormalization(dtype=dtype)
    torchs = nn.BatchNorm1d(5, eps=1e-3, momentum=0.01).to(torch_dtype)
    numbers, near = TOLERANCE[dtype][0], 1e-6
    for _ in range(3):
        normed = ours(x[words])
        equal(normed, theirs(x, mask=words, training=True)[words], near)
        equal(normed, torchs(x[words]), numbers)
    equal(ours.running_mean, theirs.moving_mean.value, near)
    equal(ours.running_var, theirs.moving_variance.value, near)
    equal(ours.running_mean, torchs.running_mean, numbers)
    seen = 1 - 0.99**3
    equal(torchs.running_var, 0.99**3 + (ours.running_var - 0.99**3) * 13 / 12, seen * numbers)
    equal(ours.eval()(x[words]), theirs(x, mask=words, training=False)[words], near)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    x = torch.linspace(-8, 8, 60, dtype=torch.float64).view(6, 10)
    equal(ACTIVATIONS[name](x), keras.activations.get(name)(x), 1e-12)


@pytest.mark.parametrize("init", ["keras", "he_normal"])
def test_starting_values(init):
    """Standard deviation and bounds equal those of Keras' initializers."""
    torch.manual_seed(0)
    keras.utils.set_random_seed(0)
    model = SimpleRNN(RandomEmbedding(9, dim=300), classes=5, units=200, head_units=100, init=init)
    own, output = ("he_normal", "glorot_normal") if init == "he_normal" else ["glorot_uniform"] * 2
    weights = [
        model.layers[0][0].weight_ih_l0,
        model.head_layers[0].linear.weight,
        model.output.weight,
    ]
    for weight, name in zip(weights, [own, own, output], strict=True):
        theirs = keras.initializers.get(name)(weight.T.shape)
        bound = 0.1 if weight is model.output.weight else 0.02  # as many numbers as there are
        assert weight.std().item() == pytest.approx(theirs.std().item(), rel=2 * bound)
        assert weight.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=bound)
