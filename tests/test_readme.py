"""Commands, names and recipes of README.md, CONTRIBUTING.md and docs work as documented."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, csv_of
from tests.models.tiny_encoder import write_encoder

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
DOCS = "".join(
    (ROOT / "docs" / name).read_text()
    for name in ("data.md", "objectives.md", "pretraining.md", "probabilities.md", "text.md")
)
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README + CONTRIBUTING + DOCS, re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
]
OWN = (
    "model=average",
    "dataset=haiku",
    "squared_error",
    "val/confidence",
    "poolings_of_mine",
    "model=adversarial_gru",
    "+callbacks.stop",
    "+logger.mine",
    "tokenizer=prefixes",
    "resume=",
    "checkpoint=",
    "from_best=",
    "experiment=",
    "task=lm",
    "model.init_from=",
    "loss.teacher=",
    "name=teacher",
    "target=ordinal",
    "calibration=",
)  # tests of their own
TRAIN = [
    command
    for command in dict.fromkeys(COMMANDS)
    if command.startswith("python train.py") and not any(option in command for option in OWN)
]


def test_it_is_short():
    assert len(README.splitlines()) < 250


def test_commands_are_found():
    assert len(TRAIN) >= 6
    assert {c.split()[0] for c in COMMANDS} == {"make", "source", "python", "tensorboard"}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(c, marks=pytest.mark.slow)
        if any(part in c for part in (" -m ", "characters", "ngrams", "bpe", "pretrained", "ema"))
        else c
        for c in TRAIN
    ],
)
def test_train_commands(train, small, reviews, command, tmp_path):
    arguments = shlex.split(command)[2:]
    if "model=pretrained" in arguments:
        small = [option for option in small if not option.startswith(("model.", "embedding."))]
        words = sorted({word for text, _ in reviews for word in text.lower().split()})
        small.append(f"model.path={write_encoder(tmp_path / 'encoder', words)}")
    if "dataset=table" in arguments:
        small = [option for option in small if not option.startswith("dataset.dir=")]
        rows = [(text, "15"[label == "positive"]) for text, label in reviews]
        Path("my.csv").write_text(csv_of(rows, header=("review", "stars")))
        Path("more.txt").write_text("\n".join(text + " again" for text, _ in reviews))
    if arguments[:1] != ["--help"]:  # the README's own values come last: they are what is tested
        arguments = [*small, "trainer.max_epochs=1", *arguments]
    status, output, error = train(*arguments)
    assert (status or 0) == 0, error
    assert output


def test_make_run_trains_the_model_of_its_arguments():
    def show(*more: str) -> str:
        command = ["make", "-n", "-o", "install", "run", *more]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert "train.py model=wide_and_deep baseline=true\n" in show()
    assert "train.py model=lstm seed=1\n" in show("ARGS=model=lstm seed=1")


def test_make_targets():
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE):
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    for target in ("install", "run", "test", "test-all", "lint", "benchmark", "clean"):
        assert re.search(rf"make {target} +\w", listed.stdout), target


def test_tensorboard_is_there():
    subprocess.run([sys.executable, "-m", "tensorboard.main", "--version"], check=True, timeout=60)


def test_folders_exist():
    tree = re.search(r"## Folders\n\n```\n(.*?)```", CONTRIBUTING, re.DOTALL)[1]
    names = re.findall(r"^ {0,2}([\w.]+/?) ", tree, re.MULTILINE)
    assert {"train.py", "conf/", "data/", "models/", "training/", "main.py", "tests/"} < set(names)
    for name in names:
        assert (ROOT / name).exists() or (ROOT / "src" / "seqtext" / name).exists(), name


def test_the_flow_names_what_exists():
    picture = re.search(r"```mermaid\n(.*?)```", CONTRIBUTING, re.DOTALL)[1]
    names = re.findall(r"\w+/(?:\w+\.py)?|\w+\.py", picture)
    assert len(names) >= 10
    for name in names:
        assert (ROOT / "src" / "seqtext" / name).exists(), name


def train_in_copy(folder: Path, *arguments: str) -> str:
    """Train with a copy of the project; return the output."""
    done = subprocess.run(
        [sys.executable, "train.py", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_recipes_for_extensions(tmp_path):
    """Apply the code blocks of CONTRIBUTING.md to a copy, and train with its commands."""
    for name in ("src", "conf", "train.py"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    for language, block in re.findall(r"```(\w+)\n(.*?)```", CONTRIBUTING, re.DOTALL):
        if language in ("python", "yaml"):
            assert len(block.splitlines()) <= 30
            place = re.match(r"# (\S+)\n", block)[1]
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_text(block)
    (tmp_path / "data" / "haiku").mkdir(parents=True)
    poems = [
        f'"the old pond {"sun" if n % 2 else "snow"}",{"summer" if n % 2 else "winter"}'
        for n in range(40)
    ]
    rows = [poem.replace("old", f"old number {n}") for n, poem in enumerate(poems)]
    (tmp_path / "data" / "haiku" / "haiku.csv").write_text("\n".join(["poem,season", *rows]))
    options = [arg for c in COMMANDS if any(o in c for o in OWN[:4]) for arg in c.split()[2:]]
    assert len(options) == 7
    output = train_in_copy(tmp_path, *options, "trainer.max_epochs=2", "trainer=cpu")
    assert "average on haiku" in output
    (metrics,) = tmp_path.glob("outputs/*/metrics.json")
    assert json.loads(metrics.read_text())["test"]["confidence"] > 0.4
    own = [c.split()[2:] for c in COMMANDS if any(o in c for o in OWN[4:9])]
    assert len(own) == 5
    small = ["dataset=haiku", "monitor=val/accuracy", "model.units=8", "name=own", "trainer=cpu"]
    arguments = [arg for command in own for arg in command]
    output = train_in_copy(tmp_path, *small, "trainer.max_epochs=50", "patience=null", *arguments)
    assert "adversarial_gru on haiku" in output
    assert json.loads((tmp_path / "outputs/own/metrics.json").read_text())["epochs"] < 50
    assert (tmp_path / "outputs/own/most confident mistakes.md").exists()
