"""The default embedding: GloVe vectors where they are installed, otherwise random ones."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqtext.checkpoints.files import load_checkpoint
from seqtext.embeddings import vectors
from seqtext.embeddings.auto import AutoEmbedding
from seqtext.embeddings.random import RandomEmbedding
from seqtext.run_dir import RunDir
from seqtext.tokenizers.subwords import BPETokenizer
from seqtext.training.train import train_and_evaluate
from tests.conftest import BAD, GOOD, PLAIN, settings_of

DIM = 50
WORDS = [*GOOD, *BAD, *PLAIN]


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """Return a data folder in which every second word has a GloVe vector; no package has any."""
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    lines = [f"{word} {' '.join([str(n)] * DIM)}\n" for n, word in enumerate(WORDS) if n % 2]
    (tmp_path / "data" / "glove").mkdir(parents=True)
    (tmp_path / "data" / "glove" / f"glove.6B.{DIM}d.txt").write_text("".join(lines))
    return tmp_path / "data"


def train(small, tmp_path, *options: str) -> tuple[torch.Tensor, list[str]]:
    """Train without changing weights; return those of the embedding, and its words."""
    unchanged = ["optimizer=sgd", "optimizer.lr=1e-30", "scheduler=none"]
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*small, *unchanged, *options), folder)
    checkpoint = load_checkpoint(folder.best_checkpoint)
    words = ["<pad>", "<unk>", *checkpoint["seqtext"]["tokenizer"]["tokens"]]
    return checkpoint["state_dict"]["embedding.weight"], words


def test_installed_vectors_are_used(small, tmp_path, data_dir):
    table, words = train(small, tmp_path, f"embedding.dim={DIM}", f"paths.data_dir={data_dir}")
    numbers = {word: n for n, word in enumerate(WORDS) if n % 2}
    assert len(set(words) & set(numbers)) >= 10
    for word, row in zip(words[2:], table[2:], strict=True):
        torch.testing.assert_close(row, torch.full([DIM], float(numbers.get(word, 0))))


def test_they_are_random_without_vectors_of_this_size(small, tmp_path, data_dir):
    table, _ = train(small, tmp_path, "embedding.dim=8", f"paths.data_dir={data_dir}")
    assert table[0].tolist() == [0] * 8
    assert 0.02 < table[1:].std() < 0.035  # uniform in ±0.05
    assert table.abs().max() <= 0.05


@pytest.mark.parametrize("word", ["unheard", GOOD[0]])
def test_they_are_random_if_few_words_have_a_vector(small, tmp_path, data_dir, caplog, word):
    file = data_dir / "glove" / f"glove.6B.{DIM}d.txt"
    file.write_text(f"{word} {' '.join(['1'] * DIM)}\n")
    table, _ = train(small, tmp_path, f"embedding.dim={DIM}", f"paths.data_dir={data_dir}")
    assert 0.02 < table[1:].std() < 0.035
    assert "Only 0 of" not in caplog.text


def test_they_are_random_for_other_tokens_than_words(data_dir):
    data = SimpleNamespace(
        tokenizer=BPETokenizer(),
        data_dir=str(data_dir),
        vocabulary=SimpleNamespace(tokens=["th", "e"]),
    )
    embedding = AutoEmbedding(4)
    assert embedding.list_files(data) == []
    assert embedding.read_vectors(data).known.tolist() == [False, False]


def test_random_vectors_are_those_of_random_embeddings():
    torch.manual_seed(3)
    other = RandomEmbedding(9, 4)
    other.reset_parameters()
    torch.manual_seed(3)
    embedding = AutoEmbedding(9, 4)
    torch.manual_seed(3)
    embedding.fill(np.empty((0, 4), np.float32), np.zeros(7, bool))
    torch.manual_seed(3)
    other.reset_parameters()
    assert torch.equal(embedding.weight, other.weight)


def test_they_are_trained():
    assert AutoEmbedding(5).weight.requires_grad
