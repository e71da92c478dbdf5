"""Recurrent models: equal to torch's, the studies' sizes, initialization, dropout."""

import pytest
import torch
from torch import nn

from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import OptionError, UserError
from seqtext.layers.rnn import CELLS, variational_dropout
from seqtext.models.rnn import GRU, LSTM, SimpleRNN
from tests.models.invariance import without_dropout

MODELS = {"rnn": SimpleRNN, "lstm": LSTM, "gru": GRU}


@pytest.fixture(params=MODELS)
def kind(request) -> type:
    return MODELS[request.param]


def model_of(kind: type, classes: int = 2, **options) -> nn.Module:
    torch.manual_seed(0)
    options = without_dropout(kind) | {"units": 5} | options
    model = kind(RandomEmbedding(50, dim=6), classes, **options)
    nn.init.normal_(model.embedding.weight)  # larger than at the start: differences show
    return model.eval()


def texts(lengths: list[int], padding: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 50, (len(lengths), max(lengths) + padding), generator=generator)
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    return ids, torch.tensor(lengths)


@pytest.mark.parametrize("cell", MODELS)
@pytest.mark.parametrize("layers", [1, 2])
def test_equals_torch_on_packed_sequences(cell, layers):
    model = model_of(MODELS[cell], layers=layers, bidirectional=True, pooling="last").double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    ids, lengths = texts([3, 1, 7, 2])
    reference = CELLS[cell].module(6, 5, layers, batch_first=True, bidirectional=True).double()
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
    expected = model.compute_logits(torch.cat([hidden[-2], hidden[-1]], dim=1))
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
    model = kind(RandomEmbedding(10, dim=inputs), units=units)
    assert sum(p.numel() for p in model.layers.parameters() if p.requires_grad) == parameters


@pytest.mark.parametrize(
    ("kind", "inputs", "options", "parameters"),
    [
        (LSTM, 100, {"units": [64, 128], "classes": 5}, [42_240, 98_816, 645]),
        (GRU, 100, {"units": 256, "classes": 5}, [274_944, 1_285]),
        (GRU, 100, {"units": [8, 16], "classes": 5}, [2_640, 1_248, 85]),
        (GRU, 100, {"units": [8, 32, 32, 32], "classes": 5}, [2_640, 4_032, 6_336, 6_336, 165]),
        (LSTM, 50, {"units": 64, "head_units": 256}, [29_440, 16_640, 257]),
        (
            LSTM,  # with batch norm: twice the widths (study 2)
            128,
            {"units": 64, "layers": 2, "head_units": [64, 16], "head_batch_norm": [True, False]},
            [49_408, 33_024, 4_160 + 128, 1_040, 17],
        ),
        (
            LSTM,  # study 3
            88,
            {"units": 512, "layers": 2, "bidirectional": True, "head_units": [512, 128]},
            [2 * 1_230_848, 2 * 3_147_776, 524_800, 65_664, 129],
        ),
    ],
)
def test_trainable_parameters_of_stacks(kind, inputs, options, parameters):
    model = kind(RandomEmbedding(10, dim=inputs), pooling="last", **options)
    rows = [*model.layers, *model.head_layers, model.output]
    counts = [sum(p.numel() for p in row.parameters() if p.requires_grad) for row in rows]
    assert counts == parameters


@pytest.mark.parametrize(
    ("features", "parameters"), [(128, 645), (256, 1_285), (16, 85), (32, 165)]
)
def test_output_layer_parameters_equal_the_studies(features, parameters):
    model = GRU(RandomEmbedding(10), classes=5, units=features, pooling="last")
    assert sum(p.numel() for p in model.output.parameters()) == parameters


def test_starting_values_are_those_of_keras(kind):
    model = kind(RandomEmbedding(100, dim=30), units=20)
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


def test_each_direction_has_its_own_mask():
    """As with two Keras layers: equal inputs and weights, different outputs."""
    model = model_of(GRU, bidirectional=True, variational_dropout=0.5, pooling="last").train()
    forward, backward = model.layers[0]
    backward.load_state_dict(forward.state_dict())
    states = model.layers[0](torch.ones(8, 1, 6), torch.ones(8, dtype=torch.long))
    assert not torch.equal(states[..., :5], states[..., 5:])


