"""Grid sweeps: named, resumed, with failing jobs, in other processes."""

import json
import re
import weakref
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import seqtext
from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir

ONE_EPOCH = "trainer.max_epochs=1"


def sweep_of(folder: Path) -> dict[str, dict]:
    """Return the jobs of sweep.json by the swept values in their names."""
    jobs = json.loads((folder / "sweep.json").read_text())["jobs"]
    assert len({job["folder"] for job in jobs}) == len(jobs)
    return {job["folder"]: job for job in jobs}


def inodes(folder: Path) -> dict[str, int]:
    """Return the inode of each metrics.json, to detect rewritten files."""
    return {file.parent.name: file.stat().st_ino for file in folder.rglob("metrics.json")}


@pytest.fixture
def experiment(tmp_path) -> list[str]:
    """Write an experiment that is a sweep; return the arguments that select it."""
    folder = tmp_path / "mine" / "experiment" / "imdb"
    folder.mkdir(parents=True)
    lines = [
        "# @package _global_",
        "trainer: {max_epochs: 1}",
        "model: {pooling: max}",  # worse than the default, so that scores are below 1
        "hydra: {mode: MULTIRUN, sweeper: {params: {model: 'gru,rnn'}}}",
    ]
    (folder / "cells.yaml").write_text("\n".join(lines))
    return ["--config-dir", str(tmp_path / "mine"), "experiment=imdb/cells"]


@pytest.fixture
def experiments(experiment, tmp_path) -> list[str]:
    """Write two more experiments, one run and one search; return the arguments for their folder."""
    folder = tmp_path / "mine" / "experiment" / "imdb"
    lines = ["# @package _global_", "defaults: [override /model: text_cnn]"]
    (folder / "cnn.yaml").write_text("\n".join(lines))
    lines[1:] = ["defaults: [override /hydra/sweeper: optuna]", "hydra: {mode: MULTIRUN}"]
    (folder / "search.yaml").write_text("\n".join(lines))
    return experiment[:2]


@pytest.mark.slow
def test_a_pattern_of_experiments_runs_all_jobs_of_their_grids(train, small, tmp_path, experiments):
    typed = ["-m", "experiment=glob(imdb/[cs]*)", "name=all", *experiments]
    options = [o for o in small if "model." not in o]
    status, output, error = train(*typed, *options, ONE_EPOCH)
    assert status == 1
    assert "imdb-search" in error
    assert "this experiment is a search" in error
    assert "4 jobs in" in output
    jobs = sweep_of(tmp_path / "outputs" / "all")
    finished = [job for job in jobs.values() if job["status"] == "finished"]
    chosen = [[o for o in job["overrides"] if o.startswith(("exp", "mod"))] for job in finished]
    cells = [["experiment=imdb/cells", f"model={cell}"] for cell in ("gru", "rnn")]
    assert sorted(chosen) == [*cells, ["experiment=imdb/cnn"]]
    before = inodes(tmp_path / "outputs" / "all")
    typed[1] = "experiment=glob(imdb/ce*)"  # one, and the command line's values have priority
    status, output, error = train(*typed, *options, ONE_EPOCH, "model=gru")
    assert status == 0, error
    assert "1 job in" in output
    assert inodes(tmp_path / "outputs" / "all") == before, "this job has run"


@pytest.mark.slow
def test_a_pattern_of_all_models_runs_each(train, small, tmp_path):
    options = [o for o in small if "model." not in o] + ["optimizer.lr=0.001"]
    status, _, error = train("-m", "model=glob(*)", "name=all", *options, ONE_EPOCH)
    assert status == 0, error
    names = {name.split("_trainer")[0] for name in sweep_of(tmp_path / "outputs" / "all")}
    assert len(names) == len(seqtext.list_models())
    assert all(any(model in name for name in names) for model in seqtext.list_models())


def test_a_sweep_needs_its_flag(train):
    sentence = "model=glob(*) is a sweep: add -m to run each of its values.\n"
    assert train("model=glob(*)")[::2] == (2, sentence)


