"""What a person at a terminal sees."""

import io

from rich.console import Console

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
