"""The patches to other libraries change no result, and a variable disables them."""

import json
import subprocess
import sys

import pytest
import torch

from seqtext import speedups
from seqtext.embeddings.random import RandomEmbedding
from seqtext.encoders.architecture import build_encoder
from seqtext.layers.pooling import amax_with_ties
from seqtext.models.rnn import GRU
from seqtext.models.transformer import Transformer
from tests.models.tiny_encoder import write_encoder


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


@pytest.fixture
def cudnn_attention():
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield torch.backends.cuda.cudnn_sdp_enabled
    torch.backends.cuda.enable_cudnn_sdp(True)


def test_attention_is_not_planned_for_each_length(cudnn_attention, tmp_path):
    Transformer(RandomEmbedding(10, dim=4), units=4, heads=1)
    assert not cudnn_attention()
    torch.backends.cuda.enable_cudnn_sdp(True)
    build_encoder(json.loads((write_encoder(tmp_path, ["a"]) / "config.json").read_text()))
    assert not cudnn_attention()


@pytest.mark.usefixtures("turned_off")
def test_attention_is_left_alone(cudnn_attention):
    Transformer(RandomEmbedding(10, dim=4), units=4, heads=1)
    assert cudnn_attention()


def test_the_hook_name_is_set():
    model = GRU(RandomEmbedding(10), units=2)
    model._current_fx_name = "training_step"
    assert model._current_fx_name == "training_step"
    assert "units" not in vars(model)
