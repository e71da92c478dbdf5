"""fastText: equal to a computation by hand, and independent of padding."""

import pytest
import torch

from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import OptionError
from seqtext.models.fasttext import FastText
from tests.models.invariance import (
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    texts,
    trainable,
)

CORNERS = [{"bigrams": False}, {"buckets": 1}, {"buckets": 7}, {"buckets": 1000}]


@pytest.fixture(params=CORNERS, ids=str)
def options(request) -> dict:
    return request.param


@pytest.mark.parametrize("classes", [2, 5])
def test_shapes(options, classes):
    for lengths in ([3, 1, 7, 2], [1], [1, 1]):
        logits = model_of(FastText, classes, **options)(*texts(lengths))
        assert logits.shape == ((len(lengths),) if classes == 2 else (len(lengths), classes))


def test_padding_changes_nothing(options):
    model = model_of(FastText, **options)
    if model.bigram_embedding:
        with torch.no_grad():
            model.bigram_embedding.weight[0] = 1e3  # never counts
    assert_padding_changes_nothing(model)


def test_padding_changes_no_gradient(options):
    assert_padding_changes_no_gradient(lambda: model_of(FastText, **options))


def test_equals_a_mean_by_hand():
    model = model_of(FastText, buckets=1000)
    ids = torch.tensor([[5, 6, 1, 6, 5, 7, 0, 0]])
    words, pairs = model.embedding.weight, model.bigram_embedding.weight
    rows = model.bigram_embedding.bigram_ids(ids)[0]
    assert rows[1] == rows[2] == 0, "pairs with an unknown word"
    assert not rows[5:].any(), "pairs with padding"
    assert len(set(rows[[0, 3, 4]].tolist()) - {0}) == 3, "5 6, 6 5 and 5 7"
    vectors = torch.cat([words[ids[0, :6]], pairs[rows[[0, 3, 4]]]])
    expected = model.output(vectors.mean(dim=0))
    torch.testing.assert_close(model(ids, torch.tensor([6])), expected)


def test_order_counts_in_pairs_only():
    one, other = torch.tensor([[5, 6, 7]]), torch.tensor([[7, 6, 5]])
    length = torch.tensor([3])
    assert (model_of(FastText)(one, length) - model_of(FastText)(other, length)).abs() > 0.01
    alone = model_of(FastText, bigrams=False)
    torch.testing.assert_close(alone(one, length), alone(other, length))


def test_pairs_are_spread_over_the_buckets():
    words = torch.arange(2, 302)
    ids = torch.cartesian_prod(words, words)  # 90,000 texts of two words
    rows = FastText(RandomEmbedding(302), buckets=10_000).bigram_embedding.bigram_ids(ids)
    counts = torch.bincount(rows[:, 0], minlength=10_001)
    assert counts[0] == 0
    assert counts[1:].max() < 40  # 9 on average


def test_word_dropout_takes_pairs_too():
    model = model_of(FastText, buckets=1000, word_dropout=0.5).train()
    seen = []
    model.bigram_embedding.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(*texts([400]))
    assert 0.4 < (seen[0] == 0).float().mean() < 0.6


def test_parameters_by_hand():
    embedding = RandomEmbedding(10, 50)
    assert trainable(FastText(embedding, buckets=100)) == 101 * 50 + 51
    assert trainable(FastText(embedding, 5, bigrams=False)) == 51 * 5


@pytest.mark.parametrize("wrong", [{"buckets": 0}, {"bigrams": 2}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        FastText(RandomEmbedding(10), **wrong)


def test_half_of_a_pair_is_each_of_its_words():
    model = model_of(FastText, buckets=1000)
    ids, lengths = torch.tensor([[5, 6, 1, 7, 0]]), torch.tensor([4])
    presence = torch.ones(1, 5, requires_grad=True)
    with model.scale_tokens(presence):
        (shares,) = torch.autograd.grad(model(ids, lengths).sum(), presence)
    words, weight = model.embedding.weight @ model.output.weight[0], model.output.weight[0]
    pair = model.bigram_embedding(model.bigram_embedding.bigram_ids(ids)[:, :1])[0] @ weight
    one, other, unknown, alone = (words[ids[0, :4]] - words[1]) / 5
    expected = torch.stack([one + pair / 10, other + pair / 10, unknown, alone, 0 * alone])
    torch.testing.assert_close(shares[0], expected)
