"""Assign one GPU to each of several processes on a machine."""

import getpass
import os
import tempfile
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

PIN_GPU_VARIABLE = "SEQTEXT_PIN_GPU"  # conf/hydra/launcher/joblib.yaml sets it
VISIBLE_GPUS_VARIABLE = "CUDA_VISIBLE_DEVICES"

_held: list[FileLock] = []  # held for the lifetime of the process


def pin_gpu_if_shared() -> None:
    """Pin this process to one GPU if SEQTEXT_PIN_GPU is set; call it before CUDA is used."""
    if os.environ.get(PIN_GPU_VARIABLE) != "1" or _held:
        return
    import torch  # counts GPUs without initializing CUDA, which reads the variable once

    visible = os.environ.get(VISIBLE_GPUS_VARIABLE)
    if visible is None:
        gpus = [str(number) for number in range(torch.cuda.device_count())]
    else:
        gpus = [name for name in visible.split(",") if name]
    if len(gpus) > 1:
        folder = Path(tempfile.gettempdir()) / f"seqtext-gpus-{getpass.getuser()}"
        number, lock = acquire_slot(folder)
        _held.append(lock)
        os.environ[VISIBLE_GPUS_VARIABLE] = gpus[number % len(gpus)]


def acquire_slot(folder: Path) -> tuple[int, FileLock]:
    """Return the lowest number that no running process holds, and its lock.

    The number of a job is not used: as jobs end at different times, later jobs could share a GPU.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        lock = FileLock(folder / f"{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return number, lock
    raise AssertionError
