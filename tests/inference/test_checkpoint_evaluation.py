"""train.py mode=test evaluates a checkpoint, and does not change its run."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqtext.best_run import find_best_run
from seqtext.reporting.runs import read_runs
from seqtext.tokenizers.words import WordTokenizer
from tests.conftest import csv_of, invented_reviews
from tests.inference.conftest import trained

OWN = """
from seqtext.datasets.table import TableDataset


class OwnTable(TableDataset):
    pass
"""
NEW = invented_reviews(40, seed=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("evaluated"), "threshold=tuned")


def list_files(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def read_scores(name: str) -> dict:
    return json.loads(Path("outputs", name, "scores.json").read_text())


def told(result: tuple[int, str, str]) -> str:
    status, _, error = result
    assert status == 2, error
    assert error.count("\n") == 1, error
    return error


def test_the_test_part_of_the_run(train, run, monkeypatch):
    """The scores and predictions are those of training; nothing is fitted."""
    monkeypatch.setattr(WordTokenizer, "fit", lambda *_: pytest.fail("fitted"))
    before = list_files(run.path)
    status, output, error = train("mode=test", f"checkpoint={run.path}")
    assert status == 0, error
    assert list_files(run.path) == before
    (folder,) = Path("outputs").iterdir()
    assert folder.name.startswith("test_checkpoint-run_")
    assert "48 rows of the test part of imdb" in output
    assert {"figures", "predictions", "scores.json"} < {path.name for path in folder.iterdir()}
    scores, metrics = read_scores(folder.name), run.read_metrics()
    assert scores["threshold"] == metrics["threshold"] != 0.5
    assert {k: scores[k] for k in metrics["test"]} == pytest.approx(metrics["test"], abs=1e-6)
    assert scores["provenance"]["command"].partition("train.py ")[2].startswith("mode=test")
    one, two = (pd.read_parquet(p.predictions("test")) for p in (run, type(run)(folder)))
    pd.testing.assert_frame_equal(one, two, atol=1e-6)
    found = read_runs([run.path, folder.parent])
    assert len(found.runs) == 1
    assert not found.unfinished
    assert find_best_run(str(run.path), "run")[0].folder == run.path


@pytest.mark.slow
def test_another_data_set(train, run, tmp_path):
    """All rows, or the test part that the source defines; labels in other spellings."""
    (tmp_path / "new.csv").write_text(csv_of(NEW).replace("positive", "Positive"))
    table = ("dataset=table", "dataset.text=review", "dataset.label=sentiment")
    typed = ("mode=test", f"checkpoint={run.best_checkpoint}", *table)
    status, output, error = train(
        *typed, "dataset.path=new.csv", "name=new", "paths.cache_dir=other"
    )
    assert status == 0, error
    assert "40 rows of new" in output
    assert "'Positive' as 'positive'" in output + error
    scores = read_scores("new")
    assert scores["rows"] == 40
    predictions = pd.read_parquet("outputs/new/predictions/test.parquet")
    assert predictions["row"].tolist() == list(range(40))
    assert predictions["label"].tolist() == [label for _, label in NEW]
    assert scores["accuracy"] == np.mean(predictions["label"] == predictions["prediction"])
    table = pd.read_csv("new.csv").assign(part=["train"] * 30 + ["test"] * 10)
    table.to_csv("parts.csv", index=False)
    status, output, error = train(*typed, "dataset.path=parts.csv", "dataset.part=part", "name=p")
    assert status == 0, error
    assert "10 rows of the official test part of parts" in output
    assert pd.read_parquet("outputs/p/predictions/test.parquet")["row"].tolist() == [*range(30, 40)]
    table.assign(sentiment=["good", "bad"] * 20).to_csv("others.csv", index=False)
    assert told(train(*typed, "dataset.path=others.csv")) == (
        "others.csv has the class 'bad', and the model knows only 'negative', 'positive': give "
        "data with these classes, or leave the others out with dataset.drop_labels.\n"
    )
    assert not (Path("outputs") / "others").exists()


def test_the_data_set_of_the_run_with_other_rows(train, run, tmp_path):
    (tmp_path / "IMDB Dataset.csv").write_text(csv_of(NEW))
    status, _, error = train(
        "mode=test", f"checkpoint={run.path}", f"dataset.dir={tmp_path}", "name=x"
    )
    assert status == 0, error
    (warning,) = read_scores("x")["warnings"]
    assert warning.startswith("The model was trained on other files of imdb")


@pytest.mark.slow
def test_the_data_set_of_a_checkpoint_is_not_trusted(train, run, tmp_path, monkeypatch):
    """The owner names any class; the settings of a checkpoint known ones and those of plugins."""
    (tmp_path / "own_tables.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_tables", raising=False)
    (tmp_path / "new.csv").write_text(csv_of(NEW, ("text", "label")))
    data = ("dataset=table", "dataset.path=new.csv", "dataset._target_=own_tables.OwnTable")
    status, _, error = train("mode=test", f"checkpoint={run.path}", *data)
    assert status == 0, error
    assert train(*data, "model=tfidf", "name=own")[0] == 0
    typed = ("mode=test", "checkpoint=outputs/own", "name=again")
    assert "add plugins=[own_tables]." in told(train(*typed))
    status, _, error = train(*typed, "plugins=[own_tables]")
    assert status == 0, error
    metrics = json.loads(Path("outputs/own/metrics.json").read_text())
    assert read_scores("again")["f1"] == pytest.approx(metrics["test"]["f1"])


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["mode=test"], "mode=test needs a trained model: give checkpoint=outputs/<run>."),
        (["checkpoint=x"], "checkpoint= goes with mode=test"),
        (["mode=test", "checkpoint=no/run"], "checkpoint=no/run: there is no such file or folder."),
        (["mode=test", "checkpoint=[a]"], "checkpoint=['a']: there is no such file or folder."),
        (["mode=test", "checkpoint={run}", "model.units=3"], "model.units=3 cannot be changed"),
        (["mode=test", "checkpoint={run}", "experiment=imdb/best"], "experiment=imdb/best cannot"),
        (["mode=test", "checkpoint={run}", "dataset.cleaning=[lower]"], "dataset.cleaning="),
        (["mode=test", "checkpoint={run}", "dataset.dir=nowhere"], "dataset.dir=nowhere"),
        (["mode=test", "checkpoint={run}", "dataset.pat=x"], "no option dataset.pat"),
    ],
)
def test_what_cannot_be_evaluated(train, run, typed, words):
    assert words in told(train(*(each.format(run=run.path) for each in typed)))
    assert not list(Path("outputs").glob("*"))
