"""Fixtures for prediction: a run that is trained once per test file."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from seqtext.inference.attribution import Explanation
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import SMALL, csv_of, invented_reviews, settings_of

REVIEWS = invented_reviews(240)


def trained(folder: Path, *overrides: str, small: tuple[str, ...] = SMALL) -> RunDir:
    """Train a run on the generated reviews, which are written next to it."""
    source = folder / "imdb"
    source.mkdir(parents=True, exist_ok=True)
    (source / "IMDB Dataset.csv").write_text(csv_of(REVIEWS))
    where = f"dataset.dir={source}", f"paths.cache_dir={folder / 'cache'}"
    done = RunDir(folder / "run")
    train_and_evaluate(settings_of(*where, *small, *overrides), done)
    return done


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> RunDir:
    """A GRU run whose data set and cache are deleted."""
    folder = tmp_path_factory.mktemp("gru")
    done = trained(folder, "model.pooling=max")
    for gone in ("imdb", "cache"):
        (folder / gone).rename(folder / f"{gone}-gone")
    return done


@pytest.fixture
def predict(monkeypatch, script, tmp_path):
    """Return a function that calls predict.py in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(script, "predict.py")


def explanation_of(words: list[str], weights: np.ndarray, *values, **named) -> Explanation:
    """Return an explanation of words that are separated by spaces."""
    stops = np.cumsum([len(word) + 1 for word in words]) - 1
    spans = np.stack([stops - [len(word) for word in words], stops], axis=1).astype(int)
    return Explanation(words, weights, *values, text=" ".join(words), spans=spans, **named)
