"""Attention over the states of a recurrence: by the formulas, and untouched by padding."""

import pytest
import torch

from seqtext.embeddings.modules import LearnedEmbedding
from seqtext.errors import OptionError
from seqtext.models.attention import Attention
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
    {"attention": "word"},
    {"attention": "feature"},
    {"attention": "word", "cell": "gru", "bidirectional": False},
    {"attention": "feature", "cell": "rnn"},
]


@pytest.fixture(params=CORNERS, ids=str)
def options(request) -> dict:
    return {"units": 4, **request.param}


@pytest.mark.parametrize("classes", [2, 5])
def test_shapes(options, classes):
    for lengths in ([3, 1, 7, 2], [1]):
        logits = model_of(Attention, classes, **options)(*texts(lengths))
        assert logits.shape == ((len(lengths),) if classes == 2 else (len(lengths), classes))


def test_padding_changes_nothing(options):
    assert_padding_changes_nothing(model_of(Attention, **options))


def test_padding_changes_no_gradient(options):
    assert_padding_changes_no_gradient(lambda: model_of(Attention, **options))


def test_weights_are_shares_of_the_words(options):
    model, (ids, lengths) = model_of(Attention, **options), texts(LENGTHS)
    weights = model.attention_weights(padded(ids, 3), lengths)
    features = 4 * (1 if options.get("bidirectional") is False else 2)
    expected = (*ids.shape,) if options["attention"] == "word" else (*ids.shape, features)
    assert weights[:, :-3].shape == expected
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones_like(weights[:, 0]))
    for text, length in zip(weights, lengths, strict=True):
        assert not text[length:].any()
    assert (weights[1, 0] == 1).all(), "a word alone has all the weight"
    assert weights[0, :3].std() > 0.001


@pytest.mark.parametrize("attention", ["word", "feature"])
def test_equals_the_formula(attention):
    """For one text, in plain matrices."""
    model, (ids, lengths) = model_of(Attention, units=4, attention=attention), texts([6])
    vectors = model.embedding(ids)
    forward, backward = model.recurrence
    states = torch.cat([forward(vectors)[0], backward(vectors.flip(1))[0].flip(1)], dim=2)[0]
    scores = torch.tanh(states @ model.attention.hidden.weight.T + model.attention.hidden.bias)
    if attention == "word":
        scores = scores @ model.attention.score.weight.T
    weights = scores.exp() / scores.exp().sum(dim=0)
    expected = model.output((weights * states).sum(dim=0))
    torch.testing.assert_close(model(ids, lengths), expected)


@pytest.mark.parametrize(("attention", "more"), [("feature", 0), ("word", 128)])
def test_parameters_by_hand(attention, more):
    model = Attention(LearnedEmbedding(10, 100), attention=attention)
    assert trainable(model) == 2 * 42_240 + (128 * 128 + 128) + more + 129


@pytest.mark.parametrize("wrong", [{"attention": "both"}, {"cell": "elman"}, {"units": 0}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Attention(LearnedEmbedding(10), **wrong)
