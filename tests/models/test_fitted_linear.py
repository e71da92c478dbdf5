"""The linear part of wide_and_deep that is fitted before training."""

import numpy as np
import pytest
import torch

from seqtext.data.loaders import Batch
from seqtext.errors import UserError
from seqtext.models.fitted_linear import FittedNgramLinear
from seqtext.models.term_table import TermTable

TOKENS = ["<pad>", "<unk>", "good", "goods", "bad", "badly", "film", "a"]
TEXTS = [[2, 6], [3, 6, 7], [2, 7, 6], [7, 3], [4, 6], [5, 6, 7], [4, 7, 6], [7, 5]]


def batch_of(texts: list[list[int]], labels: list[int]) -> Batch:
    ids = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
    lengths = torch.tensor([len(text) for text in texts])
    return Batch(ids, lengths, torch.tensor(labels), torch.arange(len(texts)))


def fitted(classes: int = 2, **options) -> tuple[FittedNgramLinear, Batch]:
    outputs = 1 if classes == 2 else classes
    usual = {"buckets": 1000, "word_ngrams": 2, "min_n": 2, "max_n": 4}
    linear = FittedNgramLinear(outputs, **{**usual, **options})
    for module in linear.modules():
        if hasattr(module, "set_tokens"):
            module.set_tokens(TOKENS)
    labels = [n // 4 if classes == 2 else n // 3 for n in range(8)]
    batch = batch_of(TEXTS, labels)
    linear.fit([batch], classes, C=10.0)
    return linear, batch


def test_it_separates_the_training_texts():
    linear, batch = fitted()
    logits = linear(batch.ids)
    assert logits.shape == (8, 1)
    assert (logits[:, 0] > 0).long().tolist() == batch.labels.tolist()
    assert not list(linear.parameters()), "it is not trained"
    three, batch = fitted(classes=3)
    right = three(batch.ids).argmax(dim=1) == batch.labels
    assert right.sum() >= 7


def test_words_outside_of_the_vocabulary_are_spelled():
    linear, _ = fitted()
    for module in linear.modules():
        if hasattr(module, "set_unknown_tokens"):
            module.set_unknown_tokens(["goodly", "baddish", "\u0416"])
    good, bad, other = (linear(torch.tensor([[number, 6]])).item() for number in (8, 9, 10))
    assert good < other < bad
    without, _ = fitted(max_n=0)
    assert without(torch.tensor([[1, 6]])).shape == (1, 1)


def test_it_learns_from_words_outside_of_the_vocabulary():
    linear = FittedNgramLinear(1, 1000, 1, 2, 3)
    for module in linear.modules():
        if hasattr(module, "set_tokens"):
            module.set_tokens(TOKENS[:2])
            module.set_unknown_tokens(TOKENS[2:])
    linear.fit([batch_of(TEXTS, [n // 4 for n in range(8)])], 2, C=10.0)
    whole, _ = fitted(word_ngrams=1, max_n=3)
    torch.testing.assert_close(linear(batch_of(TEXTS, [0] * 8).ids), whole(torch.tensor([
        [2, 6, 0], [3, 6, 7], [2, 7, 6], [7, 3, 0], [4, 6, 0], [5, 6, 7], [4, 7, 6], [7, 5, 0],
    ])))  # fmt: skip


def test_sums_of_known_words_are_computed_once_and_again_for_loaded_weights():
    linear, batch = fitted()
    ids = torch.cat([batch.ids, torch.tensor([[8, 2, 9]])])
    other, _ = fitted(classes=2)
    for each in (linear, other):
        for module in each.modules():
            if hasattr(module, "set_unknown_tokens"):
                module.set_unknown_tokens(["goodly", "baddish"])
    for number, buffer in enumerate((other.known_sums, other.known_squares)):
        torch.testing.assert_close(buffer, other._sum_ngrams(torch.arange(len(TOKENS)))[number])
    other.known_sums = other.known_squares = None
    torch.testing.assert_close(linear(ids), other(ids))
    state = {name: 2 * v if name.endswith("weights") else v for name, v in copy_state(linear)}
    linear.load_state_dict(state)
    other.load_state_dict(state)
    torch.testing.assert_close(linear(ids), other(ids))


def test_logits_of_fitted_rows_are_kept():
    linear, batch = fitted(classes=3)
    rows = torch.tensor([3, 0, 3])
    torch.testing.assert_close(linear.get_fitted_logits(rows), linear(batch.ids)[rows])
    assert linear.get_fitted_logits(torch.tensor([0, 8])) is None, "not fitted"
    linear.load_state_dict(linear.state_dict())
    assert linear.get_fitted_logits(rows) is None, "may be of other weights"


def copy_state(linear: FittedNgramLinear) -> list[tuple[str, torch.Tensor]]:
    return [(name, tensor.clone()) for name, tensor in linear.state_dict().items()]


def test_padding_and_order_of_texts_do_not_matter():
    linear, batch = fitted()
    alone = torch.cat([linear(torch.tensor([text])) for text in TEXTS])
    torch.testing.assert_close(linear(batch.ids), alone)
    again = FittedNgramLinear(1, 1000, 2, 2, 4)
    for module in again.modules():
        if hasattr(module, "set_tokens"):
            module.set_tokens(TOKENS)
    halves = [batch_of(TEXTS[4:], [1] * 4), batch_of(TEXTS[:4], [0] * 4)]
    again.fit(halves, 2, C=10.0)
    torch.testing.assert_close(again(batch.ids), linear(batch.ids), atol=1e-3, rtol=1e-3)


def test_scales_of_words_are_linear():
    linear, batch = fitted()
    whole, none = torch.ones(batch.ids.shape), torch.zeros(batch.ids.shape)
    torch.testing.assert_close(linear(batch.ids, whole), linear(batch.ids))
    torch.testing.assert_close(linear(batch.ids, none), linear.bias.expand(8, 1))
    half = (linear(batch.ids) + linear.bias) / 2
    torch.testing.assert_close(linear(batch.ids, whole / 2), half)


def test_frequent_terms_have_rows():
    table = TermTable(rows=100, outputs=1)
    hashes, texts = np.random.default_rng(0).integers(1, 2**31 - 1, 80), np.arange(80)
    table.set_terms(hashes, texts)
    rows = table.find(torch.from_numpy(hashes))
    assert rows[0] == rows[1] == 0, "in less than two texts"
    known = rows[rows > 0]
    assert len(known) == len(known.unique()) == len(table.list_rows()) >= 65
    assert table.find(torch.tensor([0, 5, 9])).tolist() == [0, 0, 0]


def test_a_table_that_no_training_wrote_is_refused():
    linear, _ = fitted()
    state = linear.state_dict()
    other = FittedNgramLinear(1, 1000, 2, 2, 4)
    other.load_state_dict(state)
    hashes, idf = state["terms.hashes"], state["terms.idf"]
    used = int(hashes.nonzero()[0])
    first = torch.arange(1001) == used
    for name, wrong in (
        ("terms.hashes", hashes.flip(0)),
        ("terms.hashes", -hashes),
        ("terms.hashes", hashes + 2**40 * first),
        ("ngrams.hashes", torch.where(first, hashes[used], 0).roll(500)),
        ("terms.hashes", torch.ones_like(hashes)),
        ("terms.idf", -idf),
        ("terms.idf", torch.ones_like(idf)),
    ):
        with pytest.raises(UserError, match="a table of terms has"):
            other.load_state_dict(state | {name: wrong}, assign=True)
