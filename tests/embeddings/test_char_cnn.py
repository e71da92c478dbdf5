"""Word vectors from characters: spelling, unknown words, padding, and every kind of network."""

import copy

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import nn

from seqtext.config.instantiate import build_from_config
from seqtext.embeddings.char_cnn import (
    BEGIN,
    END,
    SPECIAL_CODES,
    UNKNOWN_CHARACTER,
    CharCNNEmbedding,
)
from seqtext.embeddings.spelling import reads_spelling
from seqtext.errors import OptionError, UserError
from seqtext.inference.attribution import explain
from seqtext.inference.export import export
from seqtext.inference.load_model import load_model
from seqtext.inference.predictor import Predictor
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import invented_reviews, settings_of
from tests.inference.onnx_only_program import Exported
from tests.models.test_common import NAMES, config_of, texts

TOKENS = ["<pad>", "<unk>", "film", "good", "flim", "dé"]
SMALL = {"character_dim": 3, "kernel_sizes": [1, 4], "filters": [2, 5]}


def embedding_of(tokens: list[str] = TOKENS, **options) -> CharCNNEmbedding:
    torch.manual_seed(0)
    embedding = CharCNNEmbedding(len(tokens), **(SMALL | options))
    embedding.set_tokens(tokens)
    return embedding


def test_parameters_of_kim():
    """The paper's small network, with 1 to 6 characters and 25 filters for each of them."""
    embedding = CharCNNEmbedding(20_000)
    assert embedding.embedding_dim == 525
    convolutions = sum(25 * n * (15 * n + 1) for n in range(1, 7))
    characters = (SPECIAL_CODES + 250) * 15
    expected = characters + convolutions + 2 * 525 * 526
    assert sum(p.numel() for p in embedding.parameters()) == expected


def test_spelling():
    embedding = embedding_of(max_characters=5, max_word_length=3)
    inventory = "dfilm"  # all twice, as o is, and in order
    assert [chr(point) for point in embedding._inventory] == list(inventory)
    code = {c: SPECIAL_CODES + n for n, c in enumerate(inventory)}
    film = [BEGIN, code["f"], code["i"], code["l"], END]
    assert embedding.characters[2].tolist() == film
    assert embedding.word_lengths.tolist() == [1, 1, 5, 5, 5, 4]
    assert embedding.characters[5].tolist() == [BEGIN, code["d"], UNKNOWN_CHARACTER, END, 0]


def test_vectors_by_hand():
    embedding = embedding_of().double()
    words = torch.tensor([[2, 5], [3, 0]])
    vectors = embedding(words)
    assert vectors.shape == (2, 2, 7)
    assert not vectors[1, 1].any()
    codes = embedding.characters[5, :4].long()
    states = nn.functional.pad(embedding.character_embedding(codes).T, (1, 2))
    wide = embedding.blocks[1].convolution(states).amax(1)
    narrow = embedding.blocks[0].convolution(states[:, 1:-2]).amax(1)
    plain = torch.cat([narrow, wide]).tanh()
    layer = embedding.highway[0]
    gate = layer.gate(plain).sigmoid()
    expected = gate * layer.transform(plain).relu() + (1 - gate) * plain
    torch.testing.assert_close(vectors[0, 1], expected)


def test_unknown_words_are_spelled():
    embedding = embedding_of()
    embedding.set_unknown_tokens(["goooooooood", "film", "✓✗"])
    unknown, film, symbols = embedding(torch.tensor([6, 7, 8]))
    assert torch.equal(film, embedding(torch.tensor(2)))
    assert not torch.equal(unknown, symbols)
    embedding.set_unknown_tokens(["✗✓"])  # of other texts
    torch.testing.assert_close(embedding(torch.tensor(6)), symbols)
    assert len(embedding.characters) == len(TOKENS) + 1
    embedding.set_unknown_tokens([])
    assert len(embedding.characters) == len(embedding.word_lengths) == len(TOKENS)
    assert set(embedding.state_dict()) == {name for name, _ in embedding.named_parameters()}


