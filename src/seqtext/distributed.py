"""What the processes of one run share: who they are, and their collective operations.

`seqtext.training.ddp` launches the processes, or finds those that torchrun or Slurm has started.
"""

import os
import signal
import threading
from itertools import chain
from typing import Any, NamedTuple

import torch
from lightning import Callback
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import Tensor, distributed


class ProcessInfo(NamedTuple):
    """Rank of this process among the `world_size` processes of a run: 0, 1, …"""

    rank: int = 0
    world_size: int = 1


class ExternalProcessEnvironment(LightningEnvironment):
    """Lightning cluster environment for the processes that `seqtext.training.ddp` launches."""

    creates_processes_externally = True

    def __init__(self, process: ProcessInfo):
        super().__init__()
        self.process = process

    def local_rank(self) -> int:
        """Return the rank on this machine, on which all processes are."""
        return self.process.rank

    def node_rank(self) -> int:
        """Return 0: there is one machine."""
        return 0


class StopOnTerminate(Callback):
    """Lets SIGTERM stop a run like Ctrl-C; Lightning's way would wait for the other processes."""

    def on_train_start(self, trainer, model) -> None:
        """Replace the handler that Lightning has set, and takes away after training."""
        self.on_predict_start(trainer, model)

    def on_predict_start(self, trainer, model) -> None:
        """Set the handler."""
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)


def find_launched_process() -> ProcessInfo | None:
    """Return the place of this process among those of torchrun or srun; None if there is one."""
    if TorchElasticEnvironment.detect():
        process = ProcessInfo(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    elif SLURMEnvironment.detect() and "SLURM_PROCID" in os.environ:
        process = ProcessInfo(int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]))
    else:
        return None
    return process if process.world_size > 1 else None


def init_process_group(process: ProcessInfo, store: distributed.Store | None = None) -> None:
    """Connect this process to the others of its run; return when all of them do so.

    Args:
        store: of processes that we launched; None: Lightning's cluster environment, of torchrun or
            Slurm, knows the address
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
    """Return the value that rank 0 gives; every process must call it."""
    values = [value]
    distributed.broadcast_object_list(values, device=torch.device("cpu"))
    return values[0]


def all_gather_objects(items: list[Any]) -> list[Any]:
    """Return the items of all processes, by rank; tensors are moved to the CPU.

    Every process must call it. In a run of one process it returns its items.
    """
    if not distributed.is_initialized():
        return list(items)
    lists = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(lists, move_data_to_device(items, torch.device("cpu")))
    return list(chain.from_iterable(lists))


class _AllReduceSum(torch.autograd.Function):
    """Sums over processes; gradients are summed too, as each process has a part of the loss."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _AllReduceSum.forward(context, gradient)


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Return the sum of the tensors of all processes, which must all call it; differentiable."""
    return _AllReduceSum.apply(tensor) if distributed.is_initialized() else tensor
