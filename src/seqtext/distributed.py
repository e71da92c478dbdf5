"""Rank, world size and collective operations of the processes of one run.

`seqtext.training.ddp` launches the processes, or finds those that torchrun or Slurm has started.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import Tensor, distributed


class ProcessInfo(NamedTuple):
    """Hold the rank (0, 1, …) of this process and the number of processes of its run."""

    rank: int = 0
    world_size: int = 1


class WorkerEnvironment(LightningEnvironment):
    """Provides Lightning with the ranks of processes that `seqtext.training.ddp` launches."""

    creates_processes_externally = True

    def __init__(self, process: ProcessInfo):
        super().__init__()
        self.process = process

    def local_rank(self) -> int:
        """Return the rank on this machine, which runs all processes."""
        return self.process.rank

    def node_rank(self) -> int:
        """Return 0: there is one machine."""
        return 0


class StopOnTerminate(L.Callback):
    """Stops a run on SIGTERM like Ctrl-C, where Lightning would not.

    Its own handler waits for the other processes in training, and does nothing in predictions.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Replace the handler that Lightning sets; in one process that stops after a batch."""
        if trainer.world_size > 1:
            _interrupt_on_sigterm()

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Replace the handler that Lightning sets."""
        _interrupt_on_sigterm()


@contextmanager
def keep_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt where Lightning raises SystemExit for Ctrl-C or SIGTERM.

    Python's handler of SIGTERM is put aside: Lightning would call it within any step of training.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL) if is_main else None
    try:
        yield
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def _interrupt_on_sigterm() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def find_externally_launched() -> ProcessInfo | None:
    """Return this process's rank under torchrun or srun; None if the run has one process."""
    if TorchElasticEnvironment.detect():
        process = ProcessInfo(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    elif SLURMEnvironment.detect() and "SLURM_PROCID" in os.environ:
        process = ProcessInfo(int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]))
    else:
        return None
    return process if process.world_size > 1 else None


def init_process_group(process: ProcessInfo, store: distributed.Store | None = None) -> None:
    """Connect this process to the others of its run; block until all of them are connected.

    Args:
        store: rendezvous store of the processes that `seqtext.training.ddp` launched; None: use the
            address from torchrun's or Slurm's environment variables
    """
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    address = None
    if store is None:
        is_torchrun = TorchElasticEnvironment.detect()
        cluster = TorchElasticEnvironment() if is_torchrun else SLURMEnvironment()
        address = f"tcp://{cluster.main_address}:{cluster.main_port}"
    rank, world_size = process
    distributed.init_process_group(
        backend, init_method=address, store=store, rank=rank, world_size=world_size
    )


def destroy_process_group() -> None:
    """Undo `init_process_group`."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def broadcast_object(value: Any = None) -> Any:
    """Return rank 0's value on all processes; every process must call it."""
    values = [value]
    distributed.broadcast_object_list(values, device=torch.device("cpu"))
    return values[0]


def all_gather_objects(items: list[Any]) -> list[Any]:
    """Return the items of all processes in rank order; tensors are moved to the CPU.

    Every process must call it. In a run of one process it returns `items`.
    """
    if not distributed.is_initialized():
        return list(items)
    lists: list[list[Any]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(lists, move_data_to_device(items, torch.device("cpu")))
    return list(chain.from_iterable(lists))


class _AllReduceSum(torch.autograd.Function):
    """Sums over processes, and sums gradients too: each process holds a part of the loss."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _AllReduceSum.forward(context, gradient)


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Return the differentiable sum of a tensor over all processes; all of them must call it."""
    return _AllReduceSum.apply(tensor) if distributed.is_initialized() else tensor
