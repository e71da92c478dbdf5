"""Manage the processes of a run on several devices, launched here or by torchrun or Slurm.

Processes started by torchrun or srun are used directly: Lightning's cluster environments provide
rank and address, and rank 0 sends the run's configuration to the others (see
`run_externally_launched`).

Otherwise a run launches its own workers, since Lightning's two launchers do not support a job of a
sweep (tests/test_distributed.py shows both). The launcher for scripts starts ``sys.argv`` again,
which is the whole sweep, and kills the sweep if one worker fails. The launcher for functions
(spawn, fork) trains only in child processes, loses predictions and the types of exceptions (such as
the one for pruning), and writes nothing to the job's log.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import distributed

from seqtext.config.run_config import build_datamodule, validate_config
from seqtext.config.trust import allow_any_class
from seqtext.distributed import (
    ProcessInfo,
    broadcast_object,
    destroy_process_group,
    init_process_group,
)
from seqtext.errors import UserError
from seqtext.run_dir import RunDir

HOST = "127.0.0.1"
WORKER_CODE = """from seqtext.fast_imports import fast_imports
with fast_imports():
    from seqtext.training.ddp import run_worker
    from seqtext.training.train import fit_in_process
run_worker(fit_in_process)"""
IGNORED_WARNINGS = (
    ".*broadcast_buffers",  # the replacement is missing in older versions of torch
    ".*sync_dist=True",  # logged values are equal on all processes
)
FAILURE_WAIT = 5  # seconds to wait for a disconnected process to end


@contextmanager
def launch_workers(
    world_size: int, settings: dict[str, Any], run_dir: str
) -> Iterator[ProcessInfo]:
    """Launch the `world_size` - 1 workers of a run and connect to them; kill them on exit.

    If torchrun or Slurm has started the processes, send them the configuration instead.

    Args:
        settings: settings of the run as plain values
        run_dir: path of the run folder

    Raises:
        UserError: if a worker is killed or fails; it prints the reason to the terminal.
    """
    if distributed.is_initialized():
        broadcast_object((settings, run_dir))
        yield ProcessInfo(0, distributed.get_world_size())
        return
    if world_size == 1:
        yield ProcessInfo()
        return
    store = _create_store(world_size)
    store.set("settings", json.dumps(settings))
    with _split_threads(world_size), warnings.catch_warnings():
        for message in IGNORED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        processes = [ProcessInfo(rank, world_size) for rank in range(1, world_size)]
        workers = [_start_worker(process, store.port, run_dir) for process in processes]
        try:
            _wait_until_ready(workers, store)
            init_process_group(ProcessInfo(0, world_size), store)
            yield ProcessInfo(0, world_size)
        except RuntimeError as error:  # torch's error for a lost connection
            if failure := _find_failure(workers, FAILURE_WAIT):
                raise UserError(failure) from error
            raise
        finally:
            destroy_process_group()
            for worker in workers:
                _kill(worker)


def run_worker(fit_in_process: Callable[..., object]) -> None:
    """Train and predict as a worker of `launch_workers`; print only errors.

    The arguments of the process are rank, world size, port and run folder. It exits when stdin
    closes, which rank 0 does.

    Args:
        fit_in_process: see `seqtext.training.train`
    """
    rank, world_size, port, run_dir = sys.argv[1:]
    process = ProcessInfo(int(rank), int(world_size))
    threading.Thread(target=_exit_with_stdin, daemon=True).start()
    store = distributed.TCPStore(HOST, int(port), process.world_size)

    def connect() -> None:
        store.set(f"ready/{process.rank}", "")
        init_process_group(process, store)

    try:
        _fit_as_worker(fit_in_process, process, json.loads(store.get("settings")), run_dir, connect)
    except UserError:
        sys.exit(2)
    signal.pause()  # until rank 0 closes stdin


def run_externally_launched(
    process: ProcessInfo, run_first: Callable[[], object], fit_in_process: Callable[..., object]
) -> None:
    """Run a process started by torchrun or srun: rank 0 calls `run_first`.

    The others wait for a configuration (see `launch_workers`), and run their part.

    Raises:
        UserError: on all processes, for a sweep: its jobs would need their own processes.
    """
    if {"-m", "--multirun"} & set(sys.argv[1:]):
        raise UserError("A sweep starts its own processes: leave out torchrun or srun, or -m.")
    init_process_group(process)
    if process.rank == 0:
        run_first()  # if it fails, torchrun or srun ends the others
        broadcast_object()  # None: nothing more to run
    else:
        while job := broadcast_object():
            _fit_as_worker(fit_in_process, process, *job)
    destroy_process_group()


def _fit_as_worker(
    fit_in_process: Callable[..., object],
    process: ProcessInfo,
    settings: dict[str, Any],
    run_dir: str,
    connect: Callable[[], None] = lambda: None,
) -> None:
    """Train and predict with the other processes, without writing to the run folder."""
    logging.disable(logging.WARNING)  # rank 0 logs the same
    warnings.simplefilter("ignore")
    with allow_any_class():  # rank 0 has validated the settings
        options, split = validate_config(settings)
        data = build_datamodule(settings, options, split)
        L.seed_everything(options.seed, verbose=False)
        connect()
        fit_in_process(settings, options, data, RunDir(run_dir), None, process)


def _exit_with_stdin() -> None:
    os.read(0, 1)  # blocks until rank 0 closes stdin, or ends
    os._exit(0)


def _create_store(world_size: int) -> distributed.TCPStore:
    """Return a store at a free port that is reachable only from this machine."""
    server = socket.create_server((HOST, 0))
    port, listening = server.getsockname()[1], server.detach()
    return distributed.TCPStore(
        HOST, port, world_size, is_master=True, wait_for_workers=False, master_listen_fd=listening
    )


def _start_worker(process: ProcessInfo, port: int, run_dir: str) -> subprocess.Popen:
    command = [sys.executable, "-c", WORKER_CODE, *map(str, (*process, port)), run_dir]
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
        start_new_session=True,  # rank 0 handles Ctrl-C and ends the others
    )


def _wait_until_ready(workers: Sequence[subprocess.Popen], store: distributed.TCPStore) -> None:
    """Wait until all workers are ready or one has ended, for which connecting waits 30 minutes."""
    for rank in range(1, len(workers) + 1):
        while not store.check([f"ready/{rank}"]):
            if _find_failure(workers):
                raise RuntimeError("a process is missing")
            time.sleep(0.05)


def _find_failure(workers: Sequence[subprocess.Popen], patience: float = 0.0) -> str:
    """Describe the first worker that ended with an error, or return an empty string."""
    deadline = time.monotonic() + patience
    while True:
        for number, worker in enumerate(workers, 2):
            if worker.poll():
                return f"Process {number} of {len(workers) + 1} {_describe_end(worker)}"
        if time.monotonic() >= deadline:
            return ""
        time.sleep(0.05)


def _describe_end(worker: subprocess.Popen) -> str:
    if worker.returncode > 0:
        return f"ended with status {worker.returncode}; the terminal shows its reason."
    try:
        name = signal.Signals(-worker.returncode).name
    except ValueError:
        name = f"signal {-worker.returncode}"
    hint = " (often for lack of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}: run it again, or with fewer trainer.devices."


def _kill(worker: subprocess.Popen) -> None:
    """Kill a worker, which writes no files: a clean shutdown of torch can take a minute."""
    worker.kill()
    if worker.stdin:
        worker.stdin.close()
    worker.wait()


@contextmanager
def _split_threads(world_size: int) -> Iterator[None]:
    """Share this process's threads among `world_size` processes."""
    threads, before = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    share = max(1, threads // world_size)
    os.environ["OMP_NUM_THREADS"] = str(share)  # for processes started in the context
    torch.set_num_threads(share)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
