"""Reading of run folders."""

import json

import numpy as np
import pytest

from seqtext.errors import UserError
from seqtext.reporting.runs import find_sweep_command, read_run, read_runs
from tests.reporting.fake_runs import ROWS, write_run


def test_a_run(tmp_path):
    folder = write_run(tmp_path / "a run", seed=3, options={"model.units": 8, "model.x": "a b"})
    run = read_run(folder, [])
    assert run.seed == 3
    assert run.split == (42, 0)
    assert run.rows("test") == ROWS
    assert run.choices == {"dataset": "imdb", "model": "gru"}
    assert run.command == "python train.py model=gru model.units=8 'model.x=a b' seed=3"


def test_predictions_are_sorted_and_numbered(tmp_path):
    folder = write_run(tmp_path / "run", classes=("b", "a"), rows=range(50, 10, -1))
    said = read_run(folder, []).predictions
    assert said.class_names == ("b", "a")  # as the run had them, not by name
    assert (np.diff(said.rows) > 0).all()
    assert (said.predicted == said.probabilities.argmax(axis=1)).all()
    assert said.labels.tolist() == [row * 7 % 11 % 2 for row in range(11, 51)]


def test_runs_are_found_once_wherever_they_are(tmp_path):
    write_run(tmp_path / "sweep" / "a")
    write_run(tmp_path / "sweep" / "trial" / "b")
    runs, unfinished, damaged = read_runs([tmp_path, tmp_path / "sweep", tmp_path / "sweep" / "a"])
    assert sorted(run.path.name for run in runs) == ["a", "b"]
    assert unfinished == damaged == []


def test_jobs_without_a_result(tmp_path):
    for name in ("done", "late"):
        write_run(tmp_path / name)
    for name in ("killed", "pruned"):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / ".hydra" / "config.yaml").write_text("{}")
    (tmp_path / "described" / ".hydra").mkdir(parents=True)
    (tmp_path / "described" / ".hydra" / "config.yaml").write_text("mode: describe")
    jobs = [
        {"folder": "done", "status": "finished", "reason": None},
        {"folder": "late", "status": "failed", "reason": "it finished in the end"},
        {"folder": "pruned", "status": "pruned", "reason": "below the median"},
        {"folder": "gone", "status": "failed", "reason": "the loss is nan"},
    ]
    sweep = {"name": "x", "command": "python train.py -m a=1,2", "jobs": jobs}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    runs, unfinished, _ = read_runs([tmp_path])
    assert len(runs) == 2
    assert {job.name.rpartition("/")[2]: job[1:] for job in unfinished} == {
        "killed": ("unfinished", "interrupted, or still running"),
        "pruned": ("pruned", "below the median"),
        "gone": ("failed", "the loss is nan"),
    }
    for folder in (tmp_path / "done", tmp_path / "trial" / "fold"):
        assert find_sweep_command(folder) == "python train.py -m a=1,2"
    assert find_sweep_command(tmp_path / "a" / "b" / "c") is None


def test_damaged_files_are_left_out_and_named(tmp_path):
    """Runs need a readable metrics.json; other damaged files are skipped."""
    for name in ("good", "bad", "unknown start", "silent"):
        write_run(tmp_path / name)
    (tmp_path / "bad" / "metrics.json").write_text("{")
    (tmp_path / "unknown start" / ".hydra" / "hydra.yaml").write_bytes(b"\xff\x00")
    (tmp_path / "silent" / "predictions" / "test.parquet").write_bytes(b"PAR1")
    (tmp_path / "sweep.json").write_text('{"jobs": [')
    runs, unfinished, damaged = read_runs([tmp_path])
    found = {run.path.name: run for run in runs}
    assert set(found) == {"good", "unknown start", "silent"}
    assert found["unknown start"].overrides == ()
    assert unfinished == []
    named = ("bad/metrics.json", "unknown start/.hydra/hydra.yaml", "sweep.json")
    assert len(damaged) == len(named)
    for path in named:
        assert any(sentence.startswith(f"{tmp_path / path} is damaged") for sentence in damaged)
    assert found["silent"].predictions is None
    assert "test.parquet is damaged" in found["silent"].damage
    assert found["good"].damage is None
    assert find_sweep_command(tmp_path / "good") is None


def test_an_outcome_tells_why_a_run_did_not_finish(tmp_path):
    write_run(tmp_path / "good")
    outcomes = {"failed": '{"status": "failed", "reason": "no memory"}', "damaged": "[1"}
    for name, content in outcomes.items():
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / ".hydra" / "config.yaml").write_text("{}")
        (tmp_path / name / "outcome.json").write_text(content)
    _, unfinished, damaged = read_runs([tmp_path])
    told = {job.name.rpartition("/")[2]: job[1:] for job in unfinished}
    assert told["failed"] == ("failed", "no memory")
    assert told["damaged"] == ("unfinished", "interrupted, or still running")
    assert "outcome.json is damaged" in damaged[0]


def test_nothing_to_report(tmp_path):
    with pytest.raises(UserError, match=r"there is no finished run in it\.$"):
        read_runs([tmp_path])
    with pytest.raises(UserError, match="there is no such folder"):
        read_runs([tmp_path / "missing"])
    (tmp_path / "metrics.json").write_text('{"val": 1}')
    with pytest.raises(UserError, match=r"is a file: name the folder"):
        read_runs([tmp_path / "metrics.json"])
    with pytest.raises(UserError, match=r"in it: .*has no entry dataset"):
        read_runs([tmp_path])


def test_only_failed_jobs(tmp_path):
    jobs = [{"folder": name, "status": "failed", "reason": f"no {name}"} for name in "ab"]
    (tmp_path / "sweep.json").write_text(json.dumps({"command": "x", "jobs": jobs}))
    with pytest.raises(UserError, match=r"the first of 2 jobs, .*a, is failed: no a"):
        read_runs([tmp_path])
