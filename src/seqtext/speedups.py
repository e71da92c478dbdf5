"""Performance patches for third-party libraries, without effect on results.

SEQTEXT_SPEEDUPS=0 disables all of them. Times were measured on two cores of a shared machine; "a
step" is a training step, of which Lightning's own overhead is about half a millisecond.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the module is imported at start-up, before torch
    from lightning.pytorch.profilers import Profiler
    from torch import Tensor

MALLOC_OPTIONS = {-1: 2**31 - 1, -3: 2**30}  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, bytes


def is_enabled() -> bool:
    """Return whether SEQTEXT_SPEEDUPS allows the patches."""
    return os.environ.get("SEQTEXT_SPEEDUPS") != "0"


# Saves a quarter of the import time of torch and lightning: the garbage collector would traverse
# the growing set of imported objects again and again.
@contextlib.contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Disable garbage collection within the context; exclude the objects left from later ones."""
    if not is_enabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


# A full collection after a job of a sweep takes 0.5 to 2 s, after this call microseconds.
def freeze_garbage() -> None:
    """Exclude all existing objects from later collections."""
    if is_enabled():
        gc.freeze()


# Saves a sixth of a step of two bidirectional LSTMs of 256 units: otherwise the kernel allocates
# and zeroes the memory again, page by page, at every step.
def tune_malloc() -> None:
    """Keep freed memory in the process for the next step, if the C library is glibc."""
    if not is_enabled():
        return
    with contextlib.suppress(AttributeError):
        for option, size in MALLOC_OPTIONS.items():
            ctypes.CDLL(None).mallopt(option, size)


# On an H200 in bfloat16, the attention of texts of a new length takes 0.7 instead of 132 ms: cuDNN
# would build a plan for each shape.
def avoid_cudnn_attention() -> None:
    """Let `scaled_dot_product_attention` choose other kernels than cuDNN's, in this process."""
    if is_enabled():
        import torch

        torch.backends.cuda.enable_cudnn_sdp(False)


# Lightning sets this attribute about 40 times a step: 0.12 instead of 1.3 µs each, 50 µs a step.
def set_current_fx_name(module: Any, name: str, value: Any) -> bool:
    """Set `_current_fx_name` without nn.Module's checks; return whether `name` was that."""
    if name != "_current_fx_name" or not is_enabled():
        return False
    module.__dict__[name] = value
    return True


# Lightning opens a profiler's context about 40 times a step: 0.2 instead of 1.0 µs each, 30 µs.
def build_null_profiler() -> Profiler | None:
    """Return a profiler without overhead, or None for Lightning's own."""
    if not is_enabled():
        return None
    from lightning.pytorch.profilers import PassThroughProfiler

    class NullProfiler(PassThroughProfiler):
        _context = contextlib.nullcontext()

        # Lightning's is a generator; any context manager does in its `with` statements.
        def profile(self, action_name: str) -> contextlib.nullcontext:  # type: ignore[override]
            return self._context

    return NullProfiler()


# Forward and backward of [64, 400, 100] take 58 instead of 203 ms: amax's own backward counts
# equal maxima in integers.
def amax_backward(states: Tensor, largest: Tensor, gradient: Tensor, dim: int) -> Tensor:
    """Return amax's gradient w.r.t. `states`: equal maxima share it. `largest` keeps `dim`."""
    is_largest = (states == largest).to(gradient.dtype)
    share = gradient.unsqueeze(dim) / is_largest.sum(dim, keepdim=True)
    return is_largest.mul_(share)
