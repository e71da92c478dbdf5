"""A killed run resumes, with the results of an uninterrupted one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.training.resume import CHANGEABLE_ON_RESUME, load_resume_config
from seqtext.training.train import train_and_evaluate
from tests.conftest import ROOT, csv_of, invented_reviews, settings_of

OPTIONS = (
    "trainer.max_epochs=4",
    "model.layers=2",
    "model.variational_dropout=0.3",
    "model.word_dropout=0.2",
    "model.head_dropout=0.4",
)


COMMAND = [sys.executable, str(ROOT / "train.py")]


NOT_COMPARED = ("seconds", "peak_memory", "settings", "provenance", "source")


class Killed(BaseException):
    """Simulates a killed process."""


def results(folder: RunDir) -> dict:
    """Return everything that must not depend on interruptions."""
    metrics = folder.read_metrics()
    return {k: v for k, v in metrics.items() if k not in NOT_COMPARED}


def assert_same(folder: RunDir, unbroken: RunDir) -> None:
    assert results(folder) == results(unbroken)
    for part in ("val", "test"):
        one, other = (pd.read_parquet(f.predictions(part)) for f in (folder, unbroken))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    for name in ("best_checkpoint", "last_checkpoint"):
        one, other = (
            torch.load(getattr(f, name), weights_only=True)["state_dict"]
            for f in (folder, unbroken)
        )
        assert all((one[key] == other[key]).all() for key in one)


_trained: list[Path] = []


@pytest.fixture
def unbroken(small, tmp_path, tmp_path_factory) -> RunDir:
    """Return a copy of a finished run, which is trained once."""
    if not _trained:
        folder = tmp_path_factory.mktemp("trained") / "unbroken"
        train_and_evaluate(settings_of(*small, *OPTIONS), RunDir(folder))
        _trained.append(folder)
    return RunDir(Path(shutil.copytree(_trained[0], tmp_path / "unbroken")))


STEPS = 11  # of an epoch: 172 training texts in batches of 16
KILLS = {
    "within the first epoch": 4,
    "first step of the second epoch": STEPS,
    "last step of the second epoch": 2 * STEPS - 1,
    "within the third epoch": 2 * STEPS + 5,
}


EACH_STEP, EACH_EPOCH = 1e-9, 60  # minutes between checkpoints


@pytest.mark.parametrize(
    ("step", "minutes"),
    [
        pytest.param(
            KILLS[when],
            minutes,
            id=f"{when}-saved at each {'step' if minutes == EACH_STEP else 'epoch'}",
            marks=[pytest.mark.slow] if number % 2 == (minutes == EACH_STEP) else [],
        )
        for number, when in enumerate(KILLS)
        for minutes in (EACH_STEP, EACH_EPOCH)
    ],
)
def test_killed_in_training(small, tmp_path, monkeypatch, unbroken, step, minutes):
    folder = RunDir(tmp_path / "broken")
    settings = settings_of(*small, *OPTIONS, f"checkpoint_minutes={minutes}")
    _run_until_killed(settings, folder, step, monkeypatch)
    assert folder.read_metrics() is None
    train_and_evaluate(settings, folder, resume=True)
    assert_same(folder, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "minutes"),
    [
        (STEPS + 7, 1e-9),
        *(pytest.param(step, 1e-9, marks=pytest.mark.slow) for step in (4, 6, STEPS + 1)),
        *(pytest.param(step, 60, marks=pytest.mark.slow) for step in (6, STEPS + 7)),
    ],
)
@pytest.mark.parametrize(
    "schedule",
    [
        ("trainer.val_check_interval=3", "trainer.max_steps=19"),
        *(
            pytest.param(schedule, marks=pytest.mark.slow)
            for schedule in (
                ("trainer.val_check_interval=0.5", "patience=1"),
                ("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3"),
                ("trainer.val_check_interval=7", "trainer.check_val_every_n_epoch=null"),
            )
        ),
    ],
)
def test_killed_with_other_validations(small, tmp_path, monkeypatch, schedule, step, minutes):
    unbroken, folder = RunDir(tmp_path / "unbroken"), RunDir(tmp_path / "broken")
    schedule = [f"++{option}" for option in schedule]
    settings = settings_of(*small, *OPTIONS, *schedule, f"checkpoint_minutes={minutes}")
    train_and_evaluate(settings, unbroken)
    _run_until_killed(settings, folder, step, monkeypatch)
    train_and_evaluate(settings, folder, resume=True)
    assert_same(folder, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "minutes"),
    [(STEPS + 7, 1e-9), *(pytest.param(s, 60, marks=pytest.mark.slow) for s in (4, 2 * STEPS + 5))],
)
@pytest.mark.parametrize(
    "callbacks",
    [
        "callbacks=[early_stopping,ema,lr_monitor]",
        *(pytest.param(c, marks=pytest.mark.slow) for c in ("callbacks=swa", "callbacks=[]")),
    ],
)
def test_killed_with_callbacks(small, tmp_path, monkeypatch, callbacks, step, minutes):
    """The averaged weights are part of the checkpoint."""
    unbroken, folder = RunDir(tmp_path / "unbroken"), RunDir(tmp_path / "broken")
    settings = settings_of(*small, *OPTIONS, callbacks, f"checkpoint_minutes={minutes}")
    train_and_evaluate(settings, unbroken)
    _run_until_killed(settings, folder, step, monkeypatch)
    train_and_evaluate(settings, folder, resume=True)
    assert_same(folder, unbroken)


@pytest.mark.slow
def test_killed_with_objectives(small, tmp_path, monkeypatch):
    """The changes of word vectors, mixed texts and unlabelled batches are the same again."""
    texts = [review for review, _ in invented_reviews(50, seed=3)]
    (tmp_path / "further.txt").write_text("\n".join(texts))
    terms = "objectives=[adversarial,virtual_adversarial,entropy,r_drop,mixup]"
    more = (terms, f"dataset.unlabelled={tmp_path / 'further.txt'}", "checkpoint_minutes=1e-9")
    settings = settings_of(*small, *OPTIONS, *more)
    unbroken, folder = RunDir(tmp_path / "unbroken"), RunDir(tmp_path / "broken")
    train_and_evaluate(settings, unbroken)
    _run_until_killed(settings, folder, STEPS + 7, monkeypatch)
    train_and_evaluate(settings, folder, resume=True)
    assert_same(folder, unbroken)


def _run_until_killed(settings, folder, step, monkeypatch) -> None:
    original = TextClassifier.training_step

    def dying(self, batch, batch_idx):
        if self.global_step == step:
            raise Killed
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "training_step", dying)
        with pytest.raises(Killed):
            train_and_evaluate(settings, folder)


def test_training_scores_of_a_broken_epoch_are_whole(small, tmp_path, monkeypatch, unbroken):
    folder = RunDir(tmp_path / "broken")
    settings = settings_of(*small, *OPTIONS, "checkpoint_minutes=1e-9")
    _run_until_killed(settings, folder, STEPS + 6, monkeypatch)
    train_and_evaluate(settings, folder, resume=True)
    assert read_training_losses(folder) == read_training_losses(unbroken)


def read_training_losses(folder):
    """Return the loss of each epoch; a folder has an event file for each start."""
    losses = {}
    for file in sorted(folder.path.glob("events*"), key=lambda file: file.stat().st_ctime_ns):
        events = EventAccumulator(str(file)).Reload()
        if "train/loss" in events.Tags()["scalars"]:
            losses |= {event.step: event.value for event in events.Scalars("train/loss")}
    return losses


@pytest.mark.slow
@pytest.mark.parametrize(
    "end",
    [("trainer.max_epochs=9", "patience=1"), ("trainer.max_epochs=3", "patience=null")],
    ids=["stopped early", "all epochs"],
)
def test_killed_after_training(small, tmp_path, monkeypatch, end):
    """Training is complete: only the rest is done, without another epoch."""
    options = (*small, *OPTIONS, *end)
    unbroken, folder = RunDir(tmp_path / "unbroken"), RunDir(tmp_path / "broken")
    train_and_evaluate(settings_of(*options), unbroken)
    assert unbroken.read_metrics()["epochs"] < 9, "this test needs a run that stops early"

    def dying(metrics):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_metrics", dying)
        with pytest.raises(Killed):
            train_and_evaluate(settings_of(*options), folder)
    train_and_evaluate(settings_of(*options), RunDir(folder.path), resume=True)
    assert_same(folder, unbroken)


def test_killed_before_the_first_checkpoint(train, small, tmp_path, unbroken, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "training_step", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(*small, *OPTIONS, f"hydra.run.dir={tmp_path / 'broken'}")
    status, _, error = train(f"resume={tmp_path / 'broken'}")
    assert status == 0, error
    assert_same(RunDir(tmp_path / "broken"), unbroken)


LONG = ("trainer.max_epochs=40", "patience=null", "model.layers=2", "model.variational_dropout=0.3")


@pytest.fixture
def heard():
    """Restore Ctrl-C, which is ignored in a shell's background jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def started(small, folder: RunDir, tmp_path) -> subprocess.Popen:
    """Start a run of some seconds in its own process; return after its first checkpoint."""
    with (tmp_path / "terminal.txt").open("w") as terminal:
        process = subprocess.Popen(
            [*COMMAND, *small, *LONG, f"hydra.run.dir={folder.path}"],
            cwd=tmp_path,
            stdout=terminal,
            stderr=terminal,
        )
    deadline = time.monotonic() + 100
    while (
        not folder.last_checkpoint.exists()
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.001)
    return process


