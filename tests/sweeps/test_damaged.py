"""Damaged files of runs and sweeps: a one-line message that names them, or a repeated job."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from omegaconf import OmegaConf

from seqtext.best_run import read_best_run
from seqtext.callbacks.progress_bar import print_summary
from seqtext.errors import UserError
from seqtext.files import write_json
from seqtext.metrics_file import SUMMARY_ENTRIES
from seqtext.run_dir import RunDir
from seqtext.sweeps.job import Job, JobResult, find_run_conflict, read_job_result
from seqtext.sweeps.progress import SweepProgress
from seqtext.training.resume import load_resume_config
from tests.conftest import settings_of
from tests.reporting.fake_runs import write_run

BYTES = {
    "empty": b"",
    "cut off": b'{"a": [1, {"b": ',
    "not UTF-8": b"\xff\xfe{}",
    "NUL": b"{}\0",
    "a number": b"5",
    "a list": b"[1, 2]",
    "a text": b'"x"',
    "nested deeply": b"[" * 100_000,
    "another object": b'{"hydra": {"runtime": []}, "jobs": [[]], "status": "x", "score": []}',
}
VALUES = (None, "x", -1.5, True, [], [1], {}, {"a": None}, {"a": [1]})
JOB = Job((), "run", "run", {"seed": 1}, files={"data": "1", "vectors": None})
CONFIG = {"paths": {"data_dir": "data", "output_dir": "outputs", "cache_dir": ".cache"}}
FINGERPRINTS = {"data": "1", "vectors": None, "files": {"data": "2", "vectors": None}}


@pytest.fixture
def sweep(tmp_path) -> Path:
    """A sweep with one finished run."""
    folder = write_run(tmp_path / "sweep" / "run")
    metrics = json.loads((folder / "metrics.json").read_text())
    write_json(folder / "metrics.json", metrics | {"fingerprints": FINGERPRINTS})
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(settings_of()))
    jobs = [{"folder": "run", "overrides": [], "status": "finished"}]
    write_json(folder.parent / "sweep.json", {"jobs": jobs})
    return folder.parent


def read_as_a_sweep(sweep: Path) -> None:
    folder = sweep / "run"
    find_run_conflict(folder, JOB, read_job_result(folder), lambda: FINGERPRINTS)


def read_as_a_finished_run(sweep: Path) -> None:
    folder = RunDir(sweep / "run")
    print_summary(folder.read_metrics(SUMMARY_ENTRIES), folder.path)


READERS: dict[str, list[Callable[[Path], object]]] = {
    "run/metrics.json": [
        read_as_a_sweep,
        read_as_a_finished_run,
        lambda sweep: read_best_run(str(sweep)),
    ],
    "run/.hydra/hydra.yaml": [lambda sweep: read_best_run(str(sweep))],
    "run/.hydra/config.yaml": [
        lambda sweep: load_resume_config(RunDir(sweep / "run"), [], OmegaConf.create(CONFIG))
    ],
    "sweep.json": [lambda sweep: SweepProgress(sweep, 1)],
}


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
@pytest.mark.parametrize("name", READERS)
def test_other_content(sweep, name, content):
    (sweep / name).write_bytes(content)
    for read in READERS[name]:
        _sentence_or_nothing(lambda read=read: read(sweep), Path(name).name)


def _sentence_or_nothing(read: Callable[[], object], name: str) -> None:
    sentence = name
    try:
        read()
    except UserError as error:
        sentence = str(error)
    assert name in sentence


def test_the_files_as_they_are_written(sweep):
    for readers in READERS.values():
        for read in readers:
            read(sweep)


@pytest.mark.parametrize("value", VALUES, ids=map(str, VALUES))
def test_entries_of_other_kinds(sweep, value):
    """Every entry of metrics.json, also a nested one, in place of a valid one."""
    file = sweep / "run" / "metrics.json"
    genuine = file.read_text()
    for key, entry in json.loads(genuine).items():
        inner = list(entry) if isinstance(entry, dict) and key != "settings" else []
        for place in [None, *inner, *(["split"] if key == "settings" else [])]:
            metrics = json.loads(genuine)
            if place is None:
                metrics[key] = value
            else:
                metrics[key][place] = value
            file.write_text(json.dumps(metrics))
            for read in READERS["run/metrics.json"]:
                _sentence_or_nothing(lambda read=read: read(sweep), "metrics.json")


def test_entries_that_are_missing(sweep):
    file = sweep / "run" / "metrics.json"
    genuine = json.loads(file.read_text())
    for key in genuine:
        file.write_text(json.dumps({name: v for name, v in genuine.items() if name != key}))
        for read in READERS["run/metrics.json"]:
            _sentence_or_nothing(lambda read=read: read(sweep), "metrics.json")


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_an_outcome_that_is_damaged_is_none(tmp_path, content):
    """Its job runs again."""
    (tmp_path / "outcome.json").write_bytes(content)
    assert read_job_result(tmp_path) is None
    JobResult("pruned", 0.5, fingerprints=FINGERPRINTS).write(tmp_path)
    assert read_job_result(tmp_path) == JobResult("pruned", 0.5, fingerprints=FINGERPRINTS)
    for value in VALUES[1:]:
        write_json(tmp_path / "outcome.json", {"status": "failed", "reason": [value], "x": value})
        assert read_job_result(tmp_path) is None


def test_a_choice_that_is_none_of_a_configuration(sweep):
    choices = {"model": "gru,lstm", "dataset": "imdb"}
    content = {"hydra": {"runtime": {"choices": choices}}}
    (sweep / "run" / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"hydra\.yaml is damaged"):
        read_best_run(str(sweep))


def test_a_journal_that_is_damaged(tmp_path):
    from seqtext.sweeps.optuna_study import StudySweeper

    folder = tmp_path / "sweep"
    folder.mkdir()
    (folder / "study.journal").write_bytes(b"\xff[1\n{}\n5\n")
    sweeper = StudySweeper.__new__(StudySweeper)
    sweeper.direction = None
    hydra = {"sweep": {"dir": str(folder)}, "sweeper": {"storage": None, "study_name": None}}
    sweeper.config = OmegaConf.create({"monitor": "val/f1", "hydra": hydra})
    with pytest.raises(UserError, match=r"study\.journal cannot be used"):
        sweeper._create_study({}, SimpleNamespace())
