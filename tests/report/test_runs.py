"""What run folders say."""

import json

import numpy as np
import pytest

from seqtext.options import UserError
from seqtext.report.runs import read_run, read_runs, sweep_command
from tests.report.invented import ROWS, write_run


def test_a_run(tmp_path):
    folder = write_run(tmp_path / "a run", seed=3, options={"model.units": 8, "model.x": "a b"})
    run = read_run(folder)
    assert run.seed == 3
    assert run.split == (42, 0)
    assert run.rows("test") == ROWS
    assert run.choices == {"dataset": "imdb", "model": "gru"}
    assert run.command == "python train.py model=gru model.units=8 'model.x=a b' seed=3"


def test_predictions_are_sorted_and_numbered(tmp_path):
    said = read_run(write_run(tmp_path / "run", classes=("b", "a"), rows=range(50, 10, -1))).said
    assert said.class_names == ("b", "a")  # as the run had them, not by name
    assert (np.diff(said.rows) > 0).all()
    assert (said.predicted == said.probabilities.argmax(axis=1)).all()
    assert said.labels.tolist() == [row * 7 % 11 % 2 for row in range(11, 51)]


def test_runs_are_found_once_wherever_they_are(tmp_path):
    write_run(tmp_path / "sweep" / "a")
    write_run(tmp_path / "sweep" / "trial" / "b")
    runs, unfinished = read_runs([tmp_path, tmp_path / "sweep", tmp_path / "sweep" / "a"])
    assert sorted(run.path.name for run in runs) == ["a", "b"]
    assert unfinished == []


def test_jobs_without_a_result(tmp_path):
    for name in ("done", "late"):
        write_run(tmp_path / name)
    for name in ("killed", "pruned"):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / ".hydra" / "config.yaml").write_text("{}")
    (tmp_path / "described" / ".hydra").mkdir(parents=True)
    (tmp_path / "described" / ".hydra" / "config.yaml").write_text("describe: true")
    jobs = [
        {"folder": "done", "status": "finished", "reason": None},
        {"folder": "late", "status": "failed", "reason": "it finished in the end"},
        {"folder": "pruned", "status": "pruned", "reason": "below the median"},
        {"folder": "gone", "status": "failed", "reason": "the loss is nan"},
    ]
    sweep = {"name": "x", "command": "python train.py -m a=1,2", "jobs": jobs}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    runs, unfinished = read_runs([tmp_path])
    assert len(runs) == 2
    assert {job.name.rpartition("/")[2]: job[1:] for job in unfinished} == {
        "killed": ("unfinished", "interrupted, or still running"),
        "pruned": ("pruned", "below the median"),
        "gone": ("failed", "the loss is nan"),
    }
    for folder in (tmp_path / "done", tmp_path / "trial" / "fold"):
        assert sweep_command(folder) == "python train.py -m a=1,2"
    assert sweep_command(tmp_path / "a" / "b" / "c") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is damaged"), ("[]", "is no result of a run"), ('{"val": 1}', "nothing of dataset")],
)
def test_a_damaged_run_is_named(tmp_path, content, said):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(UserError, match=said):
        read_runs([tmp_path])


def test_a_damaged_sweep_is_named(tmp_path):
    write_run(tmp_path / "run")
    (tmp_path / "sweep.json").write_text('{"jobs": [')
    with pytest.raises(UserError, match=r"sweep\.json is damaged"):
        read_runs([tmp_path])


def test_nothing_to_report(tmp_path):
    with pytest.raises(UserError, match="there is no finished run in it"):
        read_runs([tmp_path])
    with pytest.raises(UserError, match="there is no such folder"):
        read_runs([tmp_path / "missing"])
