"""The patches to other libraries change no result, and a variable disables them."""

import subprocess
import sys

import pytest
import torch

from seqtext import speedups
from seqtext.embeddings.random import RandomEmbedding
from seqtext.layers.pooling import amax_with_ties
from seqtext.models.rnn import GRU


@pytest.fixture
def turned_off(monkeypatch):
    monkeypatch.setenv("SEQTEXT_SPEEDUPS", "0")


@pytest.mark.usefixtures("turned_off")
def test_all_are_off():
    assert not speedups.is_enabled()
    assert speedups.build_null_profiler() is None
    model = GRU(RandomEmbedding(10), units=2)
    assert not speedups.set_current_fx_name(model, "_current_fx_name", "x")
    model._current_fx_name = "training_step"
    assert model._current_fx_name == "training_step"
    states = torch.ones(2, 3, requires_grad=True)
    assert type(amax_with_ties(states, 1).grad_fn).__name__ == "AmaxBackward0"


@pytest.mark.usefixtures("turned_off")
def test_memory_is_left_alone():
    program = (
        "import ctypes, gc; from seqtext import speedups;"
        "ctypes.CDLL = None; speedups.tune_malloc(); speedups.freeze_garbage()\n"
        "with speedups.pause_garbage_collection(): print(gc.isenabled())\n"
        "print(gc.get_freeze_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "0"], done.stderr


def test_the_hook_name_is_set():
    model = GRU(RandomEmbedding(10), units=2)
    model._current_fx_name = "training_step"
    assert model._current_fx_name == "training_step"
    assert "units" not in vars(model)
