"""predict.py on texts and standard input, and its error messages."""

import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqtext.checkpoints import files as checkpoints
from seqtext.checkpoints.files import load_checkpoint, save_checkpoint
from seqtext.command_line import format_help, parse_args
from seqtext.config import trust
from seqtext.data.cleaning import CLEANING_STEPS, Lowercase
from seqtext.datasets.spam import Spam
from seqtext.errors import UserError
from seqtext.inference.command import main
from seqtext.inference.load_model import load_model
from seqtext.inference.predict_options import PredictOptions
from seqtext.inference.predict_texts import read_stream_lines
from tests.conftest import ROOT, csv_of

README = re.search(r"## Prediction\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL)[1]


def test_the_commands_of_the_readme(predict, finished):
    rows = [("a wonderful little film", "positive"), ("a bad one", "negative")]
    Path("more.csv").write_text(csv_of(rows))
    commands = re.findall(r"^python predict.py (.*)$", README, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        arguments = shlex.split(command.replace("outputs/<run>", str(finished.path)), comments=True)
        status, _, error = predict(*arguments)
        assert status == 0, error
    assert "probability_positive" in Path("labels.csv").read_text()
    assert "wonderful" in Path("why.html").read_text()
    assert {path.name for path in Path("film").iterdir()} == {
        "model.onnx",
        "preprocessing.json",
        "tokenizer.json",
    }


def test_the_python_of_the_readme(finished):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    *start, last = code.replace("outputs/<run>", str(finished.path)).strip().splitlines()
    names = {}
    exec("\n".join(start), names)
    assert eval(last, names).shape == (1, 2)


def parse(arguments: list[str]) -> PredictOptions:
    return parse_args(PredictOptions, arguments)


def test_options_and_texts():
    options = parse(["run=r", "a film", "--", "x=1", "run=2"])
    assert (options.run, options.texts) == ("r", ("a film", "x=1", "run=2"))
    options = parse(["run=r", "input=a=b.csv", "text=head,body", "label=mood"])
    assert (options.input, options.text, options.label) == (Path("a=b.csv"), "head,body", "mood")
    assert parse(["run=r", "1 + 1 = 2"]).texts == ("1 + 1 = 2",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "run= is missing"),
        (["a text"], "run= is missing"),
        (["rum=x"], "did you mean run="),
        (["run=x", "ouput=b.csv"], "no option ouput=.*did you mean output="),
        (["run=x", "--ouput=b.csv"], "did you mean output="),
        (["run=x", "zzz=1"], "known are run=, input="),
        (["run=x", "run=y"], "given twice"),
        (["run="], "empty"),
        (["run=x", "input=a.csv", "text"], "cannot be combined"),
        (["run=x", "output=a.csv"], "output= needs a file"),
        (["run=x", "label=a", "text"], "label= needs a file"),
        (["run=x", "header=false"], "header= needs a file"),
        (["run=x", "input=a.csv", "header=no"], "header=no must be true or false"),
        (
            ["run=x", "export=a", "text"],
            "export= can only be combined with run= and plugins=: drop text",
        ),
        (["run=x", "export=a", "input=b.csv"], "with run= and plugins=: drop input="),
    ],
)
def test_mistakes(arguments, words):
    with pytest.raises(UserError, match=words):
        parse(arguments)


def test_help(predict):
    status, shown, _ = predict("--help")
    assert (status, shown) == (0, format_help(PredictOptions))


def test_texts(predict, finished, caplog):
    texts = ["a wonderful,\n superb film", "dreadful", ""]
    status, shown, _ = predict(f"run={finished.path}", *texts)
    assert status == 0
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert record.getMessage().startswith("1 of 3 texts (33.3 %) have no word that the model knows")
    rows = [line.split("\t") for line in shown.splitlines()]
    assert [row[0] for row in rows[:2]] == ["positive", "negative"]
    assert [row[2] for row in rows] == ["a wonderful, superb film", "dreadful", ""]
    assert all(0.5 <= float(row[1]) <= 1 for row in rows)


def test_no_run(predict):
    status, _, error = predict("run=none", "a text")
    assert (status, error) == (2, "run=none: there is no such file or folder.\n")


@pytest.mark.slow
def test_standard_input_is_answered_line_by_line(finished, tmp_path):
    """Each line is answered before the next is written; the last needs no line end."""
    command = [sys.executable, str(ROOT / "predict.py"), f"run={finished.path}"]
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        for line, label in ((b"wonderful\n", b"positive"), (b"dreadful\r\n", b"negative")):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().startswith(label + b"\t")
        output, error = process.communicate(b"superb\n\xff\n", timeout=60)
    assert output.startswith(b"positive\t")
    assert error == b"Standard input, line 4, is not UTF-8 text.\n"
    assert process.returncode == 2


def test_the_package_is_light():
    code = (
        "import sys, seqtext; seqtext.load; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match=r"Standard input is closed: give texts, or .* input="):
        main(["run=outputs/x"])


def test_standard_input_that_cannot_be_read(tmp_path):
    class Broken:
        def readline(self):
            raise IsADirectoryError(21, "Is a directory")

    with pytest.raises(UserError, match="Standard input cannot be read: Is a directory"):
        list(read_stream_lines(Broken()))


@pytest.fixture
def checkpoint_with(finished, tmp_path):
    """Write a checkpoint with changed metadata."""

    def write(dataset=None, **changes):
        checkpoint = load_checkpoint(finished.best_checkpoint)
        checkpoint["seqtext"] |= changes
        checkpoint["seqtext"]["config"]["dataset"] |= dataset or {}
        save_checkpoint(tmp_path / "changed.ckpt", checkpoint)
        return tmp_path / "changed.ckpt"

    return write


def test_control_characters_do_not_steer_the_terminal(checkpoint_with, predict):
    """Control characters of class names in a stranger's checkpoint, and of texts."""
    path = checkpoint_with(class_names=["\x1b]0;title\x07", "\u202ered\x1b[31m"])
    status, out, error = predict(f"run={path}", "a wonderful film \x1b]52;c;text\x07")
    assert (status, error) == (0, "")
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert out.count("\N{REPLACEMENT CHARACTER}") >= 3


def test_a_file_that_cannot_be_read_is_not_called_damaged(checkpoint_with, monkeypatch):
    path = checkpoint_with()

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checkpoints, "read_archive", refuse)
    with pytest.raises(PermissionError):
        load_model(path)


def test_cleaning_steps_of_a_data_set(checkpoint_with, monkeypatch):
    """Steps are registered on import of their module; checkpoints may name this package's."""
    name = "seqtext.datasets.invented"
    cleaning = {"steps": ["shout"], "stopwords": None}
    with pytest.raises(UserError, match="not allowed"):
        load_model(checkpoint_with(cleaning=cleaning, dataset={"_target_": "os.path"}))
    path = checkpoint_with(cleaning=cleaning, dataset={"_target_": f"{name}.Invented"})
    with pytest.raises(UserError, match="cannot be found"):
        load_model(path)

    def register(module):
        if module != name:
            return imported(module)
        monkeypatch.setitem(CLEANING_STEPS, "shout", [Lowercase()])
        return SimpleNamespace(Invented=Spam)

    imported = trust.import_module
    monkeypatch.setattr(trust, "import_module", register)
    assert load_model(path).cleaning.steps == ("shout",)
