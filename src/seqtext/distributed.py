"""Several processes that share one run: how they start and end, and what they tell each other.

The first one is the run: it alone writes the run's folder. It starts the others (`follower`), so
that a run may do so wherever it is itself: on the command line, in a sweep, in a cluster's job.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import Callback
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import Tensor, distributed

from seqtext.errors import UserError

HOST = "127.0.0.1"
FOLLOW = """from seqtext.imports import fast_imports
with fast_imports():
    from seqtext.training.ddp_worker import main
main()"""
NOT_TO_SAY = (
    ".*broadcast_buffers",  # its successor is not in all versions of torch
    ".*sync_dist=True",  # what is logged is the same on all processes
)
PATIENCE = 5  # seconds in which a process that broke the connection ends


class ProcessInfo(NamedTuple):
    """Rank of this process among the `world_size` processes of a run: 0, 1, …"""

    rank: int = 0
    world_size: int = 1


class ExternalProcessEnvironment(LightningEnvironment):
    """Tells Lightning of the processes that are there; it neither starts any nor looks around."""

    creates_processes_externally = True

    def __init__(self, process: ProcessInfo):
        super().__init__()
        self.process = process

    def local_rank(self) -> int:
        """On this machine, on which all of them are."""
        return self.process.rank

    def node_rank(self) -> int:
        """Of this machine."""
        return 0


class StopOnTerminate(Callback):
    """SIGTERM stops like Ctrl-C; Lightning's own way would wait for the other processes."""

    def on_train_start(self, trainer, model) -> None:
        """Lightning has set its own handler by now, and takes this one away after training."""
        self.on_predict_start(trainer, model)

    def on_predict_start(self, trainer, model) -> None:
        """As `on_train_start`."""
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)


def all_gather_objects(items: list[Any]) -> list[Any]:
    """The items of all processes at this point, by rank; tensors are moved to the CPU.

    Every process must call it. A run of one process gets back what it gave.
    """
    if not distributed.is_initialized():
        return list(items)
    lists = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(lists, move_data_to_device(items, torch.device("cpu")))
    return list(chain.from_iterable(lists))


class _Sum(torch.autograd.Function):
    """Over processes; each of them has a part of the loss, so that gradients are summed too."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(context, gradient)


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """The sum of all processes' tensors, which must all call it; of one process, its own."""
    return _Sum.apply(tensor) if distributed.is_initialized() else tensor


@contextmanager
def launch_workers(world_size: int, settings: dict[str, Any], folder: str) -> Iterator[ProcessInfo]:
    """Start the other `world_size` - 1 processes of a run, connect to them, and see to their end.

    Args:
        settings: of the run, plain values
        folder: of the run

    Raises:
        UserError: if one of them fails, which says on the terminal why, or is killed.
    """
    if world_size == 1:
        yield ProcessInfo()
        return
    store = _store(world_size)
    store.set("settings", json.dumps(settings))
    with _fair_threads(world_size), warnings.catch_warnings():
        for message in NOT_TO_SAY:
            warnings.filterwarnings("ignore", message=message)
        started = [
            _start(ProcessInfo(rank, world_size), store.port, folder)
            for rank in range(1, world_size)
        ]
        try:
            _wait_for(started, store)
            init_process_group(ProcessInfo(0, world_size), store)
            yield ProcessInfo(0, world_size)
        except RuntimeError as error:  # as torch says that a connection is lost
            if failed := _failed(started, PATIENCE):
                raise UserError(failed) from error
            raise
        finally:
            destroy_process_group()
            for process in started:
                _end(process)


def init_process_group(process: ProcessInfo, store: distributed.Store) -> None:
    """Connect this process to the others of its run; returns when all of them do so."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend, store=store, rank=process.rank, world_size=process.world_size
    )


def destroy_process_group() -> None:
    """Undo `init_process_group`."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _store(count: int) -> distributed.TCPStore:
    """At a free port that this machine alone can reach."""
    server = socket.create_server((HOST, 0))
    port, listening = server.getsockname()[1], server.detach()
    return distributed.TCPStore(
        HOST, port, count, is_master=True, wait_for_workers=False, master_listen_fd=listening
    )


def _start(process: ProcessInfo, port: int, folder: str) -> subprocess.Popen:
    command = [sys.executable, "-c", FOLLOW, *map(str, (*process, port)), folder]
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
        start_new_session=True,  # Ctrl-C is for the first process, which ends the others
    )


def _wait_for(started: Sequence[subprocess.Popen], store: distributed.TCPStore) -> None:
    """Until all of them are there, or one is gone: to connect would wait for half an hour."""
    for rank in range(1, len(started) + 1):
        while not store.check([f"ready/{rank}"]):
            if _failed(started):
                raise RuntimeError("a process is missing")
            time.sleep(0.05)


def _failed(started: Sequence[subprocess.Popen], patience: float = 0.0) -> str:
    """The first process that ended with an error, in words, or nothing."""
    deadline = time.monotonic() + patience
    while True:
        for number, process in enumerate(started, 2):
            if process.poll():
                return f"Process {number} of {len(started) + 1} {_how_it_ended(process)}"
        if time.monotonic() >= deadline:
            return ""
        time.sleep(0.05)


def _how_it_ended(process: subprocess.Popen) -> str:
    if process.returncode > 0:
        return f"ended with status {process.returncode}; what it said is on the terminal."
    try:
        name = signal.Signals(-process.returncode).name
    except ValueError:
        name = f"signal {-process.returncode}"
    hint = " (often for want of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}: run it again, or with fewer trainer.devices."


def _end(process: subprocess.Popen) -> None:
    """At once: it writes nothing that could break, and to take torch down may take a minute."""
    process.kill()
    process.stdin.close()
    process.wait()


@contextmanager
def _fair_threads(count: int) -> Iterator[None]:
    """Share this process's threads among `count` processes."""
    threads, before = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    share = max(1, threads // count)
    os.environ["OMP_NUM_THREADS"] = str(share)  # of those that are started now
    torch.set_num_threads(share)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
