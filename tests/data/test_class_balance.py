"""Class balance: only training rows are resampled, and the loss uses the class weights."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seqtext.data.class_balance import compute_class_weights, resample
from seqtext.data.split import Split
from seqtext.datasets.imdb import IMDB
from seqtext.errors import UserError
from seqtext.losses import cross_entropy
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import csv_of, settings_of


@pytest.fixture
def unbalanced_dir(kaggle_dir, reviews):
    """Write four negative reviews for each positive one."""
    rows = [row for n, row in enumerate(reviews) if row[1] == "negative" or n % 8 == 1]
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(rows))
    return kaggle_dir


@pytest.mark.parametrize(("sampling", "each"), [("undersample", 20), ("oversample", 80)])
def test_resampled_rows(sampling, each):
    rows = np.arange(1000, 1100)
    labels = (np.arange(100) % 5 == 0).astype(int)
    chosen = resample(rows, labels, sampling, seed=0)
    assert np.bincount(labels[chosen - 1000]).tolist() == [each, each]
    assert set(chosen) <= set(rows)
    assert (resample(rows, labels, sampling, seed=0) == chosen).all()
    assert (resample(rows, labels, sampling, seed=1) != chosen).any()
    if sampling == "undersample":
        assert len(set(chosen)) == len(chosen)
    else:
        assert set(chosen) == set(rows), "no row is lost"


@pytest.mark.parametrize("sampling", ["none", "class_weights"])
def test_rows_stay_as_they_are(sampling):
    rows = np.arange(10)
    assert resample(rows, rows % 2, sampling, seed=0) is rows


@pytest.mark.parametrize("sampling", ["undersample", "oversample"])
def test_validation_test_and_vocabulary_are_untouched(unbalanced_dir, tmp_path, sampling):
    balanced, plain = (
        IMDB(dir=str(unbalanced_dir), cache=str(tmp_path / "cache"), sampling=kind)
        for kind in (sampling, "none")
    )
    for data in (balanced, plain):
        data.setup()
    assert balanced.dataset.fingerprint() == plain.dataset.fingerprint()
    for name in ("val", "test"):
        loaders = [getattr(data, f"{name}_dataloader")() for data in (balanced, plain)]
        rows = [np.concatenate([batch.rows for batch in loader]) for loader in loaders]
        assert (rows[0] == rows[1]).all()
    trained = np.concatenate([batch.rows for batch in balanced.train_dataloader()])
    assert len(set(np.bincount(balanced.labels[trained]))) == 1
    assert set(trained) <= set(plain.dataset.parts["train"])


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [("balanced", [4 / 6, 2]), ("inverse_to_largest", [1, 3]), ([2, 0.5], [2, 0.5])],
)
def test_class_weights(weighting, expected):
    weights = compute_class_weights(np.array([0, 0, 0, 1]), ("no", "yes"), weighting)
    assert weights == pytest.approx(expected)


def test_wrong_number_of_class_weights():
    with pytest.raises(UserError, match="3 numbers for 2 classes: give one for each of no, yes"):
        compute_class_weights(np.array([0, 1]), ("no", "yes"), [1, 2, 3])


def test_class_weights_without_their_sampling(unbalanced_dir):
    with pytest.raises(UserError, match="needs sampling=class_weights"):
        IMDB(dir=str(unbalanced_dir), class_weights="inverse_to_largest")


def test_weights_of_the_training_part(unbalanced_dir, tmp_path):
    data = IMDB(
        dir=str(unbalanced_dir),
        cache=str(tmp_path / "cache"),
        sampling="class_weights",
        class_weights="inverse_to_largest",
        split=Split(test_size=0.4),
    )
    data.setup()
    counts = data.rows()["train"]
    assert data.class_weights() == pytest.approx([1, counts["negative"] / counts["positive"]])


def test_balanced_batches_learn(small, unbalanced_dir, tmp_path):
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*small, "sampling=balanced_batches"), folder)
    assert folder.read_metrics()["test"]["auroc"] > 0.9


def test_weighted_loss():
    labels, weights = torch.tensor([0, 1, 1]), torch.tensor([0.5, 3.0])
    logits = torch.tensor([0.3, -1.0, 2.0])
    each = F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
    expected = (each * torch.tensor([0.5, 3.0, 3.0])).sum() / 3
    torch.testing.assert_close(cross_entropy(logits, labels, weights), expected)
    two = torch.stack([torch.zeros(3), logits], dim=1)
    torch.testing.assert_close(cross_entropy(two, labels, weights), expected)
    torch.testing.assert_close(
        cross_entropy(logits, labels, torch.ones(2)), cross_entropy(logits, labels)
    )


@pytest.mark.slow
def test_class_weights_find_more_of_the_rare_class(small, unbalanced_dir, tmp_path):
    recalls = {}
    for sampling in ("none", "class_weights"):
        folder = RunDir(tmp_path / sampling)
        options = ("trainer.max_epochs=2", "optimizer.lr=0.01", f"sampling={sampling}")
        train_and_evaluate(settings_of(*small, *options), folder)
        recalls[sampling] = (
            folder.read_metrics()["val"]["loss"],
            folder.read_metrics()["test"]["recall"],
        )
    assert recalls["class_weights"][1] >= recalls["none"][1]
    assert recalls["class_weights"] != recalls["none"]


@pytest.mark.slow
def test_sampling_from_the_command_line(train, small, unbalanced_dir):
    status, output, error = train(*small, "trainer.max_epochs=1", "sampling=undersample")
    assert status == 0, error
    assert "sampling=undersample trains on" in output
    weights = ("sampling=class_weights", "class_weights=[1,4]")
    status, _, error = train(*small, "trainer.max_epochs=1", *weights)
    assert status == 0, error
