"""Which GPU a process keeps to, where several processes share those of a machine."""

import getpass
import os
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

PIN_GPU_VARIABLE = "SEQTEXT_PIN_GPU"  # conf/hydra/launcher/joblib.yaml sets it
VISIBLE_GPUS_VARIABLE = "CUDA_VISIBLE_DEVICES"

_held: list[FileLock] = []  # as long as this process lives


def pin_gpu_if_shared() -> None:
    """See one GPU only from now on, where that is wanted; before anything is on a GPU."""
    if os.environ.get(PIN_GPU_VARIABLE) != "1" or _held:
        return
    import torch  # counts without starting CUDA, which reads the variable only once

    gpus = list_visible_gpus(os.environ.get(VISIBLE_GPUS_VARIABLE), torch.cuda.device_count())
    if len(gpus) > 1:
        folder = Path(tempfile.gettempdir()) / f"seqtext-gpus-{getpass.getuser()}"
        number, lock = acquire_slot(folder)
        _held.append(lock)
        os.environ[VISIBLE_GPUS_VARIABLE] = pick_gpu(number, gpus)


def list_visible_gpus(seen: str | None, gpus: int) -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them."""
    return list(map(str, range(gpus))) if seen is None else [g for g in seen.split(",") if g]


def pick_gpu(number: int, gpus: Sequence[str]) -> str:
    """Pick a GPU by turns."""
    return gpus[number % len(gpus)]


def acquire_slot(folder: Path) -> tuple[int, FileLock]:
    """Return the lowest number that no living process has, and the lock that keeps it.

    Not the number of a job: some end early, and their successors would crowd one GPU.
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
