"""The recurrent models against torch's own, and the rules that every model keeps."""

import copy

import pytest
import torch
from torch import nn

from seqtext.models.embedding import LearnedEmbedding
from seqtext.models.recurrent import GRU, LSTM, SimpleRNN, variational_dropout
from seqtext.options import OptionError

MODELS = {"rnn": SimpleRNN, "lstm": LSTM, "gru": GRU}
CORNERS = [
    {},
    {"pooling": "mean"},
    {"pooling": "last"},
    {"bidirectional": True},
    {"bidirectional": True, "pooling": "last", "layers": 2},
    {"layers": 3, "dropout": 0.4, "word_dropout": 0.2, "output_dropout": 0.3},
]


@pytest.fixture(params=MODELS)
def kind(request) -> type:
    return MODELS[request.param]


@pytest.fixture(params=CORNERS, ids=str)
def options(request) -> dict:
    return request.param


def model_of(kind: type, classes: int = 2, **options) -> nn.Module:
    torch.manual_seed(0)
    model = kind(LearnedEmbedding(50, dim=6), classes, units=5, **options)
    nn.init.normal_(model.embedding.weight)  # larger than at the start: differences show
    return model.eval()


def texts(lengths: list[int], padding: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 50, (len(lengths), max(lengths) + padding), generator=generator)
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    return ids, torch.tensor(lengths)


@pytest.mark.parametrize("classes", [2, 5])
def test_shapes(kind, options, classes):
    logits = model_of(kind, classes, **options)(*texts([3, 1, 7, 2]))
    assert logits.shape == ((4,) if classes == 2 else (4, classes))


def test_padding_changes_nothing(kind, options):
    model = model_of(kind, **options)
    ids, lengths = texts([3, 1, 7, 2])
    padded = nn.functional.pad(ids, (0, 11))
    torch.testing.assert_close(model(padded, lengths), model(ids, lengths), atol=1e-6, rtol=0)
    with torch.no_grad():
        model.embedding.weight[0] = 1e6  # even if padding had a vector
    torch.testing.assert_close(model(padded, lengths), model(ids, lengths), atol=1e-6, rtol=0)


