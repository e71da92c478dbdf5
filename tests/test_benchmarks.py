"""The benchmarks run: with few rounds, and without their peers that are not installed."""

import importlib
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.conftest import ROOT

BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
NEED_KERAS = ("keras_peer", "keras_study")

pytestmark = pytest.mark.slow


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in NEED_KERAS])
def test_imports(load, name):
    load(name)


def test_every_row_of_the_comparison_is_built(load):
    compare = load("compare")
    for row in compare.ROWS:
        ours = compare.Ours(row, compare.compose_settings(row.options), batch=2)
        assert ours.parameters() > 0
        assert ours.operations() > 0


def test_a_row_of_the_comparison_trains(load):
    compare = load("compare")
    row = replace(compare.ROWS[-1], steps=2)
    assert compare.Ours(row, compare.compose_settings(row.options), batch=2).seconds() > 0


def test_loop(load, monkeypatch, capsys):
    loop = load("loop")
    for constant, value in (("ROUNDS", 2), ("STEPS", 3)):
        monkeypatch.setattr(loop, constant, value)
    loop.compare(4, 5, 6)
    assert "ratio" in capsys.readouterr().out


def test_cells(load):
    cells = load("cells")
    assert str(cells.SHAPES[-1]) in cells.row_of_table(cells.SHAPES[-1], rounds=3)


def test_sweep():
    command = [sys.executable, str(ROOT / "benchmarks" / "sweep.py"), "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "overhead of a job" in done.stdout
