"""Attention pooling: equal to its formulas, and independent of padding."""

import pytest
import torch

from seqtext.embeddings.random import RandomEmbedding
from seqtext.models.rnn import GRU, LSTM, SimpleRNN
from tests.models.invariance import (
    LENGTHS,
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    padded,
    texts,
    trainable,
)

CORNERS = [
    (LSTM, {"pooling": "attention", "bidirectional": True}),
    (LSTM, {"pooling": "attention_per_feature", "bidirectional": True}),
    (GRU, {"pooling": "attention"}),
    (SimpleRNN, {"pooling": "attention_per_feature", "bidirectional": True}),
]


@pytest.fixture(params=CORNERS, ids=str)
def corner(request) -> tuple[type, dict]:
    kind, options = request.param
    return kind, {"units": 4, **options}


@pytest.mark.parametrize("classes", [2, 5])
def test_shapes(corner, classes):
    kind, options = corner
    for lengths in ([3, 1, 7, 2], [1]):
        logits = model_of(kind, classes, **options)(*texts(lengths))
        assert logits.shape == ((len(lengths),) if classes == 2 else (len(lengths), classes))


def test_padding_changes_nothing(corner):
    kind, options = corner
    assert_padding_changes_nothing(model_of(kind, **options))


def test_padding_changes_no_gradient(corner):
    kind, options = corner
    assert_padding_changes_no_gradient(lambda: model_of(kind, **options))


def test_weights_are_shares_of_the_words(corner):
    kind, options = corner
    model, (ids, lengths) = model_of(kind, **options), texts(LENGTHS)
    weights = model.attention_weights(padded(ids, 3), lengths)
    features = 4 * (2 if options.get("bidirectional") else 1)
    per_token = options["pooling"] == "attention"
    expected = (*ids.shape,) if per_token else (*ids.shape, features)
    assert weights[:, :-3].shape == expected
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones_like(weights[:, 0]))
    for text, length in zip(weights, lengths, strict=True):
        assert not text[length:].any()
    assert (weights[1, 0] == 1).all(), "a word alone has all the weight"
    assert weights[0, :3].std() > 0.001


@pytest.mark.parametrize("pooling", ["attention", "attention_per_feature"])
def test_equals_the_formula(pooling):
    """For one text, with plain matrix products."""
    model = model_of(LSTM, units=4, bidirectional=True, pooling=pooling)
    ids, lengths = texts([6])
    vectors = model.embedding(ids)
    forward, backward = model.layers[0]
    states = torch.cat([forward(vectors)[0], backward(vectors.flip(1))[0].flip(1)], dim=2)[0]
    scores = torch.tanh(states @ model.pool.hidden.weight.T + model.pool.hidden.bias)
    if pooling == "attention":
        scores = scores @ model.pool.score.weight.T
    weights = scores.exp() / scores.exp().sum(dim=0)
    expected = model.output((weights * states).sum(dim=0))
    torch.testing.assert_close(model(ids, lengths), expected)


@pytest.mark.parametrize(("pooling", "more"), [("attention_per_feature", 0), ("attention", 128)])
def test_parameters_by_hand(pooling, more):
    model = LSTM(RandomEmbedding(10, 100), units=64, bidirectional=True, pooling=pooling)
    assert trainable(model) == 2 * 42_240 + (128 * 128 + 128) + more + 129