def test_vectors_of_words_are_appended():
    embedding = embedding_of(word_dim=3)
    embedding.set_unknown_tokens(["films"])
    assert embedding.embedding_dim == 10
    vectors = embedding(torch.tensor([2, 6, 0]))
    words = embedding.word_embedding.weight
    assert torch.equal(vectors[:2, 7:], words[[2, 1]])
    assert not vectors[2].any()
    torch.testing.assert_close(vectors[0, :7], embedding_of()(torch.tensor(2)))


def test_long_lists_are_spelled_in_blocks(monkeypatch):
    words = ["<pad>", "<unk>", *(str(n) for n in range(50))]
    expected = embedding_of(words).characters
    monkeypatch.setattr("seqtext.embeddings.char_cnn.BLOCK_TOKENS", 7)
    assert torch.equal(embedding_of(words).characters, expected)


@pytest.mark.parametrize("tokens", [["<pad>", "<unk>"], ["<pad>", "<unk>", ""]])
def test_vocabularies_without_characters(tokens):
    embedding = embedding_of(tokens)
    embedding.set_unknown_tokens(["a"])
    assert embedding(torch.tensor([0, 1, len(tokens)])).isfinite().all()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "pretrained"])  # it has its own vectors
def test_every_network(name):
    """Padding and other texts change nothing; every parameter learns."""
    tokens = ["<pad>", "<unk>", *(np.base_repr(n * 37 + 40, 36) for n in range(48))]
    embedding = embedding_of(tokens).double()
    model = build_from_config("model", config_of(name), embedding=embedding, classes=2)
    model = model.double().eval()
    assert reads_spelling(model)
    ids, lengths = texts()
    expected = model(ids, lengths)
    padded = model(nn.functional.pad(ids, (0, 9)), lengths)
    torch.testing.assert_close(padded, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(model(ids[:1, :3], lengths[:1]), expected[:1], atol=1e-10, rtol=0)
    expected.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.embedding.blocks.parameters())
    twin = copy.deepcopy(model)
    assert torch.equal(twin(ids, lengths), expected)


def test_table():
    embedding = embedding_of()
    ids = torch.tensor([[0, 1, 2], [5, 4, 3]])
    torch.testing.assert_close(embedding.tabulate()(ids), embedding(ids))


@pytest.fixture
def finished(small, tmp_path) -> RunDir:
    """A run in which most words are outside of the vocabulary."""
    options = [option for option in small if not option.startswith(("embedding", "trainer.max"))]
    options += ["embedding=char_cnn", "embedding.filters=[4,8]", "embedding.kernel_sizes=[2,4]"]
    options += ["tokenizer.vocab_size=4", "trainer.max_epochs=2"]
    run = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*options), run)
    return run


def test_run(finished):
    """The checkpoint predicts as the run did, and unknown words are told apart."""
    predictor = Predictor(load_model(finished.best_checkpoint))
    table = pd.read_parquet(finished.predictions("test"))
    texts = [invented_reviews(240)[row][0] for row in table["row"]]
    found = predictor.probabilities(predictor.predict_logits(pa.array(texts)))
    np.testing.assert_allclose(found[:, 1], table["probability_positive"], rtol=0, atol=1e-6)
    [explanation] = explain(predictor, pa.array(["wonderful unheardof dreadful film"]))
    assert np.count_nonzero(explanation.weights) == 4


@pytest.mark.slow
def test_export(finished, tmp_path):
    """A graph knows the words of the vocabulary; others are one unknown word."""
    loaded_model = load_model(finished.best_checkpoint)
    export(loaded_model, tmp_path / "out")
    words = loaded_model.tokenizer.vocabulary.tokens
    texts = [" ".join(words[:2]), words[3]]
    predictor = Predictor(loaded_model)
    expected = predictor.probabilities(predictor.predict_logits(pa.array(texts)))
    found = Exported(tmp_path / "out").probabilities(texts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_wrong_options_are_refused():
    with pytest.raises(UserError, match=r"embedding.filters has 1 numbers and .* 2"):
        CharCNNEmbedding(9, filters=[3], kernel_sizes=[1, 2])
    with pytest.raises(OptionError, match="max_characters"):
        CharCNNEmbedding(9, max_characters=0)
    with pytest.raises(UserError, match="needs a call of set_tokens"):
        CharCNNEmbedding(9)(torch.tensor([1]))