@pytest.mark.slow
def test_an_experiment_sweeps_by_itself_and_goes_on(train, small, tmp_path, experiment):
    options = [o for o in small if "epochs" not in o]
    status, output, error = train(*experiment, *options)
    assert status == 0, error
    folder = tmp_path / "outputs" / "imdb-cells"
    jobs = sweep_of(folder)
    assert {name.split("_")[0] for name in jobs} == {"imdb-gru", "imdb-rnn"}
    assert not any("experiment" in name for name in jobs)
    for name, job in jobs.items():
        metrics = RunDir(folder / name).read_metrics()
        assert job["status"] == "finished"
        assert job["score"] == metrics["score"]
        assert metrics["epochs"] == 1
    lines = output.splitlines()
    assert re.search(r"1 of 2  gru  val/auroc 0\.\d{4}  best 0\.\d{4}  [\d.]+ s  left \d", output)
    assert len(lines) == 5, "a line per job, the first and two at the end"
    assert "epoch 1/1" in (folder / min(jobs) / "train.log").read_text()
    content = json.loads((folder / "sweep.json").read_text())
    assert content["name"] == "imdb-cells"
    assert "experiment=imdb/cells" in content["command"]
    assert "hydra.mode" not in content["command"], "nobody typed it"
    config = yaml.safe_load((folder / "multirun.yaml").read_text())
    assert config["hydra"]["mode"] == "MULTIRUN"
    first = inodes(folder)
    status, output, error = train(*experiment, *options, "seed=1")  # more jobs
    assert status == 0, error
    assert len(sweep_of(folder)) == 4
    status, output, error = train(*experiment, *options)
    assert status == 0, error
    assert output.count("earlier") == 2
    assert first.items() < inodes(folder).items()
    sessions = [f for f in folder.rglob("events.out.tfevents*") if _has_settings(f)]
    assert len(sessions) == 4


def _has_settings(events: Path) -> bool:
    plugins = EventAccumulator(str(events)).Reload().summary_metadata
    return "_hparams_/session_start_info" in plugins


def test_a_failed_job_stops_no_other(train, small, tmp_path):
    command = ("-m", "name=mixed", *small, ONE_EPOCH, "model=cnn,gru", "model.units=-1,8")
    status, output, error = train(*command)
    assert status == 1
    jobs = sweep_of(tmp_path / "outputs" / "mixed").values()
    states = {(_of(j, "model"), _of(j, "model.units")): j["status"] for j in jobs}
    assert states.pop(("gru", "8")) == "finished"
    assert set(states) == {("cnn", "-1"), ("cnn", "8"), ("gru", "-1")}
    assert set(states.values()) == {"failed"}
    lines = error.splitlines()
    assert len(lines) == 2, "each reason once"
    assert all(line.startswith("failed: ") for line in lines)
    assert sum("at least 1" in line for line in lines) == 1
    assert sum("2 jobs: There is no option model.units" in line for line in lines) == 1
    assert "Traceback" not in error + output
    assert "1 finished, 3 failed" in output


def _of(job: dict, option: str) -> str:
    return dict(o.split("=", 1) for o in job["overrides"])[option]


@pytest.mark.slow
def test_diverging_is_a_failure_with_its_reason(train, small, tmp_path):
    arguments = ("optimizer.lr=0.05,1e39", "trainer.gradient_clip_val=null", ONE_EPOCH)
    status, _, _ = train("-m", "name=lr", *small, *arguments)
    assert status == 1
    jobs = sweep_of(tmp_path / "outputs" / "lr")
    (failed,) = (job for job in jobs.values() if job["status"] == "failed")
    assert "diverged" in failed["reason"]
    assert "epoch 1" in failed["reason"]
    log = (tmp_path / "outputs" / "lr" / failed["folder"] / "train.log").read_text()
    assert "Traceback" in log
    status, output, _ = train("-m", "name=lr", *small, *arguments)  # fails again, alone
    assert status == 1
    assert output.count("earlier") == 1


