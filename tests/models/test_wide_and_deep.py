"""Wide and deep: terms by definition, naive Bayes by hand, independent training of both parts."""

import math
from collections import Counter

import pytest
import torch

from seqtext.data.loaders import Batch
from seqtext.embeddings.character_ngrams import hash_character_ngrams
from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import OptionError
from seqtext.losses import cross_entropy
from seqtext.models.hashed_linear import HashedNgramLinear
from seqtext.models.wide_and_deep import WideAndDeep
from tests.models.invariance import assert_padding_changes_nothing, model_of, texts

IDS = torch.tensor([[5, 6, 5, 6, 1, 7, 0, 0], [7, 0, 0, 0, 0, 0, 0, 0]])


def batch(ids: torch.Tensor, labels: list[int]) -> Batch:
    lengths = (ids != 0).sum(dim=1)
    return Batch(ids, lengths, torch.tensor(labels), torch.arange(len(ids)))


def test_each_word_and_pair_once():
    layer = HashedNgramLinear(1, 2**20, 0.0, 0.3)
    found = [{term for term in text.tolist() if term} for text in layer.hash_ngrams(IDS)]
    counts = Counter(term for text in layer.hash_ngrams(IDS).tolist() for term in text if term)
    assert len(found[0]) == 5, "5, 6, 7, 5-6 and 6-5; nothing with the unknown word"
    assert found[1] < found[0], "the word 7"
    assert max(counts.values()) == 2
    reversed_pair = layer.hash_ngrams(torch.tensor([[6, 5]]))[0].tolist()
    assert len({term for term in reversed_pair if term} & found[0]) == 3


@pytest.mark.parametrize("classes", [2, 3])
def test_start_is_naive_bayes(classes):
    labels = [0, 1, 1] if classes == 2 else [0, 1, 2]
    ids = torch.cat([IDS, torch.tensor([[7, 8, 0, 0, 0, 0, 0, 0]])])
    layer = HashedNgramLinear(1 if classes == 2 else classes, 1000, 0.0, nb_prior=0.5)
    layer.initialize_from_data([batch(ids[:2], labels[:2]), batch(ids[2:], labels[2:])], classes)
    term = layer.hash_ngrams(torch.tensor([[7]]))[0].max()
    table = {}
    for number in range(classes):
        rows = [n for n, label in enumerate(labels) if label == number]
        found = torch.cat([layer.hash_ngrams(ids[[n]]).flatten() for n in rows])
        table[number] = torch.bincount(found[found > 0], minlength=1001) + 1

    for number in [1] if classes == 2 else range(classes):
        rest = sum(counts for other, counts in table.items() if other != number)
        own = table[number]
        expected = math.log(own[term] / own.sum()) - math.log(rest[term] / rest.sum())
        column = 0 if classes == 2 else number
        assert layer.weight[term, column].item() == pytest.approx(0.5 * expected, abs=1e-5)
    assert not layer.weight[0].any()


@pytest.mark.parametrize(
    "options", [{"cell": None}, {"cell": "gru"}, {"bidirectional": False}], ids=str
)
@pytest.mark.parametrize("classes", [2, 4])
def test_padding_changes_nothing(options, classes):
    assert_padding_changes_nothing(model_of(WideAndDeep, classes, units=4, buckets=500, **options))


def test_text_of_unknown_words_has_no_terms():
    layer = HashedNgramLinear(1, 100, 0.5, 0.3).train()
    torch.nn.init.ones_(layer.weight)
    assert layer(torch.ones(2, 5, dtype=torch.int64)).tolist() == [[0], [0]]


def test_parts_learn_apart():
    options = {"linear_C": None, "ngram_dropout": 0.0, "deep_weight": 0.5, "max_n": 0}
    model = model_of(WideAndDeep, units=4, buckets=500, **options).train()
    ids, lengths = texts([5, 3, 4])
    one = Batch(ids, lengths, torch.tensor([0, 1, 1]), torch.arange(3))
    logits, loss = model.compute_logits_and_loss(one)
    terms = model.terms(ids).squeeze(1)
    deep = 2 * model(ids, lengths) - terms
    torch.testing.assert_close(logits, ((terms + deep) / 2).detach())
    torch.testing.assert_close(
        loss, cross_entropy(terms, one.labels) + cross_entropy(deep, one.labels)
    )


def test_dropout_only_while_training():
    layer = HashedNgramLinear(1, 500, 0.9, 0.3)
    torch.nn.init.normal_(layer.weight)
    ids, _ = texts([9] * 5)
    assert (layer.eval()(ids) == layer(ids)).all()
    layer.train()
    assert (layer(ids) != layer(ids)).any()


def test_terms_do_not_read_the_embedding():
    model = WideAndDeep(RandomEmbedding(50, 4), units=3, buckets=100).eval()
    before = model.terms(texts([4])[0])
    torch.nn.init.ones_(model.embedding.weight)
    assert (model.terms(texts([4])[0]) == before).all()


