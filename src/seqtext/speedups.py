"""Tweaks of other people's code that change the speed of a run and nothing else.

SEQTEXT_SPEEDUPS=0 turns all of them off. The figures are of two cores of a shared machine; "a step"
is a training step, of which Lightning alone takes about half a millisecond.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what starts a program must not import torch
    from lightning.pytorch.profilers import Profiler
    from torch import Tensor

MALLOC_OPTIONS = {-1: 2**31 - 1, -3: 2**30}  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, bytes


def is_enabled() -> bool:
    """Return whether SEQTEXT_SPEEDUPS allows the tweaks."""
    return os.environ.get("SEQTEXT_SPEEDUPS") != "0"


# A quarter of the time that torch and lightning take to import: the collector would look through
# all that comes, again and again.
@contextlib.contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Within, collect no garbage; what is left afterwards is never looked through again."""
    if not is_enabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


# After a job of a sweep a full collection takes 0.5 to 2 s, after this call microseconds.
def freeze_garbage() -> None:
    """Exclude all objects that are left from later collections."""
    if is_enabled():
        gc.freeze()


# A sixth of a step of two bidirectional LSTMs of 256 units: the system would hand the memory out
# anew at every step, page by page and filled with zeros.
def tune_malloc() -> None:
    """Keep freed memory in the process for the next step, where the C library is glibc."""
    if not is_enabled():
        return
    with contextlib.suppress(AttributeError):
        for option, size in MALLOC_OPTIONS.items():
            ctypes.CDLL(None).mallopt(option, size)


# Lightning sets this attribute about 40 times a step: 0.12 instead of 1.3 µs each, 50 µs a step.
def set_current_fx_name(module: Any, name: str, value: Any) -> bool:
    """Set Lightning's `_current_fx_name` past nn.Module's checks; return whether this was it."""
    if name != "_current_fx_name" or not is_enabled():
        return False
    module.__dict__[name] = value
    return True


# Lightning opens a profiler's context about 40 times a step: 0.2 instead of 1.0 µs each, 30 µs.
def build_null_profiler() -> Profiler | None:
    """Return a profiler that measures nothing; None: Lightning's own."""
    if not is_enabled():
        return None
    from lightning.pytorch.profilers import PassThroughProfiler

    class NullProfiler(PassThroughProfiler):
        _context = contextlib.nullcontext()

        def profile(self, action_name: str) -> contextlib.nullcontext:
            return self._context

    return NullProfiler()


# Forward and backward over [64, 400, 100] in 58 instead of 203 ms: amax's own backward counts the
# maxima in integers.
def amax_backward(states: Tensor, largest: Tensor, gradient: Tensor, dim: int) -> Tensor:
    """Return amax's gradient w.r.t. `states`: equal maxima share it. `largest` keeps `dim`."""
    is_largest = (states == largest).to(gradient.dtype)
    share = gradient.unsqueeze(dim) / is_largest.sum(dim, keepdim=True)
    return is_largest.mul_(share)
