"""The notebooks: their stored form, and their outputs when executed."""

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.conftest import BAD, GOOD, ROOT
from tests.data.test_sets import CLOTHES, write
from tests.inference.conftest import trained
from tests.reporting.fake_runs import write_run

FOLDER = ROOT / "notebooks"
NAMES = ["01_look_at_the_data", "02_first_model", "03_compare_architectures", "04_look_inside"]
MAX_LINES = 14  # in a cell of code: one idea, and what it imports
PNG = b"\x89PNG"


def cells(name: str, kind: str = "code") -> list[NotebookNode]:
    book = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    return [cell for cell in book.cells if cell.cell_type == kind]


def are_parameters(cell: NotebookNode) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


def assignments(parameters: dict[str, Any]) -> str:
    """Return the code that follows the parameter cell, as papermill inserts it."""
    return "\n".join(f"{name} = {value!r}" for name, value in parameters.items())


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Execute the cells in order, in this process: a kernel would first import torch again.

    Gives what the cells defined, by name, and what they show, by their identifiers.
    """
    monkeypatch.chdir(tmp_path)

    def run(name: str, **parameters: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        space: dict[str, Any] = {"__name__": "__main__"}
        shown = {}
        for cell in cells(name):
            shown[cell.id] = value_of(cell.source, f"{name}, {cell.id}", space)
            if are_parameters(cell):
                space.update(root=tmp_path, **parameters)
        return space, shown

    return run


def value_of(source: str, where: str, space: dict[str, Any]) -> Any:
    """Run a cell and return the value of its last expression, or None."""
    tree = ast.parse(source, where)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec"), space)
    return last and eval(compile(ast.Expression(last.value), where, "eval"), space)


def test_they_are_numbered():
    assert sorted(path.stem for path in FOLDER.iterdir() if path.is_file()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_they_are_kept_without_outputs(name):
    book = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    nbformat.validate(book)
    assert (book.nbformat, book.metadata.kernelspec.name) == (4, "python3")
    assert all(re.fullmatch(r"[a-z][a-z0-9-]+", cell.id) for cell in book.cells)
    for cell in cells(name):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert set(cell.metadata) <= {"tags"}


@pytest.mark.parametrize("name", NAMES)
def test_they_read_as_a_tutorial(name):
    book = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    assert book.cells[0].source.startswith(f"# {int(name[:2])}. ")
    assert len([cell for cell in book.cells if are_parameters(cell)]) == 1
    for before, cell in zip(book.cells, book.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", f"{cell.id} has no sentence before it"
            assert len(cell.source.splitlines()) <= MAX_LINES, cell.id


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_them_depends_on_a_machine(name):
    for cell in [*cells(name), *cells(name, "markdown")]:
        assert not re.search(r"(^|[\s\"'(])(/\w|~/|[A-Z]:\\)|https?://|\.\./", cell.source), cell.id
        assert not re.search(r"^\s*[%!]", cell.source, re.MULTILINE), f"{cell.id} needs IPython"


@pytest.mark.parametrize("name", NAMES)
def test_links(name):
    for cell in cells(name, "markdown"):
        for linked in re.findall(r"\]\(([^)]+)\)", cell.source):
            assert (FOLDER / linked).exists(), linked


def test_the_readme_names_no_other():
    for name in re.findall(r"(\w+)\.ipynb", (ROOT / "README.md").read_text()):
        assert name in NAMES


def test_look_at_the_data(execute, kaggle_dir, capsys):
    made, shown = execute("01_look_at_the_data", folder=str(kaggle_dir))
    for figure in ("shares", "lengths", "frequent", "telling"):
        assert shown[figure].data.startswith(PNG), figure
    assert shown["sizes"] == (240, (240,))
    assert shown["shares-table"].to_numpy().sum() == 240
    assert shown["quartiles"].shape == (2, 4)
    negative, positive = made["description"].classes
    assert set(list(negative.distinctive_words)[:3]) < set(BAD)
    assert set(list(positive.distinctive_words)[:3]) < set(GOOD)
    assert list(made["clouds"]) == ["negative", "positive"]
    assert all(len(np.unique(cloud)) > 10 for cloud in made["clouds"].values())
    assert "read:    the film no" in capsys.readouterr().out


@pytest.mark.slow
def test_look_at_another_data_set(execute, tmp_path):
    write(tmp_path, "Womens Clothing E-Commerce Reviews.csv", CLOTHES)
    made, shown = execute("01_look_at_the_data", dataset="clothing", folder=str(tmp_path), rows=60)
    assert shown["shares-table"].index.tolist() == ["1", "2", "3", "4", "5"]
    assert shown["shares-table"]["train"].sum() == 60
    assert list(made["clouds"]) == ["1", "2", "3", "4", "5"]


def test_first_model(execute, kaggle_dir):
    made, shown = execute("02_first_model", folder=str(kaggle_dir), rows=None, units=8)
    texts, steps = made["batch"].ids.shape
    assert (texts, steps) == (32, made["batch"].lengths.max())
    assert shown["forward-embedding"] == (texts, steps, 50)
    assert shown["forward-logits"].shape == (5,)
    assert made["padded"].shape == (texts, steps + 10)
    assert shown["padding"] < 1e-6
    assert made["model"].training is False, "dropout is off for the sentence"
    assert made["trainer"].current_epoch == 2
    assert shown["learned"].shape == (len(made["scores"]), 2)
    assert shown["test"] == (sum(made["data"].rows()["test"].values()), 2)
    assert shown["scores"].drop(["loss", "mcc"]).between(0, 1).all()
    assert shown["confusion"].data.startswith(PNG)
    assert made["words"].to_pylist() == ["what", "wonderful", "little", "film"]
    assert made["ids"].shape == (1, 4)
    assert 0 < made["probability"] < 1


def test_dropout_is_on_where_the_first_model_is_trained():
    """The forward pass by hand disables it."""
    (training,) = (cell for cell in cells("02_first_model") if cell.id == "train")
    assert training.source.index("model.train()") < training.source.index("trainer.fit(")


def test_compare_architectures(execute, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("there is a sweep"))
    for model, quality in (("rnn", 0.3), ("lstm", 1), ("gru", 1.1)):
        for seed in (0, 1):
            folder = tmp_path / "outputs" / "notebook" / f"{model}-{seed}"
            write_run(folder, model, seed, quality, options={"model.units": 32})
    made, shown = execute("03_compare_architectures")
    assert [group.label for group in made["section"].groups] == ["gru", "lstm", "rnn"]
    assert shown["table"].data.count("±") > 6
    assert "study 4" not in shown["table"].data
    compared = shown["difference"].set_index(["first", "second"])
    assert len(compared) == 3
    assert compared.p.between(0, 1).all()
    assert compared.verdict["gru", "rnn"] == "different"
    for figure in ("curves", "calibration", "classes", "map"):
        assert isinstance(shown[figure], go.Figure), figure
    assert shown["own"]["test/accuracy/mean"].between(0, 1).all()
    assert "gru, the best by validation, is better than" in capsys.readouterr().out


@pytest.mark.slow
def test_look_inside(execute, tmp_path, monkeypatch):
    done = trained(tmp_path, "model=attention", "trainer.max_epochs=2", "split.test_size=0.4")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("there is a model"))
    made, shown = execute("04_look_inside", run=str(done.path))
    assert shown["load"].shape == (2, 2)
    assert (made["wrong"].label != made["wrong"].prediction).all()
    assert made["wrong"].confidence.is_monotonic_decreasing
    for row, text in made["worst"][["row", "text"]].itertuples(index=False):
        assert f'The "film" no. {row},' in text, "the text is that of the row"
    assert shown["explain"].sum() == pytest.approx(1, abs=0.05), "the weights, rounded"
    assert "plot" in shown["explain"].index
    assert shown["colours"].data.count("<span") == len(made["explanation"].words)
    assert "film" in made["explanation"].words
    assert_projector(done.path / "projector", made["vectors"].shape)


def assert_projector(folder: Path, shape: tuple[int, int]) -> None:
    (metadata,) = folder.rglob("metadata.tsv")
    words = pd.read_csv(metadata, sep="\t", keep_default_na=False)
    assert words.columns.tolist() == ["word", "class"]
    assert len(words) == shape[0]
    assert set(words["class"]) <= {"negative", "positive"}
    vectors = pd.read_csv(metadata.with_name("tensors.tsv"), sep="\t", header=None)
    assert vectors.shape == shape
    config = (folder / "projector_config.pbtxt").read_text()
    assert f'metadata_path: "{metadata.relative_to(folder).as_posix()}"' in config


@pytest.mark.cluster
@pytest.mark.parametrize("name", NAMES)
def test_in_a_kernel(name, tmp_path, kaggle_dir):
    """As a reader executes them, with their own sweep and training, on small data."""
    shutil.copy(ROOT / "train.py", tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    small = (
        f"dataset.dir={kaggle_dir} split.max_train_examples=null model.units=4 trainer.max_epochs=1"
    )
    parameters = {
        "01_look_at_the_data": {"folder": str(kaggle_dir)},
        "02_first_model": {"folder": str(kaggle_dir), "rows": None},
    }.get(name, {"extra": f"{small} trainer=cpu"})
    book = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    place = next(n for n, cell in enumerate(book.cells) if are_parameters(cell)) + 1
    source = assignments({"root": str(tmp_path), **parameters})
    book.cells.insert(place, nbformat.v4.new_code_cell(source))
    NotebookClient(book, timeout=200, resources={"metadata": {"path": str(FOLDER)}}).execute()
    kinds = {kind for c in book.cells for o in c.get("outputs", ()) for kind in o.get("data", ())}
    assert kinds & {"image/png", "application/vnd.plotly.v1+json", "text/html"}