def test_a_term_is_shared_by_its_places():
    """Half of a pair for each of its words, and equal parts for each position of a word."""
    layer = HashedNgramLinear(1, 2**20, 0.0, 0.3)
    torch.nn.init.normal_(layer.weight)
    weights = {}
    for text in ([5], [6], [7], [5, 6], [6, 5]):
        terms = layer.hash_ngrams(torch.tensor([text])).flatten()
        weights[*text] = layer.weight[terms, 0].sum().item() - sum(
            weights[word,] for word in text if len(text) > 1
        )
    presence = torch.ones(2, 8, requires_grad=True)
    total = layer(IDS, presence)
    torch.testing.assert_close(total, layer(IDS))
    shares = torch.autograd.grad(total.sum(), presence)[0] * math.sqrt(5)
    ends, middle = weights[5, 6] / 4, weights[5, 6] / 4 + weights[6, 5] / 2
    five, six = weights[5,] / 2, weights[6,] / 2
    expected = [five + ends, six + middle, five + middle, six + ends, 0, weights[7,], 0, 0]
    torch.testing.assert_close(shares[0], torch.tensor(expected))


TOKENS = ["<pad>", "<unk>", "good", "bad", "film", "a"]
UNKNOWN = ["goodness", "x"]  # ids 6 and 7
SPELLED = torch.tensor([[2, 4, 2, 6, 0], [7, 3, 0, 0, 0]])


def spelling_layer(**options) -> HashedNgramLinear:
    torch.manual_seed(0)
    layer = HashedNgramLinear(1, 2**20, 0.0, 0.3, min_n=2, **{"max_n": 3} | options)
    for reader in (layer.spelled, layer.characters):
        if reader is not None:
            reader.set_tokens(TOKENS)
            reader.set_unknown_tokens(UNKNOWN)
    return layer


def test_character_ngrams_of_each_distinct_word():
    layer = spelling_layer(word_ngrams=1)
    torch.nn.init.normal_(layer.weight)
    texts_of_words = (["good", "film", "goodness"], ["x", "bad"])
    for row, words in enumerate(texts_of_words):
        _, rows = hash_character_ngrams(words, 2, 3, 2**20)
        sums = layer.weight[1 + torch.tensor(rows).long(), 0].sum() / math.sqrt(len(rows))
        found = (layer(SPELLED) - layer.scale * terms_of(layer, SPELLED))[row, 0]
        torch.testing.assert_close(found, sums)
    torch.testing.assert_close(layer(torch.nn.functional.pad(SPELLED, (0, 4))), layer(SPELLED))


def terms_of(layer: HashedNgramLinear, ids: torch.Tensor) -> torch.Tensor:
    """Return the part of words and word n-grams."""
    terms = layer.hash_ngrams(ids)
    sums = torch.stack([layer.weight[row[row > 0]].sum(dim=0) for row in terms])
    return sums / (terms > 0).sum(dim=1, keepdim=True).sqrt()


def test_unknown_words_have_terms_of_their_own():
    layer = spelling_layer(max_n=0, word_ngrams=3)
    rows = layer.hash_ngrams(torch.tensor([[2, 6, 7]]))
    assert (rows > 0).sum() == 6, "3 words, 2 pairs and a triple"
    again = spelling_layer(max_n=0, word_ngrams=3)
    again.spelled.set_unknown_tokens(UNKNOWN[::-1])
    assert torch.equal(again.hash_ngrams(torch.tensor([[2, 7, 6]])), rows)


def test_characters_start_as_naive_bayes_too():
    layer = spelling_layer(word_ngrams=1)
    layer.initialize_from_data([batch(SPELLED, [0, 1])], 2)
    assert not layer.weight[0].any()
    weights = {}
    for token in ("good", "bad"):
        _, rows = hash_character_ngrams([token], 2, 3, 2**20)
        weights[token] = layer.weight[1 + torch.tensor(rows[:-1]).long(), 0]  # both have "d>"
    assert (weights["good"] < 0).all()
    assert (weights["bad"] > 0).all()


def test_character_ngrams_are_shared_by_the_places_of_a_word():
    layer = spelling_layer()
    torch.nn.init.normal_(layer.weight)
    presence = torch.ones(2, 5, requires_grad=True)
    total = layer(SPELLED, presence)
    torch.testing.assert_close(total, layer(SPELLED))
    (shares,) = torch.autograd.grad(total.sum(), presence)
    torch.testing.assert_close(shares.sum(dim=1, keepdim=True), total)
    assert not shares[SPELLED == 0].any()


def test_dropout_of_character_ngrams():
    layer = spelling_layer()
    torch.nn.init.normal_(layer.weight)
    layer.dropout = 0.5
    assert (layer.eval()(SPELLED) == layer(SPELLED)).all()
    layer.train()
    assert (layer(SPELLED) != layer(SPELLED)).any()
    layer(SPELLED).sum().backward()
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("options", [{"word_ngrams": 3}, {"max_n": 3}, {"word_ngrams": 1}])
def test_padding_changes_nothing_with_other_terms(options):
    assert_padding_changes_nothing(model_of(WideAndDeep, units=4, buckets=500, **options))


def test_the_graph_has_the_ngrams_of_known_words(monkeypatch):
    layer = spelling_layer()
    ids = SPELLED.clamp(max=5)
    expected = layer(ids)
    layer.prepare_for_export()
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(layer(ids), expected)


def test_order_of_lengths_is_checked():
    with pytest.raises(OptionError, match="max_n"):
        WideAndDeep(RandomEmbedding(10), min_n=3, max_n=2)


@pytest.mark.parametrize("options", [{"ngram_dropout": 0.1}, {"nb_prior": 1.0}], ids=str)
def test_options_of_the_trained_part_are_refused_for_a_fitted_one(options):
    with pytest.raises(OptionError, match=r"unless model.linear_C=null"):
        WideAndDeep(RandomEmbedding(50, 4), **options)
    WideAndDeep(RandomEmbedding(50, 4), linear_C=None, buckets=100, **options)
