"""What a person at a terminal sees."""

import io
import logging

import pytest
from rich.console import Console

from seqtext.models.classifier import TextClassifier
from seqtext.options import UserError
from seqtext.results import progress
from seqtext.results.folder import RunFolder
from seqtext.run import run
from tests.conftest import settings_of


def test_bar_shows_loss_and_monitored_score(small, tmp_path, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "Console", lambda **_: terminal)
    monkeypatch.setattr(progress, "REFRESH", 0)
    run(settings_of(*small), RunFolder(tmp_path / "run"))
    shown = screen.getvalue()
    assert "epoch 1/3" in shown
    assert "loss 0." in shown
    assert "best val/" in shown
    assert "11/11" in shown
    assert "validation" in shown


def test_no_bar_where_there_is_no_terminal(small, tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=screen, width=120))
    run(settings_of(*small, "trainer.max_epochs=1"), RunFolder(tmp_path / "run"))
    assert "epoch 1/1" not in screen.getvalue()


def test_an_infinite_loss_ends_training_early(small, tmp_path, monkeypatch):
    """Within an epoch, not at its end only."""
    steps, original = [], TextClassifier.training_step

    def diverging(self, batch, batch_idx):
        steps.append(batch_idx)
        return original(self, batch, batch_idx) * (float("nan") if batch_idx == 2 else 1)

    monkeypatch.setattr(TextClassifier, "training_step", diverging)
    monkeypatch.setattr(progress, "CHECK", 4)
    with pytest.raises(UserError, match="the loss is nan in epoch 1; lower"):
        run(settings_of(*small), RunFolder(tmp_path / "run"))
    assert steps == [0, 1, 2, 3]


def test_silent_where_log_lines_go_to_files(tmp_path, monkeypatch):
    handler = logging.FileHandler(tmp_path / "log", delay=True)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    assert progress.silent()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler, logging.StreamHandler()])
    assert not progress.silent()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    assert not progress.silent()