@pytest.mark.slow
def test_kill_9_and_resume_from_the_command_line(small, tmp_path):
    unbroken, folder = RunDir(tmp_path / "unbroken"), RunDir(tmp_path / "broken")
    process = started(small, folder, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert folder.last_checkpoint.exists(), (tmp_path / "terminal.txt").read_text()
    assert folder.read_metrics() is None, "killed too late to show anything"
    moved = RunDir(folder.path.rename(tmp_path / "moved"))
    subprocess.run([*COMMAND, f"resume={moved.path}"], cwd=tmp_path, check=True, timeout=100)
    train_and_evaluate(settings_of(*small, *LONG), unbroken)
    assert_same(moved, unbroken)
    assert "units: 8" in (moved.path / ".hydra" / "config.yaml").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_says_how_to_go_on(small, tmp_path, sent):
    folder = RunDir(tmp_path / "broken")
    process = started(small, folder, tmp_path)
    process.send_signal(sent)
    assert process.wait(60) == 130
    said = (tmp_path / "terminal.txt").read_text()
    assert f"resume={folder.path} continues" in said
    assert "Traceback" not in said
    assert folder.read_metrics() is None


@pytest.mark.parametrize("step", ["training_step", "validation_step", "predict_step"])
def test_sigterm_interrupts_every_phase(small, tmp_path, monkeypatch, step):
    """Lightning's own handler is ignored while predicting."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    original = getattr(TextClassifier, step)

    def interrupted(self, batch, batch_idx):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, batch_idx)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(TextClassifier, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                train_and_evaluate(settings_of(*small), RunDir(tmp_path / "run"))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert RunDir(tmp_path / "run").read_metrics() is None


def test_a_description_is_not_resumed(train, small, tmp_path):
    folder = tmp_path / "described"
    status, _, error = train(*small, "mode=describe", f"hydra.run.dir={folder}")
    assert status == 0, error
    status, _, error = train(f"resume={folder}")
    assert status == 2
    assert "mode=describe" in error
    assert not (folder / "metrics.json").exists()


@pytest.mark.parametrize("content", ["junk", "seed: 1", "mode: train\nmodel: gru\n"])
def test_a_damaged_configuration_is_named(train, tmp_path, content):
    path = tmp_path / "run" / ".hydra" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    status, _, error = train(f"resume={tmp_path / 'run'}")
    assert status == 2
    assert f"{path} is damaged" in error


def test_other_data_are_refused(train, small, kaggle_dir, tmp_path, monkeypatch):
    folder = RunDir(tmp_path / "broken")
    _run_until_killed(settings_of(*small, *OPTIONS), folder, STEPS + 2, monkeypatch)
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(invented_reviews(240, seed=1)))
    status, _, error = train(f"resume={folder.path}")
    assert status == 2
    assert "is not what" in error
    assert folder.read_metrics() is None


def test_finished_run_is_shown_again(train, unbroken, monkeypatch):
    before = unbroken.metrics_path.read_bytes()
    monkeypatch.setattr(TextClassifier, "training_step", lambda *_: pytest.fail("trained again"))
    status, output, error = train(f"resume={unbroken.path}")
    assert status == 0, error
    assert "finished already" in output
    assert unbroken.metrics_path.read_bytes() == before


def test_settings_come_from_the_run(unbroken):
    unbroken.metrics_path.unlink()  # as if it had been killed just before
    config = OmegaConf.create(
        {"paths": {"data_dir": "data", "cache_dir": ".cache", "output_dir": "o"}}
    )
    settings = load_resume_config(unbroken, ["resume=x", "trainer.max_epochs=7"], config)
    assert settings["model"]["units"] == 8
    assert settings["trainer"]["max_epochs"] == 7


@pytest.mark.parametrize("change", ["model.units=9", "model=lstm", "seed=3"])
def test_other_settings_cannot_be_changed(train, unbroken, change):
    status, _, error = train(f"resume={unbroken.path}", change)
    assert status == 2
    assert change in error
    assert "only trainer.*, paths.data_dir, paths.cache_dir, dataset.dir, " in error
    assert all(option in error for option in CHANGEABLE_ON_RESUME)


def test_finished_run_is_not_made_longer(train, unbroken):
    status, _, error = train(f"resume={unbroken.path}", "trainer.max_epochs=9")
    assert status == 2
    assert "is finished" in error
