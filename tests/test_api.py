"""Train from Python."""

import logging
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

import seqtext
from seqtext.api import format_override_value
from seqtext.errors import UserError
from seqtext.run_dir import RunDir

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126))  # as Hydra's grammar
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS


@pytest.fixture
def options(monkeypatch, tmp_path, small):
    """Options of a run that takes a second, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    pairs = [option.split("=") for option in small]
    numbers = {"model.units": 4, "optimizer.lr": 0.05, "trainer.max_epochs": 1}
    return {option: numbers.get(option, value) for option, value in pairs} | {
        option: int(value) for option, value in pairs if value.isdigit() and option not in numbers
    }


def test_train(options, tmp_path, capfd):
    arguments, handlers = sys.argv, logging.getLogger().handlers[:]
    scores = seqtext.train(model="gru", dataset="imdb", **options | {"model.units": [4, 2]})
    assert (sys.argv, logging.getLogger().handlers) == (arguments, handlers)
    assert not GlobalHydra.instance().is_initialized()
    assert 0 <= scores["test"]["accuracy"] <= 1
    (folder,) = (tmp_path / "outputs").iterdir()
    assert RunDir(folder).read_metrics() == {k: v for k, v in scores.items() if k != "run"}
    assert scores["run"] == str(folder)
    assert scores["settings"]["model"]["units"] == [4, 2]
    assert scores["provenance"]["command"].startswith("python train.py model=gru dataset=imdb ")
    assert "units-4-2" in folder.name
    assert "accuracy" in capfd.readouterr().out
    assert seqtext.train(resume=folder) == scores | {"run": str(folder)}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "gruu"}, "There is no model=gruu: did you mean gru?"),
        ({"model.unit": 3}, "There is no option model.unit: did you mean model.units?"),
        ({"model.units": "64"}, "model.units=64 is not possible"),
        ({"model": "gru,lstm"}, "no model=gru,lstm"),
        ({"experiment": "imdb/grid"}, "start a sweep from the command line"),
        ({"hydra.mode": "MULTIRUN"}, "start a sweep from the command line"),
        ({"mode": "describe"}, "the command line has other modes"),
        ({"model.units": {3}}, "model.units="),
        ({"--help": 1}, "'--help' is no option"),
        ({"a b": 1}, "'a b' is no option"),
        ({"resume": "nowhere"}, "resume=nowhere: there is no run"),
        ({"dataset.dir": "nowhere"}, "nowhere"),
    ],
)
def test_errors_are_one_sentence(options, tmp_path, wrong, words):
    with pytest.raises(UserError) as caught:
        seqtext.train(**options | wrong)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "outputs").glob("*/checkpoints"))


def test_own_configuration_files(options, tmp_path):
    folder = tmp_path / "own" / "conf"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "mine.yaml").write_text("defaults: [_base]\n_target_: nowhere.Mine")
    with pytest.raises(UserError, match=r"model._target_=nowhere\.Mine cannot be found"):
        seqtext.train(config_dir="own/conf", model="mine", **options)
    with pytest.raises(UserError, match=r"nobody' not found"):
        seqtext.train(config_dir="nobody")


@given(PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.just("a"), PLAIN))
def test_values_are_those_of_python(value):
    text = format_override_value("x", value)
    override = OverridesParser.create().parse_override(f"x={text}")
    assert not override.is_sweep_override()
    assert _without_quotes(override.value()) == value


def _without_quotes(value):
    if isinstance(value, dict):
        return {key: _without_quotes(each) for key, each in value.items()}
    if isinstance(value, list):
        return [*map(_without_quotes, value)]
    return getattr(value, "text", value)
