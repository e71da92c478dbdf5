"""A run to predict with, trained once for all tests of a file."""

from functools import partial
from pathlib import Path

import pytest

from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import SMALL, csv_of, invented_reviews, settings_of

REVIEWS = invented_reviews(240)


def trained(folder: Path, *overrides: str, small: tuple[str, ...] = SMALL) -> RunDir:
    """A finished run on the invented reviews, which are put beside it."""
    source = folder / "imdb"
    source.mkdir(parents=True, exist_ok=True)
    (source / "IMDB Dataset.csv").write_text(csv_of(REVIEWS))
    where = f"dataset.dir={source}", f"cache={folder / 'cache'}"
    done = RunDir(folder / "run")
    train_and_evaluate(settings_of(*where, *small, *overrides), done)
    return done


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> RunDir:
    """A GRU; its data set and cache are gone."""
    folder = tmp_path_factory.mktemp("gru")
    done = trained(folder)
    for gone in ("imdb", "cache"):
        (folder / gone).rename(folder / f"{gone}-gone")
    return done


@pytest.fixture
def predict(monkeypatch, script, tmp_path):
    """Call predict.py, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(script, "predict.py")
