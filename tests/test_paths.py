"""paths.*: folders of raw files, results and prepared data, from options, variables or .env."""

import os
import shutil

import pytest
import yaml

from seqtext.env_file import load_env_file
from seqtext.errors import UserError
from seqtext.run_dir import RunDir

VARIABLES = ("SEQTEXT_DATA_DIR", "SEQTEXT_OUTPUT_DIR", "SEQTEXT_CACHE_DIR")
FAST = ("model=tfidf", "trainer=cpu")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """Unset the variables now and, as `.env` sets them, after the test."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    for name in VARIABLES:
        os.environ.pop(name, None)


@pytest.mark.slow
def test_folders_as_options(train, kaggle_dir, tmp_path):
    """A data set is in the folder of its name; Hydra's working folder makes no difference."""
    data = tmp_path / "my data"
    data.mkdir()
    shutil.move(kaggle_dir, data / "imdb")
    options = [f"paths.data_dir={data}", "paths.output_dir=runs/mine", "paths.cache_dir=prepared"]
    status, output, error = train(*FAST, *options, "name=a", "hydra.job.chdir=true")
    assert status == 0, error
    run = RunDir(tmp_path / "runs" / "mine" / "a")
    assert run.metrics_path.exists()
    assert run.predictions("test").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"my data", "runs", "prepared"}
    assert not any(path.name == "rows" for path in run.path.rglob("*"))
    stored = yaml.safe_load((run.path / ".hydra" / "config.yaml").read_text())["paths"]
    assert stored["data_dir"] == str(data)
    status, output, error = train(*FAST, *options, "-m", "seed=0,1", "hydra.job.chdir=true")
    assert status == 0, error
    assert "2 finished" in output
    (sweep,) = (tmp_path / "runs" / "mine").glob("sweep*")
    assert len(list(sweep.glob("*/metrics.json"))) == 2
    assert len([path for path in (tmp_path / "prepared" / "rows").iterdir() if path.is_dir()]) == 1


@pytest.mark.slow
def test_folders_in_an_env_file(train, kaggle_dir, tmp_path, monkeypatch):
    """The environment goes first, then the file; a typed option goes before both."""
    (tmp_path / ".env").write_text(
        f"# folders\nexport SEQTEXT_DATA_DIR='{kaggle_dir.parent}'  # raw files\n"
        f'SEQTEXT_OUTPUT_DIR=of_the_file\n\nSEQTEXT_CACHE_DIR="of the file"\n'
    )
    monkeypatch.setenv("SEQTEXT_OUTPUT_DIR", "of_the_shell")
    status, _, error = train(*FAST, "name=a")
    assert status == 0, error
    assert (tmp_path / "of_the_shell" / "a" / "metrics.json").exists()
    assert (tmp_path / "of the file" / "rows").is_dir()
    status, _, error = train("--cfg", "job", "paths.cache_dir=typed")
    assert status == 0, error


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A_NAME=word", "word"),
        ("A_NAME = two words # comment", "two words"),
        ("A_NAME='a # b'", "a # b"),
        ('export A_NAME="a=b"', "a=b"),
        ("A_NAME=a#b", "a#b"),
        ("A_NAME=", ""),
    ],
)
def test_lines_of_an_env_file(tmp_path, monkeypatch, line, value):
    monkeypatch.setenv("A_NAME", "")
    monkeypatch.delenv("A_NAME")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"{line}\n")
    load_env_file()
    assert os.environ["A_NAME"] == value
    monkeypatch.setenv("A_NAME", "mine")
    load_env_file()
    assert os.environ["A_NAME"] == "mine"


def test_damaged_env_file(train, tmp_path):
    (tmp_path / ".env").write_text("SEQTEXT_DATA_DIR /scratch\n")
    status, _, error = train(*FAST)
    assert status == 2
    assert error.strip() == ".env, line 1, must be NAME=value, a comment or empty."


def test_no_env_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_env_file()
    (tmp_path / ".env").mkdir()  # a virtual environment
    load_env_file()
    (tmp_path / ".env").rmdir()
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(UserError, match="cannot be read"):
        load_env_file()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("paths.cache_dir=null", "paths.cache_dir"),
        ("paths.output_dir=null", "paths.output_dir"),
        ("paths.data=x", "did you mean paths.data_dir?"),
    ],
)
def test_folders_that_are_not_possible(train, option, message):
    status, _, error = train(*FAST, option)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1
