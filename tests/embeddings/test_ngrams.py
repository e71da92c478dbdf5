"""Character n-grams: equal to those of plain Python, and vectors that unknown words have too."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from seqtext.embeddings.character_ngrams import (
    CharacterNgrams,
    hash_character_ngrams,
    hash_words,
)
from seqtext.embeddings.ngrams import NgramEmbedding
from seqtext.errors import OptionError
from seqtext.layers.bags import sum_bags

TOKENS = ["<pad>", "<unk>", "where", "a", "", "naïve", "日本語", "😀ok", "where", "x" * 7000]
UNKNOWN = ["whereas", "b"]


def list_ngrams(token: str, min_n: int, max_n: int) -> list[str]:
    """Return the n-grams of "<token>", position by position."""
    marked = f"<{token}>" if token else ""
    last = len(marked) - 1
    return [
        marked[i : i + n]
        for i in range(len(marked))
        for n in range(max(min_n, 1), max_n + 1)
        if i + n <= len(marked) and not (n == 1 and i in (0, last))
    ]


@pytest.mark.parametrize(("min_n", "max_n"), [(3, 6), (1, 2), (2, 2), (0, 3), (5, 9)])
def test_ngrams_equal_those_of_plain_python(min_n, max_n):
    offsets, rows = hash_character_ngrams(TOKENS, min_n, max_n, 2**31 - 1)
    row_of: dict[str, int] = {}
    for number, token in enumerate(TOKENS):
        expected = list_ngrams(token, min_n, max_n)
        found = rows[offsets[number] : offsets[number + 1]].tolist()
        assert len(found) == len(expected), token
        for ngram, row in zip(expected, found, strict=True):
            assert row_of.setdefault(ngram, row) == row
    assert len(set(row_of.values())) == len(row_of), "different n-grams have different hashes"


def test_no_ngrams():
    for tokens, max_n in ([], 6), (["a", "word"], 0), ([""], 6):
        offsets, rows = hash_character_ngrams(tokens, 3, max_n, 10)
        assert offsets.tolist() == [0] * (len(tokens) + 1)
        assert len(rows) == 0


def test_long_tokens_and_many_characters(monkeypatch):
    tokens = ["a", "b" * 10_000, "b" * 3_000_000, "film"]
    offsets, rows = hash_character_ngrams(tokens, 3, 6, 1000)
    assert np.diff(offsets).tolist()[1] == np.diff(offsets).tolist()[2] < 50_000
    hashes = hash_words(tokens)
    assert hashes[1] == hashes[2]
    monkeypatch.setattr("seqtext.embeddings.character_ngrams.BLOCK_CHARACTERS", 5)
    for ours, theirs in zip(
        hash_character_ngrams(tokens, 3, 6, 1000), (offsets, rows), strict=True
    ):
        assert ours.tolist() == theirs.tolist()
    assert hash_words(tokens).tolist() == hashes.tolist()


@pytest.mark.slow
def test_hashes_are_spread_and_do_not_depend_on_the_process():
    words = [f"w{n}" for n in range(20_000)]
    assert len(set(hash_words(words).tolist())) == len(words)
    assert hash_words([]).tolist() == []
    counts = np.bincount(hash_character_ngrams(words, 3, 6, 1000)[1], minlength=1000)
    assert counts.min() > 0
    code = (
        "from seqtext.embeddings.character_ngrams import *;"
        "print(hash_words(['a', 'é']).tolist(), "
        "hash_character_ngrams(['ab'], 2, 3, 99)[1].tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = hash_words(["a", "é"]).tolist(), hash_character_ngrams(["ab"], 2, 3, 99)[1].tolist()
    assert run.stdout.strip() == f"{here[0]} {here[1]}"


def test_bags_equal_their_definition():
    table = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    rows, counts = torch.tensor([3, 3, 0, 8, 3]), torch.tensor([2, 0, 3, 0])
    expected = torch.stack(
        [2 * table[3], 0 * table[0], table[0] + table[8] + table[3], 0 * table[0]]
    )
    torch.testing.assert_close(sum_bags(table, rows, counts), expected)
    assert torch.autograd.gradcheck(lambda t: sum_bags(t, rows, counts), [table])
    assert not sum_bags(table, rows[:0], counts[1:2]).any()


def embedding_of(dim: int = 4, **options: int) -> NgramEmbedding:
    torch.manual_seed(0)
    embedding = NgramEmbedding(len(TOKENS), dim, **options)
    embedding.spelling.set_tokens(TOKENS)
    embedding.spelling.set_unknown_tokens(UNKNOWN)
    return embedding


def test_vectors_by_hand():
    embedding, size = embedding_of(min_n=3, max_n=4), len(TOKENS)
    with torch.no_grad():
        embedding.words.weight[0] = 7.0  # never seen
    ids = torch.tensor([[2, size, 3], [1, 2, 0]])
    vectors = embedding(ids)
    for row, column, token, word in [(0, 0, "where", 2), (0, 1, "whereas", None), (0, 2, "a", 3)]:
        _, rows = hash_character_ngrams([token], 3, 4, 2**16)
        expected = embedding.ngrams.weight[torch.tensor(rows).long()].sum(dim=0) / len(rows) ** 0.5
        if word is not None:
            expected = expected + embedding.words.weight[word]
        torch.testing.assert_close(vectors[row, column], expected)
    torch.testing.assert_close(vectors[1, 0], embedding.words.weight[1])
    assert not vectors[1, 2].any(), "padding"
    assert not torch.equal(vectors[0, 0], vectors[0, 1])


def test_unknown_words_are_replaced_by_those_of_the_next_texts():
    embedding, ids = embedding_of(), torch.tensor([[len(TOKENS), 2]])
    before = embedding(ids)
    embedding.spelling.set_unknown_tokens(["other"])
    after = embedding(ids)
    assert not torch.equal(before[0, 0], after[0, 0])
    assert torch.equal(before[0, 1], after[0, 1])
    embedding.spelling.set_unknown_tokens([])
    with pytest.raises(IndexError):
        embedding(ids)


def test_words_are_not_spelled_before_they_are_known():
    embedding = NgramEmbedding(10, 4)
    ids = torch.tensor([[3, 0]])
    assert torch.equal(embedding(ids), embedding.words(ids))
    assert "spelling.offsets" not in embedding.state_dict()


def test_built_on_the_meta_device():
    with torch.device("meta"):
        embedding = NgramEmbedding(len(TOKENS), 4, buckets=50)
    state = NgramEmbedding(len(TOKENS), 4, buckets=50).state_dict()
    embedding.load_state_dict(state, assign=True)
    embedding.spelling.set_tokens(TOKENS)
    assert embedding(torch.tensor([[2]])).isfinite().all()


def test_exported_vectors_are_the_same():
    embedding = embedding_of()
    ids = torch.tensor([[2, 3, 4, 0, 1]])
    expected = embedding(ids)
    torch.testing.assert_close(embedding.tabulate()(ids), expected)


def test_lookups_move_to_the_device_of_the_ids():
    spelling = CharacterNgrams(3, 6, 10)
    spelling.set_tokens(TOKENS)
    rows, counts = spelling.to("cpu").look_up(torch.tensor([2, 0, 3]))
    assert counts.tolist() == [14, 0, 1]
    assert len(rows) == 15


def test_order_of_lengths_is_checked():
    with pytest.raises(OptionError, match="max_n"):
        NgramEmbedding(10, min_n=4, max_n=3)
