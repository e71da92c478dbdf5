"""Assignment of GPUs to processes, tested without GPUs."""

import pytest
import torch

from seqtext.training import gpu_assignment as gpus


@pytest.fixture
def eight_processes(tmp_path, monkeypatch):
    """Return the visible GPUs of each of eight processes on a machine with two GPUs."""
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv(gpus.PIN_GPU_VARIABLE, "1")
    held = []

    def one(seen: str | None = None) -> str | None:
        monkeypatch.setattr(gpus, "_held", [])
        monkeypatch.delenv(gpus.VISIBLE_GPUS_VARIABLE, raising=False)
        if seen is not None:
            monkeypatch.setenv(gpus.VISIBLE_GPUS_VARIABLE, seen)
        gpus.pin_gpu_if_shared()
        held.append(gpus._held)
        return gpus.os.environ.get(gpus.VISIBLE_GPUS_VARIABLE)

    yield one
    for locks in held:
        for lock in locks:
            lock.release()
    monkeypatch.delenv(gpus.VISIBLE_GPUS_VARIABLE, raising=False)


def test_processes_take_turns(eight_processes):
    assert [eight_processes() for _ in range(8)] == ["0", "1"] * 4


def test_the_gpus_that_one_may_see_are_shared(eight_processes):
    assert [eight_processes("5,GPU-7f") for _ in range(3)] == ["5", "GPU-7f", "5"]


def test_a_single_gpu_or_none_is_left_as_it_is(eight_processes, monkeypatch):
    assert eight_processes("1") == "1"
    assert eight_processes("") == ""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert eight_processes() is None


def test_only_where_gpus_are_shared(eight_processes, monkeypatch):
    monkeypatch.delenv(gpus.PIN_GPU_VARIABLE)
    assert eight_processes() is None


def test_a_process_keeps_its_gpu(eight_processes, monkeypatch):
    first = eight_processes()
    monkeypatch.delenv(gpus.VISIBLE_GPUS_VARIABLE)
    gpus.pin_gpu_if_shared()  # the next job of the same process
    assert first == "0"
    assert gpus.VISIBLE_GPUS_VARIABLE not in gpus.os.environ


def test_the_number_of_an_ended_process_is_free_again(tmp_path):
    locks = [gpus.acquire_slot(tmp_path) for _ in range(3)]
    assert [number for number, _ in locks] == [0, 1, 2]
    locks[1][1].release()
    number, lock = gpus.acquire_slot(tmp_path)
    assert number == 1
    for held in (lock, locks[0][1], locks[2][1]):
        held.release()