def test_padding_changes_no_gradient(kind, options):
    gradients = []
    for padding in (0, 9):
        model = model_of(kind, **options)
        ids, lengths = texts([3, 1, 7, 2])
        model(nn.functional.pad(ids, (0, padding)), lengths).sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_company_changes_nothing(kind, options):
    model = model_of(kind, **options)
    ids, lengths = texts([3, 1, 7, 2])
    together = model(ids, lengths)
    alone = torch.cat(
        [model(ids[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    )
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(together[order], model(ids[order], lengths[order]))


def test_gradients_reach_every_trainable_parameter(kind, options):
    model = model_of(kind, **options)
    model(*texts([3, 1, 7, 2])).sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("cell", MODELS)
@pytest.mark.parametrize("layers", [1, 2])
def test_equals_torch_on_packed_sequences(cell, layers):
    model = model_of(MODELS[cell], layers=layers, bidirectional=True, pooling="last").double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    ids, lengths = texts([3, 1, 7, 2])
    reference = MODELS[cell].cell(6, 5, layers, batch_first=True, bidirectional=True).double()
    for layer, directions in enumerate(model.layers):
        for suffix, direction in zip(("", "_reverse"), directions, strict=True):
            for name, parameter in direction.named_parameters():
                target = getattr(reference, name.replace("_l0", f"_l{layer}{suffix}"))
                target.data.copy_(parameter.data)
    packed = nn.utils.rnn.pack_padded_sequence(
        model.embedding(ids), lengths, batch_first=True, enforce_sorted=False
    )
    state = reference(packed)[1]
    hidden = state[0] if cell == "lstm" else state  # [layers × 2, B, U]
    expected = model.logits(torch.cat([hidden[-2], hidden[-1]], dim=1))
    torch.testing.assert_close(model(ids, lengths), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("kind", "inputs", "units", "parameters"),
    [
        (SimpleRNN, 50, 100, 15_100),
        (LSTM, 50, 100, 60_400),
        (GRU, 50, 100, 45_600),
        (LSTM, 100, 64, 42_240),
        (LSTM, 64, 128, 98_816),
        (GRU, 100, 256, 274_944),
        (GRU, 100, 8, 2_640),
        (GRU, 8, 16, 1_248),
        (GRU, 8, 32, 4_032),
        (GRU, 32, 32, 6_336),
    ],
)
def test_trainable_parameters_equal_the_studies(kind, inputs, units, parameters):
    model = kind(LearnedEmbedding(10, dim=inputs), units=units)
    assert sum(p.numel() for p in model.layers.parameters() if p.requires_grad) == parameters


@pytest.mark.parametrize(
    ("features", "parameters"), [(128, 645), (256, 1_285), (16, 85), (32, 165)]
)
def test_output_layer_parameters_equal_the_studies(features, parameters):
    model = GRU(LearnedEmbedding(10), classes=5, units=features)
    assert sum(p.numel() for p in model.output.parameters()) == parameters


def test_starting_values_are_those_of_keras(kind):
    model = kind(LearnedEmbedding(100, dim=30), units=20)
    (layer,) = model.layers[0]
    gates = layer.weight_hh_l0.shape[0]
    torch.testing.assert_close(layer.weight_hh_l0.T @ layer.weight_hh_l0, torch.eye(20))
    limit = (6 / (30 + gates)) ** 0.5
    assert 0.9 * limit < layer.weight_ih_l0.abs().max() <= limit
    assert 0.045 < model.embedding.weight.abs().max() <= 0.05
    assert not model.embedding.weight[0].any()
    assert not layer.bias_hh_l0.any()
    forget = torch.zeros(gates)
    if kind is LSTM:
        forget[20:40] = 1
    assert layer.bias_ih_l0.tolist() == forget.tolist()


def test_frozen_second_bias_stays_zero():
    model = model_of(LSTM).train()
    optimizer = torch.optim.Adam(p for p in model.parameters() if p.requires_grad)
    model(*texts([3, 2])).sum().backward()
    optimizer.step()
    assert not model.layers[0][0].bias_hh_l0.any()


def test_dropout_mask_is_one_per_text():
    torch.manual_seed(0)
    dropped = variational_dropout(torch.ones(4, 6, 100), 0.3, training=True)
    assert (dropped == dropped[:, :1]).all()
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert 0.5 < (dropped[:, 0] > 0).float().mean() < 0.9
    assert (variational_dropout(dropped, 0.3, training=False) == dropped).all()


def test_word_dropout_spares_padding():
    model = model_of(GRU, word_dropout=0.5).train()
    ids, _ = texts([40, 10])
    unknown = (model.embed(ids) == model.embedding.weight[1]).all(dim=2)
    padding = (model.embed(ids) == model.embedding.weight[0]).all(dim=2)
    assert 5 < unknown.sum() < 45
    assert (padding == (ids == 0)).all()


def test_same_seed_same_start(kind):
    one, other = model_of(kind), model_of(kind)
    assert all((a == b).all() for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_copies_and_precisions(kind, options):
    model, (ids, lengths) = model_of(kind, **options), texts([3, 1, 7])
    expected = model(ids, lengths)
    assert (copy.deepcopy(model)(ids, lengths) == expected).all()
    torch.testing.assert_close(model.double()(ids, lengths).float(), expected, atol=1e-5, rtol=0)


def test_overfits_eight_texts(kind):
    model, (ids, lengths) = model_of(kind).train(), texts([5, 3, 8, 2, 6, 4, 7, 1])
    labels = torch.tensor([0.0, 1, 0, 1, 1, 0, 0, 1])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(ids, lengths), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.05


@pytest.mark.parametrize("wrong", [{"units": 0}, {"dropout": 1.0}, {"pooling": "sum"}])
def test_wrong_options_are_refused_without_hydra(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        GRU(LearnedEmbedding(10), **wrong)
