"""Pretrained vectors in a model's embedding: initialization, training, and a complete run."""

import json

import numpy as np
import pytest
import torch

from seqtext.checkpoints.files import load_checkpoint
from seqtext.embeddings import vectors
from seqtext.embeddings.pretrained import GloVe, Numberbatch, PretrainedEmbedding
from seqtext.errors import UserError
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import BAD, GOOD, PLAIN, settings_of

KNOWN = np.array([False, True, True, False, True])
FOUND = np.array([[1, -2, 3], [2, 4, 6], [3, 1, 3.75]], np.float32)


def filled(known=KNOWN, found=FOUND, **options) -> PretrainedEmbedding:
    embedding = GloVe(len(known) + 2, found.shape[1], **options)
    embedding.fill(found, known)
    return embedding


@pytest.mark.parametrize("oov_init", ["zeros", "random"])
def test_rows(oov_init):
    table = filled(oov_init=oov_init).weight
    assert table[[3, 4, 6]].tolist() == FOUND.tolist()
    assert table[1].tolist() == [2, 1, 4.25]  # unknown: the mean
    assert table[0].tolist() == [0, 0, 0]  # padding
    assert table[[2, 5]].count_nonzero() == (0 if oov_init == "zeros" else 6)


def test_random_start_of_missing_words():
    """Vectors of missing words are distributed as the others, and determined by the seed."""
    known = np.arange(6_000) < 1_000
    wanted_mean, wanted_std = torch.tensor([5.0, -1.0]), torch.tensor([0.1, 3.0])
    found = wanted_mean + wanted_std * torch.randn(1_000, 2, generator=torch.manual_seed(1))
    tables = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        tables.append(filled(known, found.numpy(), oov_init="random").weight)
    drawn = tables[0][1_002:]
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(drawn, tables[2][1_002:])
    torch.testing.assert_close(drawn.mean(dim=0), found.mean(dim=0), atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), found.std(dim=0), atol=0, rtol=0.05)


@pytest.mark.parametrize("oov_init", ["zeros", "random"])
def test_no_vector_at_all(oov_init):
    torch.manual_seed(0)
    table = filled(np.zeros(500, bool), np.empty((0, 4), np.float32), oov_init=oov_init).weight
    assert not table[:2].any()
    if oov_init == "zeros":
        assert not table.any()
    else:
        assert 0.04 < table[2:].std() < 0.06


def test_one_vector_alone():
    table = filled(np.array([True, False]), FOUND[:1], oov_init="random").weight
    assert table[1:].tolist() == [FOUND[0].tolist()] * 3


@pytest.mark.parametrize("freeze", [True, False])
def test_it_is_made_without_a_file(freeze):
    """As from a checkpoint: the path is not read."""
    embedding = Numberbatch(9, dim=4, path="/no/such/file", freeze=freeze)
    assert embedding.weight.shape == (9, 4)
    assert not embedding.weight.any()
    assert embedding.weight.requires_grad is not freeze
    assert embedding.padding_idx == 0


def test_filling_leaves_what_is_trained():
    for freeze in (True, False):
        assert filled(freeze=freeze).weight.requires_grad is not freeze


def test_padding_is_not_trained():
    embedding = filled(freeze=False)
    embedding(torch.tensor([0, 3])).sum().backward()
    assert not embedding.weight.grad[0].any()
    assert embedding.weight.grad[3].all()


def test_sources():
    assert (GloVe.source, Numberbatch.source) == (vectors.GLOVE, vectors.NUMBERBATCH)
    assert settings_of("embedding=glove")["embedding"]["dim"] in vectors.GLOVE.dims
    assert settings_of("embedding=numberbatch")["embedding"]["dim"] in vectors.NUMBERBATCH.dims


DIM = 8
WITHOUT = {"film", "superb", "awful"}  # words of the reviews


@pytest.fixture
def file(tmp_path) -> tuple[str, dict[str, np.ndarray]]:
    """Write a file of vectors; return it and its content."""
    words = [word for word in ["unheard", *GOOD, *BAD, *PLAIN] if word not in WITHOUT]
    table = np.random.default_rng(0).normal(size=(len(words), DIM)).round(5)
    lines = [f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, table, strict=True)]
    (tmp_path / "vectors.txt").write_text("".join(lines))
    rows = dict(zip(words, table.astype(np.float32), strict=True))
    return str(tmp_path / "vectors.txt"), rows


