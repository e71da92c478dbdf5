"""Names of run folders, and startup of the command line."""

import logging
import subprocess
import sys
import threading

import pytest

from seqtext.error_handling import run_with_friendly_errors
from seqtext.errors import UserError
from seqtext.run_names import MAX_NAME_LENGTH, build_run_name, resolve_sweep_dir


def test_a_name_says_what_was_overridden():
    overrides = ["model=gru", "model.units=[64,32]", "optimizer.lr=-0.1", "name=a", "hydra.x=1"]
    assert build_run_name(overrides, "imdb", "gru") == "imdb-gru_units-64-32_lr--0.1"


def test_options_are_named_without_their_group():
    overrides = ["tokenizer.max_length=50", "embedding.dim=8", "split.seed=2", "seed=1"]
    name = build_run_name(overrides, "imdb", "gru")
    assert name == "imdb-gru_max_length-50_dim-8_split.seed-2_seed-1"


def test_classes_are_named_without_their_module():
    overrides = ["++optimizer._target_=my_project.Lion", "++optimizer.beta=0.8", "~optimizer"]
    name = build_run_name(overrides, "imdb", "gru", unique=True)
    assert name == "imdb-gru_optimizer-Lion_beta-0.8"
    others = ["++model.pooling._target_=mine.TopK", "+callbacks.stop._target_=mine.Stop"]
    name = build_run_name(others, "imdb", "gru", unique=True)
    assert name == "imdb-gru_pooling-TopK_stop-Stop"


def test_a_description_is_named_after_what_differs():
    assert build_run_name(["mode=describe"], "imdb", "gru") == "imdb-description"
    names = [
        build_run_name([f"model={model}", "mode=describe"], "imdb", model, swept=["model"])
        for model in ("gru", "lstm")
    ]
    assert names == ["imdb-gru-description", "imdb-lstm-description"]


@pytest.mark.parametrize(
    "pair",
    [
        ("a=-1", "a=1"),
        ("a=[-1,2]", "a=[1,2]"),
        ("a='x y'", "a='x:y'"),
        ("loss._target_=a.mine", "loss._target_=b.mine"),
        ("a=" + "x" * 300 + "1" + "y" * 300, "a=" + "x" * 300 + "2" + "y" * 300),
    ],
    ids=["sign", "sign in a list", "characters", "module", "long"],
)
def test_other_overrides_other_names(pair):
    names = [build_run_name([override], "imdb", "gru") for override in pair]
    assert names[0] != names[1]
    assert names == [build_run_name([override], "imdb", "gru") for override in pair]
    assert all(len(name) <= MAX_NAME_LENGTH for name in names)


def test_sweeps_have_names():
    assert resolve_sweep_dir("outputs", "mine", "imdb/grid", []) == "outputs/mine"
    assert resolve_sweep_dir("outputs", None, "imdb/grid", []) == "outputs/imdb-grid"
    assert resolve_sweep_dir("outputs", None, None, ["seed=1,2"]).startswith(
        "outputs/sweep_seed-1-2_"
    )
    with pytest.raises(UserError, match="name=a/b"):
        resolve_sweep_dir("outputs", "a/b", None, [])


def test_imports_without_the_garbage_collector():
    program = """
import gc
from seqtext.fast_imports import fast_imports
with fast_imports():
    print(gc.isenabled())
    import decimal
print(gc.isenabled(), gc.get_freeze_count() > 1000)
count = gc.get_freeze_count()
with fast_imports():
    print(gc.isenabled())
    import fractions
print(gc.isenabled(), gc.get_freeze_count() == count)
"""
    said = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert said.split() == ["False", "True", "True", "True", "True", "True"]


def test_a_message_that_nobody_reads_leaves_no_traceback(monkeypatch, capsys):
    class Gone:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    handler = logging.StreamHandler(Gone())
    run_with_friendly_errors(lambda: handler.handle(logging.makeLogRecord({"msg": "said"})))
    assert capsys.readouterr().err == ""


def test_allowed_packages_are_not_in_names():
    typed = ["from_best=outputs/a", "seed=1", "plugins=[my_project]"]
    assert build_run_name(typed, "imdb") == build_run_name(typed[:2], "imdb")
