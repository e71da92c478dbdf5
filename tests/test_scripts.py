"""The installed commands: seqtext-train, seqtext-predict, seqtext-report."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from seqtext import scripts
from seqtext.config.conf_dir import find_conf_dir
from tests.conftest import ROOT

CALLBACK = """
from lightning.pytorch.callbacks import Callback

class Greeting(Callback):
    def on_fit_start(self, trainer, module):
        print("hello from the current folder")
"""
PROGRAM = """
import sys, seqtext
options = dict(argument.split("=") for argument in sys.argv[1:])
scores = seqtext.train(dataset="imdb", **options | {"model.units": 8, "optimizer.lr": 0.05} | {
    name: int(value) for name, value in options.items() if value.isdigit()})
print(scores["test"]["accuracy"], scores["provenance"]["command"], seqtext.__file__)
"""


@pytest.fixture
def command(monkeypatch, tmp_path, capfd):
    """Return a function that calls an installed command, and returns status and outputs."""
    monkeypatch.chdir(tmp_path)

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"/venv/bin/seqtext-{name}", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        status = 0
        try:
            getattr(scripts, name)()
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capfd.readouterr()

    return call


@pytest.mark.parametrize("name", ["train", "predict", "report"])
def test_help_names_the_commands(command, name):
    status, page, _ = command(name, "--help")
    assert status == 0
    assert f"seqtext-{name} " in page
    assert not re.search(r"python \w+\.py", page)


def test_messages_name_the_commands(command):
    status, _, error = command("train", "wörd=1")
    assert (status, error) == (2, "There is no option wörd: seqtext-train --cfg job shows all.\n")
    assert find_conf_dir() == ROOT / "conf"


@pytest.mark.slow
def test_a_wheel_has_everything(tmp_path, small):
    """Train, predict and report in an empty folder, with the package from a wheel."""
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, tmp_path / "checkout" / name)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "checkout")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    place = tmp_path / "empty"
    place.mkdir()

    def run(*words, cwd=place):
        done = subprocess.run(
            [*map(str, words)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", *alone, "--no-build-isolation", "--wheel-dir", tmp_path, "."]
    run(*build, cwd=tmp_path / "checkout")
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    packages = next((venv / "lib").glob("*/site-packages"))
    (packages / "other.pth").write_text(sysconfig.get_path("purelib"))  # without its .pth files
    (wheel,) = tmp_path.glob("*.whl")
    run(*pip, f"--python={venv / 'bin' / 'python'}", "install", *alone, wheel)

    (place / "mine.py").write_text(CALLBACK)
    program = venv / "bin" / "seqtext-train"
    shown = run(program, *small, "name=a", "+callbacks.mine._target_=mine.Greeting")
    assert "hello from the current folder" in shown
    assert {path.name for path in place.iterdir()} <= {"outputs", "mine.py", "__pycache__"}
    sure = run(venv / "bin" / "seqtext-predict", "run=outputs/a", "a superb film")
    assert sure.startswith("positive")
    assert "report.html" in run(venv / "bin" / "seqtext-report", "outputs/a")
    shown = run(venv / "bin" / "python", "-c", PROGRAM, *small)
    assert "seqtext-train dataset=imdb" in shown
    assert str(packages) in shown
    assert Path(place / "outputs").is_dir()