def test_recurrent_dropout_only_trains():
    model, batch = model_of(GRU, recurrent_dropout=0.5), texts([5, 3])
    assert torch.equal(model(*batch), model_of(GRU)(*batch))
    torch.manual_seed(0)
    assert not torch.equal(model.train()(*batch), model(*batch))
    first = texts([1, 1])  # before the first word there is no state to drop
    assert torch.allclose(model(*first), model.eval()(*first))


@pytest.mark.parametrize("option", ["embedding_dropout", "inter_layer_dropout"])
def test_plain_dropout_is_of_each_number_alone(option, monkeypatch):
    rates = []

    def dropout(states, rate, training):
        rates.append(rate)
        return nn.functional.hardtanh(states)

    model = model_of(GRU, layers=2, **{option: 0.4}).train()
    monkeypatch.setattr("seqtext.models.stacked.F.dropout", dropout)
    model(*texts([3, 2]))
    assert rates[:2] == ([0.4, 0] if option == "embedding_dropout" else [0, 0.4])


def test_dropouts_of_layers():
    rates = {"variational_dropout": [0.1, 0.2, 0.3], "recurrent_dropout": [0.4, 0, 0.5]}
    model = model_of(LSTM, layers=3, inter_layer_dropout=[0.6, 0.7], **rates)
    assert [layer.variational_dropout for layer in model.layers] == rates["variational_dropout"]
    assert [layer.recurrent_dropout for layer in model.layers] == rates["recurrent_dropout"]
    assert model.inter_layer_dropout == [0.6, 0.7]


def test_batch_norm_between_layers_leaves_padding_out():
    model, (ids, lengths) = model_of(GRU, layers=2, batch_norm=True).train(), texts([3, 1, 7, 2])
    model(ids, lengths)
    states = model.layers[0](model.embed(ids), lengths)
    words = states[torch.arange(7) < lengths[:, None]]
    torch.testing.assert_close(model.norms[0].running_mean, 0.01 * words.mean(dim=0))
    padded = nn.functional.pad(ids, (0, 9))
    twin = model_of(GRU, layers=2, batch_norm=True).train()
    torch.testing.assert_close(twin(padded, lengths), model(ids, lengths))


def test_attention_weighs_words_only():
    model, (ids, lengths) = model_of(GRU, pooling="attention"), texts([3, 1, 7, 2])
    states = model.layers[0](model.embed(ids), lengths)
    weights = model.pool.weights(states, lengths)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    assert ((weights > 0) == (ids != 0)).all()
    hidden, score = model.pool.hidden, model.pool.score
    scores = torch.tanh(states[2] @ hidden.weight.T + hidden.bias) @ score.weight[0]
    expected = scores.softmax(dim=0) @ states[2]
    torch.testing.assert_close(model.pool(states, lengths)[2], expected)


def test_word_dropout_spares_padding():
    model = model_of(GRU, word_dropout=0.5).train()
    ids, _ = texts([40, 10])
    unknown = (model.embed(ids) == model.embedding.weight[1]).all(dim=2)
    padding = (model.embed(ids) == model.embedding.weight[0]).all(dim=2)
    assert 5 < unknown.sum() < 45
    assert (padding == (ids == 0)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": [3, 4], "layers": 3}, "model.units=.3, 4. and model.layers=3 contradict"),
        ({"units": []}, "as many units"),
        (
            {"units": [3, 4], "variational_dropout": [0.1]},
            "model.variational_dropout=.0.1. .* list of 2, one per layer",
        ),
        ({"recurrent_dropout": [0.1, 0.2]}, "list of 1, one per layer"),
        ({"layers": 3, "inter_layer_dropout": [0.1]}, "list of 2, one per gap"),
        (
            {"head_units": [3, 4], "head_l2": [0.1]},
            "model.head_l2=.0.1. .* of 2, one per head layer",
        ),
        ({"head_units": 3, "head_activation": "swoosh"}, "head_activation=swoosh"),
        ({"activation": "swoosh"}, "activation=swoosh"),
        ({"init": "zeros"}, "keras, torch, he_normal"),
    ],
    ids=str,
)
def test_what_contradicts_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        GRU(RandomEmbedding(10), **options)


@pytest.mark.parametrize("wrong", [{"units": 0}, {"variational_dropout": 1.0}, {"pooling": "sum"}])
def test_wrong_options_are_refused_without_hydra(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        GRU(RandomEmbedding(10), **wrong)
