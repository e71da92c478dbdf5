"""fastText: equal to a computation by hand, and independent of padding."""

import pytest
import torch
from torch.nn import functional as F

from seqtext.embeddings.character_ngrams import hash_character_ngrams
from seqtext.embeddings.random import RandomEmbedding
from seqtext.embeddings.spelling import set_tokens
from seqtext.errors import OptionError
from seqtext.models.fasttext import FastText
from seqtext.tokenizers.vocabulary import OpenVocabulary, Vocabulary
from tests.models.invariance import (
    WORDS,
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    texts,
    trainable,
)

CORNERS = [
    {"word_ngrams": 1, "max_n": 0},
    {"buckets": 1},
    {"buckets": 7, "word_ngrams": 4},
    {"max_n": 0, "buckets": 1000},
]
TOKENS = ["<pad>", "<unk>", *(f"word{n}" for n in range(2, WORDS))]
UNKNOWN = ["words", "q", "wort3"]


def spelling_model_of(**options) -> FastText:
    """Return a model that can spell the words 2 to `WORDS` + 2."""
    model = model_of(FastText, **options)
    vocabulary = OpenVocabulary(Vocabulary(TOKENS[2:]), UNKNOWN)
    set_tokens(model, vocabulary)
    return model


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
    if model.ngram_embedding:
        with torch.no_grad():
            model.ngram_embedding.weight[0] = 1e3  # never counts
    assert_padding_changes_nothing(model)


def test_padding_changes_no_gradient(options):
    assert_padding_changes_no_gradient(lambda: model_of(FastText, **options))


def test_equals_a_mean_by_hand():
    model = model_of(FastText, buckets=1000)
    ids = torch.tensor([[5, 6, 1, 6, 5, 7, 0, 0]])
    words, pairs = model.embedding.weight, model.ngram_embedding.weight
    rows = model.word_ngrams.look_up(ids)[0]
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
    alone = model_of(FastText, word_ngrams=1)
    torch.testing.assert_close(alone(one, length), alone(other, length))


def test_pairs_are_spread_over_the_buckets():
    words = torch.arange(2, 302)
    ids = torch.cartesian_prod(words, words)  # 90,000 texts of two words
    rows = FastText(RandomEmbedding(302), buckets=10_000).word_ngrams.look_up(ids)
    counts = torch.bincount(rows[:, 0], minlength=10_001)
    assert counts[0] == 0
    assert counts[1:].max() < 40  # 9 on average


def test_word_dropout_takes_ngrams_too():
    model = model_of(FastText, buckets=1000, word_dropout=0.5).train()
    rows = model._hash_word_ngrams(texts([400])[0])
    assert 0.4 < (rows == 0).float().mean() < 0.6
    model = spelling_model_of(word_dropout=0.5, word_ngrams=1).train()
    ids, _ = texts([400])
    counts = [model._sum_ngrams(ids, model.ngram_embedding)[1].item() for _ in range(2)]
    everything = model.eval()._sum_ngrams(ids, model.ngram_embedding)[1].item()
    assert counts[0] != counts[1]
    assert all(0.3 < count / everything < 0.7 for count in counts)


def test_parameters_by_hand():
    embedding = RandomEmbedding(10, 50)
    assert trainable(FastText(embedding, buckets=100)) == 101 * 50 + 51
    assert trainable(FastText(embedding, 5, word_ngrams=1, max_n=0)) == 51 * 5


@pytest.mark.parametrize(
    "wrong", [{"buckets": 0}, {"word_ngrams": 0}, {"max_n": 2}, {"max_n": 10**9}]
)
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
    pair = model.ngram_embedding.weight[model.word_ngrams.look_up(ids)[0, 0]] @ weight
    one, other, unknown, alone = (words[ids[0, :4]] - words[1]) / 5
    expected = torch.stack([one + pair / 10, other + pair / 10, unknown, alone, 0 * alone])
    torch.testing.assert_close(shares[0], expected)


def test_character_ngrams_by_hand():
    """A known word has its vector and n-grams', an unknown one n-grams only, by its spelling."""
    model = spelling_model_of(min_n=2, max_n=3, buckets=900)
    ids = torch.tensor([[2, WORDS, 3, 0]])
    words = [TOKENS[2], UNKNOWN[0], TOKENS[3]]
    _, rows = hash_character_ngrams(words, 2, 3, 900)
    table, pairs = model.ngram_embedding.weight, model.word_ngrams.look_up(ids)[0, :2]
    assert pairs.all(), "pairs with an unknown word count"
    vectors = torch.cat(
        [model.embedding.weight[2:4], table[1 + torch.tensor(rows).long()], table[pairs]]
    )
    expected = model.output(vectors.mean(dim=0))
    torch.testing.assert_close(model(ids, torch.tensor([3])), expected)


def test_pairs_are_of_spellings_not_of_ids():
    model, again = spelling_model_of(), spelling_model_of()
    again.word_ngrams.set_unknown_tokens(UNKNOWN[::-1])
    rows = model.word_ngrams.look_up(torch.tensor([[WORDS, 5, WORDS + 2]]))
    same = again.word_ngrams.look_up(torch.tensor([[WORDS + 2, 5, WORDS]]))
    assert torch.equal(rows, same)


@pytest.mark.parametrize("options", [{}, {"word_ngrams": 1}, {"max_n": 0, "word_ngrams": 3}])
def test_texts_with_unknown_words(options):
    model = spelling_model_of(**options)
    ids, lengths = (
        torch.tensor([[5, WORDS + 1, 6, WORDS], [WORDS + 1, 0, 0, 0]]),
        torch.tensor([4, 1]),
    )
    logits = model(ids, lengths)
    assert logits.isfinite().all()
    torch.testing.assert_close(model(F.pad(ids, (0, 3)), lengths), logits)
    torch.testing.assert_close(model(ids[1:, :1], lengths[1:]), logits[1:])
    presence = torch.ones(2, 4, requires_grad=True)
    with model.scale_tokens(presence):
        scaled = model(ids, lengths)
    torch.testing.assert_close(scaled, logits)
    (shares,) = torch.autograd.grad(scaled.sum(), presence)
    assert shares[0].all(), "each word has a share, unknown ones too"
    assert not shares[1, 1:].any()


def test_the_graph_has_the_ngrams_of_known_words(monkeypatch):
    model = spelling_model_of()
    ids, lengths = texts([5, 3])
    expected = model(ids, lengths)
    model.prepare_for_export()
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(model(ids, lengths), expected)


def test_order_of_lengths_is_checked():
    with pytest.raises(OptionError, match="max_n"):
        FastText(RandomEmbedding(10), min_n=3, max_n=2)