def trained(small, file, tmp_path, *options: str) -> tuple[torch.Tensor, list[str], RunDir]:
    """Train with vectors from the file; return weights and words of best.ckpt, and the folder."""
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*small, f"embedding.path={file[0]}", *options), folder)
    checkpoint = load_checkpoint(folder.best_checkpoint)
    words = ["<pad>", "<unk>", *checkpoint["seqtext"]["tokenizer"]["tokens"]]
    return checkpoint["state_dict"]["embedding.weight"], words, folder


@pytest.mark.parametrize("name", ["glove", "numberbatch"])
def test_frozen_in_a_run(small, file, tmp_path, name, caplog):
    caplog.set_level("INFO")
    table, words, folder = trained(small, file, tmp_path, f"embedding={name}")
    rows = file[1]
    found = [rows[word] for word in words if word in rows]
    assert len(found) >= 20
    assert set(words) >= WITHOUT
    expected = {word: rows.get(word, np.zeros(DIM)) for word in words}
    expected["<unk>"] = np.mean(found, axis=0)
    for word, row in zip(words, table.numpy(), strict=True):
        np.testing.assert_allclose(row, expected[word], atol=1e-6 if word == "<unk>" else 0)
    metrics = folder.read_metrics()
    assert metrics["test"]["auroc"] > 0.9
    learned = load_checkpoint(folder.best_checkpoint)["state_dict"]
    trainable = sum(
        t.numel()
        for name, t in learned.items()
        if name != "embedding.weight" and t.is_floating_point()
    )
    assert metrics["parameters"] == trainable
    assert f"Word vectors {name} from {file[0]}: {len(found)} of {len(words) - 2} tokens" in (
        caplog.text
    )


def test_trained_in_a_run(small, file, tmp_path):
    """With a tiny learning rate the vectors stay near those of the file; with a usual one not."""
    options = ("embedding=glove", "embedding.freeze=false", "trainer.max_epochs=1")
    table, words, _ = trained(small, file, tmp_path / "a", *options, "optimizer.lr=1e-6")
    rows = [number for number, word in enumerate(words) if word in file[1]]
    wanted = np.array([file[1][words[row]] for row in rows])
    assert 0 < np.abs(table[rows].numpy() - wanted).max() < 1e-4
    moved, _, folder = trained(small, file, tmp_path / "b", *options)
    assert (np.abs(moved[rows].numpy() - wanted).max(axis=1) > 1e-3).all()
    assert not moved[0].any()
    assert folder.read_metrics()["parameters"] > table.numel()


def test_random_start_in_a_run(small, file, tmp_path):
    options = ("embedding=glove", "embedding.oov_init=random", "trainer.max_epochs=1")
    table, words, _ = trained(small, file, tmp_path, *options)
    for word in WITHOUT:
        assert table[words.index(word)].all()
    kept = next(word for word in words if word in file[1])
    assert table[words.index(kept)].tolist() == file[1][kept].tolist()


def test_name_of_the_run_folder_leaves_out_the_path(train, small, file, tmp_path):
    status, _, error = train(
        *small, "trainer.max_epochs=1", "embedding=glove", f"embedding.path={file[0]}"
    )
    assert status == 0, error
    (folder,) = (tmp_path / "outputs").iterdir()
    assert "embedding-glove" in folder.name
    assert "vectors" not in folder.name
    settings = json.loads((folder / "metrics.json").read_text())["settings"]
    assert settings["embedding"]["path"] == file[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["embedding.oov_init=ones"], ["embedding.oov_init=ones", "zeros, random"]),
        (["embedding.freeze=3"], ["embedding.freeze=3", "true or false"]),
        (["embedding.dim=0"], ["embedding.dim=0", "at least 1"]),
        (["embedding.path=/no/such"], ["embedding.path=/no/such", "no such file or folder"]),
        (["embedding.dim=5"], ["8 numbers per word", "set embedding.dim=8"]),
    ],
)
def test_wrong_option(small, file, tmp_path, options, words):
    settings = settings_of(*small, "embedding=glove", f"embedding.path={file[0]}", *options)
    with pytest.raises(UserError) as failure:
        train_and_evaluate(settings, RunDir(tmp_path / "run"))
    assert all(word in str(failure.value) for word in words), failure.value
