"""The progress bar in a terminal."""

import io
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqtext.callbacks import progress_bar as progress
from seqtext.callbacks.progress_bar import ProgressBar, print_summary
from seqtext.display import build_console
from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import settings_of


def test_bar_shows_loss_and_monitored_score(small, tmp_path, monkeypatch):
    screen = io.StringIO()
    terminal = build_console(screen, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "build_console", lambda **_: terminal)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    train_and_evaluate(settings_of(*small), RunDir(tmp_path / "run"))
    shown = screen.getvalue()
    assert "epoch 1/3" in shown
    assert "loss 0." in shown
    assert "best val/" in shown
    assert "11/11" in shown
    assert "validation" in shown


@pytest.mark.parametrize("force_terminal", [True, False])
def test_strange_names_at_the_end_and_in_the_bar(force_terminal, monkeypatch):
    screen = io.StringIO()
    options = {"force_terminal": force_terminal, "width": 200, "no_color": True}
    console = build_console(screen, **options)
    monkeypatch.setattr(progress, "build_console", lambda **_: console)
    scores = {"loss": 0.5, "recall_[/bold]\x1b[31m": 0.25}
    metrics = {"model": "rnn", "dataset": "a [/red]", "val": scores, "test": scores}
    metrics |= {"monitor": "val/recall_[/bold]", "best_epoch": 1, "epochs": 1, "parameters": 3}
    print_summary({**metrics, "seconds": {"total": 1, "training": 1}}, Path("outputs/[red]\x1b"))
    bar = ProgressBar("val/recall_[/bold]")
    bar._best = 0.5
    bar._draw(SimpleNamespace(num_training_batches=3, current_epoch=0, max_epochs=1))
    bar._stop()
    shown = screen.getvalue()
    for told in ("rnn on a [/red]", "recall_[/bold]\ufffd[31m", "outputs/[red]\ufffd"):
        assert told in shown
    assert ("best val/recall_[/bold] 0.5000" in shown) == force_terminal


def test_no_bar_where_there_is_no_terminal(small, tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "build_console", lambda **_: build_console(screen, width=120))
    train_and_evaluate(settings_of(*small, "trainer.max_epochs=1"), RunDir(tmp_path / "run"))
    assert "epoch 1/1" not in screen.getvalue()


def test_an_infinite_loss_ends_training_early(small, tmp_path, monkeypatch):
    """Training stops within the epoch, not only at its end."""
    steps, original = [], TextClassifier.training_step

    def diverging(self, batch, batch_idx):
        steps.append(batch_idx)
        return original(self, batch, batch_idx) * (float("nan") if batch_idx == 2 else 1)

    monkeypatch.setattr(TextClassifier, "training_step", diverging)
    monkeypatch.setattr(progress, "LOSS_CHECK_STEPS", 4)
    with pytest.raises(UserError, match="the loss is nan in epoch 1; lower"):
        train_and_evaluate(settings_of(*small), RunDir(tmp_path / "run"))
    assert steps == [0, 1, 2, 3]


def test_silent_where_log_lines_go_to_files(tmp_path, monkeypatch):
    handler = logging.FileHandler(tmp_path / "log", delay=True)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    assert progress.is_quiet()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler, logging.StreamHandler()])
    assert not progress.is_quiet()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    assert not progress.is_quiet()
