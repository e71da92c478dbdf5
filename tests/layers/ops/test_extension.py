"""Compilation of the kernels: once for any number of processes, and the fallback."""

import logging
import os
import shutil
import stat
import subprocess
import sys

import pytest
import torch
from torch import nn

from seqtext.embeddings.random import RandomEmbedding
from seqtext.layers import rnn as cells
from seqtext.layers.ops import extension as compiled
from seqtext.models.cnn import CNN
from seqtext.models.rnn import GRU
from seqtext.models.text_cnn import TextCNN


def test_serves_where_there_is_a_compiler():
    """Otherwise the tests of the operators would be skipped unnoticed."""
    if not shutil.which("c++") or os.environ.get("SEQTEXT_COMPILED_KERNELS") == "0":
        pytest.skip("There is no compiler here, or no wish for it.")
    assert compiled.load_extension()


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache, and a small source that compiles quickly."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SEQTEXT_COMPILED_KERNELS", raising=False)
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "texts.cpp").write_text('extern "C" int seven() { return 7; }\n')
    monkeypatch.setattr(compiled, "SOURCES", tmp_path / "native")
    return compiled.load_extension.__wrapped__


@pytest.mark.skipif(not compiled.load_extension(), reason="There is no compiler here.")
def test_compiles_once(fresh, caplog):
    caplog.set_level(logging.INFO)
    assert [fresh().seven() for _ in range(2)] == [7, 7]
    assert [record.message for record in caplog.records] == [
        "Compiling the recurrences and convolutions, once on this machine."
    ]
    (compiled.SOURCES / "texts.cpp").write_text('extern "C" int seven() { return 8; }\n')
    assert fresh().seven() == 8


@pytest.mark.slow
@pytest.mark.skipif(not compiled.load_extension(), reason="There is no compiler here.")
def test_two_processes_at_once(fresh, tmp_path):
    """One process compiles and the other waits; the compiler counts its calls."""
    compiler = tmp_path / "compiler"
    compiler.write_text(
        f'#!/bin/sh\necho >> {tmp_path}/calls\nexec {os.environ.get("CXX", "c++")} "$@"\n'
    )
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    program = (
        "import pathlib, sys; from seqtext.layers.ops import extension as compiled;"
        "compiled.SOURCES = pathlib.Path(sys.argv[1]); print(compiled.load_extension().seven())"
    )
    command = [sys.executable, "-c", program, str(compiled.SOURCES)]
    environment = {**os.environ, "CXX": str(compiler)}
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=100)[0].strip() for process in started] == ["7", "7"]
    assert (tmp_path / "calls").read_text() == "\n\n"  # one source, and the library


def broken_source(monkeypatch):
    (compiled.SOURCES / "texts.cpp").write_text("this is no C++\n")


def no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/c++")


def no_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)


@pytest.mark.parametrize("trouble", [broken_source, no_compiler, no_folder])
def test_without_it_one_line_says_so(fresh, trouble, monkeypatch, caplog):
    trouble(monkeypatch)
    assert fresh() is None
    (line,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("On a CPU, models run on torch's own operators, slower: ")
    assert "\n" not in line


def writable_library(folder):
    next(folder.glob("*/native.so")).chmod(0o666)


def writable_entry(folder):
    next(folder.glob("*/native.so")).parent.chmod(0o777)


def writable_folder(folder):
    folder.chmod(0o777)


def writable_folder_above(folder):
    folder.parents[1].chmod(0o777)


def group_of_others(folder):
    os.chown(folder, -1, 12345)
    folder.chmod(0o770)


def link_to_a_writable_folder(folder):
    folder.rename(folder.parents[2] / "moved")
    (folder.parents[2] / "moved").chmod(0o777)
    folder.symlink_to(folder.parents[2] / "moved")


def another_users_library(folder):
    os.chown(next(folder.glob("*/native.so")), 12345, -1)


def another_users_folder(folder):
    os.chown(folder, 12345, -1)


@pytest.mark.parametrize(
    "plant",
    [
        *(writable_library, writable_entry, writable_folder, writable_folder_above),
        *(link_to_a_writable_folder, group_of_others),
        *(another_users_library, another_users_folder),
    ],
)
@pytest.mark.skipif(not compiled.load_extension(), reason="There is no compiler here.")
def test_what_others_may_change_is_not_loaded(fresh, plant, monkeypatch, tmp_path, caplog):
    if os.getuid() and plant.__name__.startswith(("another", "group")):
        pytest.skip("Only root can give files away.")
    monkeypatch.setattr(compiled.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir(mode=0o700)
    assert fresh().seven() == 7
    folder = tmp_path / "cache" / "seqtext" / "compiled"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    plant(folder)
    elsewhere = tmp_path / "temporary" / f"seqtext-{os.getuid()}" / "compiled"
    for _ in range(2):
        caplog.clear()
        assert fresh().seven() == 7
        (warning,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert warning.startswith(f"Others may write to {folder}")
        assert len(list(elsewhere.glob("*/native.so"))) == 1  # compiled once
    elsewhere.chmod(0o777)
    assert fresh().seven() == 7  # from a folder of this process alone


@pytest.mark.parametrize("kind", [GRU, CNN, TextCNN])
def test_compiled_before_training(kind, monkeypatch):
    """Building a model compiles the kernels, so that it does not count as training time."""
    asked = []
    for module in ("rnn", "conv"):
        name = f"seqtext.layers.{module}.load_extension"
        monkeypatch.setattr(name, lambda: asked.append(1))
    kind(RandomEmbedding(10))
    assert asked


def test_can_be_turned_off(fresh, monkeypatch, caplog):
    monkeypatch.setenv("SEQTEXT_COMPILED_KERNELS", "0")
    assert fresh() is None
    assert not caplog.records


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_numbers_are_the_same_without_it(monkeypatch, kind, reverse):
    torch.manual_seed(0)
    cell, x = kind(3, 4, batch_first=True), torch.randn(3, 5, 3)
    lengths = torch.tensor([5, 2, 4])
    words, results = torch.arange(5) < lengths[:, None], []
    for library in (compiled.load_extension, lambda: None):
        monkeypatch.setattr(compiled, "load_extension", library)
        cell.zero_grad()
        states = cells.rnn_forward(cell, x, lengths, reverse=reverse)[words]
        states.square().sum().backward()
        results.append([states, *(p.grad.clone() for p in cell.parameters())])
    torch.testing.assert_close(*results)


@pytest.mark.skipif(not compiled.load_extension(), reason="There is no compiler here.")
def test_structures_of_another_size_are_refused():
    class Shorter(compiled.KernelArgs):
        function = "rnn"
        _fields_ = compiled.KernelArgs.fields("cell threads", "", "x")

    with pytest.raises(RuntimeError, match="rnn takes arguments of 208 bytes and Shorter has 24"):
        Shorter.load_kernel(torch.float32)
