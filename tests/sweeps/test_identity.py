"""Each combination of a sweep is its own run, and finished ones are recognized."""

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.sweeps.sweep import SweepRunner
from tests.conftest import csv_of, invented_reviews
from tests.sweeps.test_grid import inodes, sweep_of

FAST = ("model=tfidf", "model.min_df=1", "split.stratify=false")


def rows_of(seed: int) -> str:
    return csv_of(invented_reviews(80, seed), header=("text", "label"))


@pytest.fixture
def fast(tmp_path) -> list[str]:
    """Options of a run on a table that takes a moment."""
    return ["dataset=table", *FAST, f"paths.cache_dir={tmp_path / 'cache'}"]


def finished(folder: Path) -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted(folder.rglob("metrics.json"))]


@pytest.mark.slow
def test_files_that_are_swept(train, fast, tmp_path):
    """Folders of the same name, and paths whose differences a name cannot show."""
    for number, name in enumerate(["x/y.csv", "x-y.csv", "X/y.csv"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(rows_of(number))
    command = ("-m", "name=paths", *fast, "dataset.path=x/y.csv,x-y.csv,X/y.csv")
    status, output, error = train(*command)
    assert status == 0, error
    digests = {metrics["fingerprints"]["data"] for metrics in finished(tmp_path / "outputs/paths")}
    assert len(digests) == 3
    names = [name.casefold() for name in sweep_of(tmp_path / "outputs" / "paths")]
    assert len(set(names)) == 3
    status, output, _ = train(*command)
    assert (status, output.count("earlier")) == (0, 3)


@pytest.mark.slow
def test_other_content_under_the_same_name(train, fast, tmp_path):
    """An edited file is refused; a moved or compressed copy is the same run."""
    (tmp_path / "d.csv").write_text(rows_of(0))
    command = ("-m", "name=same", *fast, "seed=0,1")
    assert train(*command, "dataset.path=d.csv")[0] == 0
    before = inodes(tmp_path / "outputs" / "same")
    (tmp_path / "moved").mkdir()
    shutil.copy(tmp_path / "d.csv", tmp_path / "moved" / "d.csv")
    status, output, error = train(*command, "dataset.path=moved/d.csv")
    assert (status, output.count("earlier")) == (0, 2), error
    (tmp_path / "d.csv").write_text(rows_of(1))
    status, output, error = train(*command, "dataset.path=d.csv")
    assert status == 1
    assert "earlier" not in output
    assert error.count("made with other data") == 1, "once for both"
    assert "2 jobs" in error
    (tmp_path / "d.csv").unlink()
    status, output, error = train(*command, "dataset.path=d.csv")
    assert (status, output.count("earlier")) == (0, 2), "they are finished"
    assert "2 earlier results were not compared" in error
    assert "d.csv is not there" in error
    assert inodes(tmp_path / "outputs" / "same") == before


@pytest.mark.slow
def test_data_that_change_while_a_sweep_runs(train, fast, tmp_path, monkeypatch):
    (tmp_path / "d.csv").write_text(rows_of(0))
    original = SweepRunner.run

    def editing(self, jobs):
        (tmp_path / "d.csv").write_text(rows_of(1))
        return original(self, jobs)

    monkeypatch.setattr(SweepRunner, "run", editing)
    status, _, error = train("-m", "name=edited", *fast, "dataset.path=d.csv", "seed=0,1")
    assert status == 1
    assert "2 jobs: its data changed while the sweep ran" in error


@pytest.mark.slow
def test_jobs_that_cannot_run_are_told_once_and_the_others_run(train, fast, tmp_path):
    (tmp_path / "d.csv").write_text(rows_of(0))
    command = ("-m", "name=some", *fast, "dataset.path=d.csv,none.csv", "seed=0,1,2")
    status, output, error = train(*command)
    assert status == 1
    assert (output + error).count("none.csv is not there") == 1
    assert "failed: 3 jobs: dataset.path=none.csv is not there." in error
    assert "3 finished, 3 failed" in output
    status, _, error = train("-m", "name=none", *fast, "dataset.path=none.csv", "seed=0,1,2")
    assert (status, error) == (2, "dataset.path=none.csv is not there.\n")
    assert not (tmp_path / "outputs" / "none").exists()


@pytest.mark.slow
def test_one_sweep_at_a_time(train, fast, tmp_path):
    (tmp_path / "d.csv").write_text(rows_of(0))
    command = ("-m", "name=busy", *fast, "dataset.path=d.csv", "seed=0,1")
    (tmp_path / "outputs" / "busy").mkdir(parents=True)
    with FileLock(tmp_path / "outputs" / "busy" / ".lock"):
        status, _, error = train(*command)
    assert status == 2
    assert "is in use by another sweep: wait for it" in error
    assert [p.name for p in (tmp_path / "outputs" / "busy").iterdir()] == [".lock"]
    assert train(*command)[0] == 0


@pytest.mark.slow
def test_a_job_that_finds_its_folder_in_use_writes_nothing_there(
    train, small, tmp_path, monkeypatch
):
    command = ("-m", "name=late", *small, "trainer.max_epochs=1", "model=gru,rnn")
    assert train(*command)[0] == 0
    (rnn,) = (tmp_path / "outputs" / "late").glob("imdb-rnn*")
    (rnn / "metrics.json").unlink()
    log = (rnn / "train.log").read_text()
    monkeypatch.setattr(RunDir, "is_locked", lambda _: False)  # it was not, a moment ago
    with FileLock(rnn / ".lock"):
        status, _, error = train(*command)
    assert status == 1
    assert "in use by another process" in error
    assert (rnn / "train.log").read_text() == log


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_an_interrupted_sweep_says_what_goes_on(train, small, tmp_path, monkeypatch, named):
    original = TextClassifier.training_step

    def interrupted(self, batch, batch_idx):
        if self.name == "rnn":
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)

    command = ["-m", *small, "trainer.max_epochs=1", "model=gru,rnn"]
    command += ["name=mine"] if named else []
    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "training_step", interrupted)
        status, output, _ = train(*command)
    assert status == 130
    (said,) = (line for line in output.splitlines() if line.startswith("Interrupted"))
    assert said.startswith("Interrupted: the same command ")
    further = [word for word in said.split() if word.startswith(("name=", "hydra.sweep.dir="))]
    assert bool(further) is not named
    status, output, error = train(*command, *further)
    assert status == 0, error
    assert output.count("earlier") == 1
    assert len(list((tmp_path / "outputs").iterdir())) == 1