def test_nothing_runs_where_no_job_can(train, small, tmp_path):
    status, _, error = train("-m", "name=typo", *small, "model.unitz=1,2")
    assert status == 2
    assert "did you mean model.units" in error
    status, _, error = train("-m", "name=a/b", *small, "seed=1,2")
    assert status == 2
    assert "name=a/b" in error


@pytest.mark.slow
def test_other_settings_under_the_same_name_are_refused(train, small, tmp_path, experiment):
    assert train(*experiment, *small, ONE_EPOCH)[0] == 0
    file = tmp_path / "mine" / "experiment" / "imdb" / "cells.yaml"
    file.write_text(file.read_text() + "\npatience: 7\n")
    before = inodes(tmp_path / "outputs" / "imdb-cells")
    status, _, error = train(*experiment, *small, ONE_EPOCH)
    assert status == 1
    assert "made with patience=auto, not 7" in error
    assert "another name=" in error
    assert inodes(tmp_path / "outputs" / "imdb-cells") == before


class Killed(BaseException):
    """Simulates a killed process."""


@pytest.mark.slow
def test_a_killed_job_goes_on_and_the_finished_stay(train, small, tmp_path, monkeypatch):
    command = ("-m", "name=killed", *small, "model=gru,rnn")
    original = TextClassifier.training_step
    seen = []

    def dying(self, batch, batch_idx):
        seen.append(self.name)
        if self.name == "rnn" and self.current_epoch == 2:
            raise Killed
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "training_step", dying)
        with pytest.raises(Killed):
            train(*command)
    folder = tmp_path / "outputs" / "killed"
    first = inodes(folder)
    assert len(first) == 1
    seen.clear()
    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "training_step", lambda *a: seen.append(1) or original(*a))
        status, _, error = train(*command)
    assert status == 0, error
    assert len(seen) == 11, "one epoch was left of one job"
    assert first.items() < inodes(folder).items()
    (rnn,) = (f for f in folder.glob("imdb-rnn*"))
    assert RunDir(rnn).read_metrics()["epochs"] == 3


@pytest.mark.slow
def test_a_job_in_another_process_is_left_alone(train, small, tmp_path):
    command = ("-m", "name=both", *small, ONE_EPOCH, "model=gru,rnn")
    assert train(*command)[0] == 0
    (rnn,) = (tmp_path / "outputs" / "both").glob("imdb-rnn*")
    (rnn / "metrics.json").unlink()
    files = {f: f.stat().st_mtime_ns for f in rnn.rglob("*") if f.name != ".lock"}
    with FileLock(rnn / ".lock"):
        status, _, error = train(*command)
    assert status == 1
    assert "in use by another process" in error
    assert files == {f: f.stat().st_mtime_ns for f in rnn.rglob("*") if f.name != ".lock"}


@pytest.mark.slow
def test_a_job_leaves_no_model_in_memory(train, small, tmp_path, monkeypatch):
    models, alive, original = weakref.WeakSet(), [], TextClassifier.on_fit_start

    def counting(self):
        models.add(self)
        alive.append(len(models))
        return original(self)

    monkeypatch.setattr(TextClassifier, "on_fit_start", counting)
    assert train("-m", "name=light", *small, ONE_EPOCH, "seed=1,2")[0] == 0
    assert alive == [1, 1]


@pytest.mark.slow
def test_a_launcher_that_breaks(train, small, tmp_path, monkeypatch):
    """As joblib with a killed worker: unfinished jobs are reported, and run the next time."""
    command = ("-m", "name=broken", *small, ONE_EPOCH, "seed=1,2,3")
    original = BasicLauncher.launch

    def breaking(self, jobs, initial_job_idx):
        original(self, jobs[:1], initial_job_idx)
        raise RuntimeError("worker gone")

    with monkeypatch.context() as patch:
        patch.setattr(BasicLauncher, "launch", breaking)
        status, _, error = train(*command)
    assert status == 1
    assert "failed: 2 jobs: Its process died (RuntimeError: worker gone)" in error
    status, output, _ = train(*command)
    assert status == 0
    assert output.count("earlier") == 1
    assert len(inodes(tmp_path / "outputs" / "broken")) == 3
