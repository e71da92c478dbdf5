"""Measure the peak memory of this process."""

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

import torch

CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESET_PEAK = "5"  # see proc_pid_clear_refs(5): the peak becomes the present size


def reset_peak_memory() -> None:
    """Forget the peak of earlier runs in this process, where the system can (Linux).

    Memory that they have freed, and the C library keeps, is returned to the system first.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with suppress(OSError):  # no such file, or not permitted: the peak is that of the process
        CLEAR_REFS.write_text(RESET_PEAK)


def read_peak_memory() -> dict[str, int]:
    """Return the peak in bytes: "host", resident memory if it is known; "gpu", PyTorch's memory."""
    peaks = {}
    if (host := _read_resident_peak()) is not None:
        peaks["host"] = host
    if torch.cuda.is_available():
        peaks["gpu"] = torch.cuda.max_memory_allocated()
    return peaks


def _read_resident_peak() -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
