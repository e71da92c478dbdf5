"""The dual RNN: equal to the network of study 1, and independent of padding."""

import pytest
import torch

from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import OptionError
from seqtext.layers.rnn import rnn_forward
from seqtext.models.dual_rnn import DualRNN
from tests.models.invariance import (
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    texts,
    trainable,
)

CELLS = ["rnn", "lstm", "gru"]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_shapes(cell, classes):
    for lengths in ([3, 1, 7, 2], [1]):
        logits = model_of(DualRNN, classes, cell=cell, units=5)(*texts(lengths))
        assert logits.shape == ((len(lengths),) if classes == 2 else (len(lengths), classes))


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_nothing(cell):
    assert_padding_changes_nothing(model_of(DualRNN, cell=cell, units=5))
    assert_padding_changes_nothing(model_of(DualRNN, 5, cell=cell, units=5))


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_no_gradient(cell):
    assert_padding_changes_no_gradient(lambda: model_of(DualRNN, cell=cell, units=5))


@pytest.mark.parametrize("classes", [2, 4])
def test_equals_its_drawing(classes):
    """One text, without padding, with torch's layers."""
    model = model_of(DualRNN, classes, units=5)
    ids, lengths = texts([6])
    vectors = model.embedding(ids)
    first, second = (rnn[0](vectors)[1][0] for rnn in model.rnns)
    verdict = model.rnn_output(first)
    share = verdict.sigmoid() if classes == 2 else verdict.exp() / verdict.exp().sum()
    expected = model.output(torch.cat([share, second], dim=1))
    torch.testing.assert_close(model(ids, lengths).reshape(1, -1), expected)


@pytest.mark.parametrize(
    ("cell", "classes", "parameters"),
    [
        ("gru", 2, 2 * 45_600 + 101 + 102),
        ("lstm", 2, 2 * 60_400 + 101 + 102),
        ("rnn", 2, 2 * 15_100 + 101 + 102),
        ("gru", 5, 2 * 45_600 + 101 * 5 + 106 * 5),
    ],
)
def test_parameters_equal_the_study(cell, classes, parameters):
    assert trainable(DualRNN(RandomEmbedding(10, 50), classes, cell=cell)) == parameters


def test_dropout_differs_between_the_chains(monkeypatch):
    torch.manual_seed(0)
    model = DualRNN(RandomEmbedding(50, 40), units=4, variational_dropout=0.5).train()
    seen = []

    def watched(cell, inputs, *options, **named):
        seen.append(inputs == 0)
        return rnn_forward(cell, inputs, *options, **named)

    monkeypatch.setattr("seqtext.layers.rnn.rnn_forward", watched)
    model(*texts([5, 5]))
    assert (seen[0] == seen[0][:, :1]).all(), "one mask for all words"
    assert (seen[0] != seen[1]).any()


@pytest.mark.parametrize("wrong", [{"cell": "elman"}, {"units": 0}, {"variational_dropout": 1.0}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        DualRNN(RandomEmbedding(10), **wrong)
