"""Compile the C++ code in csrc/ once per machine, load it, and call its functions."""

import contextlib
import ctypes
import functools
import logging
import os
import platform
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_ISLNK, S_ISVTX, S_IWGRP, S_IWOTH
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqtext.cache import Cache, digest_files
from seqtext.speedups import tune_malloc

log = logging.getLogger(__name__)

SOURCES = Path(__file__).parent / "csrc"
FLAGS = "-std=c++17 -O3 -march=native -fno-math-errno -fno-trapping-math -fopenmp -fPIC"
DTYPE_SUFFIXES = {torch.float32: "float", torch.float64: "double"}  # of the functions' names
AUTOCAST_DTYPES = (torch.float32, torch.bfloat16, torch.float16)  # of inputs within autocast
CACHE_KIND, LIBRARY_FILE = "compiled", "native.so"
COMPILER_TIMEOUT = 300  # seconds


@functools.cache
def load_extension() -> ctypes.CDLL | None:
    """Return the compiled library, or log a warning and return None if there is none.

    It is compiled once with a C++ compiler (`CXX`, else c++), which takes seconds, and stored in
    the user's cache. SEQTEXT_COMPILED_KERNELS=0 disables it.
    """
    if os.environ.get("SEQTEXT_COMPILED_KERNELS") == "0":
        return None
    try:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        found = _load(Cache(Path(root, "seqtext")))
        tune_malloc()
        return found
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        log.warning("On a CPU, models run on torch's own operators, slower: %s", error)
        return None


def is_supported(inputs: Tensor, weight: Tensor) -> bool:
    """Return whether the compiled functions support these tensors.

    Within autocast, weights have float32, and inputs that it has rounded are cast to it.
    """
    fits = inputs.dtype == weight.dtype and inputs.dtype in DTYPE_SUFFIXES
    if torch.is_autocast_enabled("cpu"):
        fits = weight.dtype == torch.float32 and inputs.dtype in AUTOCAST_DTYPES
    return (
        fits
        and not torch.compiler.is_exporting()
        and inputs.device.type == "cpu"
        and inputs.numel() > 0
        and load_extension() is not None
    )


def use_bf16_products() -> bool:
    """Return whether autocast asks for bfloat16 and the processor is faster with it.

    Only the operands of matrix products are rounded; sums, states and gates have float32.
    """
    return (
        torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and has_bf16_products()
    )


@functools.cache
def has_bf16_products() -> bool:
    """Return whether the processor multiplies bfloat16 and sums float32 in one instruction."""
    library = load_extension()
    return library is not None and bool(library.has_bf16_products())


class KernelArgs(ctypes.Structure):
    """Arguments of a compiled function: integers, floats, then pointers to tensors.

    A function computes forward or backward; an autograd context stores the tensors in between.
    """

    function: ClassVar[str]  # name without the suffix for the dtype of x

    @staticmethod
    def fields(numbers: str, reals: str, tensors: str) -> list[tuple[str, type[Any]]]:
        """Return ctypes fields in the order of the C++ structure."""
        kinds = (numbers, ctypes.c_int64), (reals, ctypes.c_double), (tensors, ctypes.c_void_p)
        return [(name, kind) for names, kind in kinds for name in names.split()]

    @classmethod
    def forward(
        cls, ctx, options: dict[str, float], saved: dict[str, Tensor | None], **outputs: Tensor
    ) -> None:
        """Run the forward kernel.

        Args:
            saved: tensors to save for backward
            outputs: contiguous tensors that the kernel writes
        """
        saved = {key: None if t is None else t.contiguous() for key, t in saved.items()}
        cls.run(options, {**saved, **outputs}, is_backward=False)
        ctx.save_for_backward(*saved.values())
        ctx.names, ctx.options = list(saved), options

    @staticmethod
    def saved_tensors(ctx) -> dict[str, Tensor | None]:
        """Return the tensors saved by `forward`."""
        return dict(zip(ctx.names, ctx.saved_tensors, strict=True))

    @classmethod
    def run(
        cls, options: dict[str, float], tensors: dict[str, Tensor | None], is_backward: bool
    ) -> None:
        """Run the kernel forward or backward; all tensors, among them x, must be contiguous."""
        addresses = {key: t.data_ptr() for key, t in tensors.items() if t is not None}
        arguments = cls(**options, threads=torch.get_num_threads(), **addresses)
        x = tensors["x"]
        assert x is not None
        cls.load_kernel(x.dtype)(ctypes.byref(arguments), int(is_backward))

    @classmethod
    @functools.cache
    def load_kernel(cls, dtype: torch.dtype) -> Callable[..., None]:
        """Return the compiled function for tensors of this dtype.

        Raises:
            RuntimeError: if the size of its C++ structure differs from that of this class.
        """
        library = load_extension()
        size = getattr(library, f"{cls.function}_args_size")()
        if size != ctypes.sizeof(cls):
            raise RuntimeError(
                f"The compiled kernel {cls.function} takes arguments of {size} bytes and "
                f"{cls.__name__} has {ctypes.sizeof(cls)}: the two must list the same fields."
            )
        return getattr(library, f"{cls.function}_{DTYPE_SUFFIXES[dtype]}")


def _load(cache: Cache) -> ctypes.CDLL:
    """Load the library from the cache, or from a private folder if others may write to the cache.

    Whoever can change the file, or a folder above it, could execute code as this user.
    """
    if _has_private_folder(cache):
        return _load_from(cache)
    log.warning(
        "Others may write to %s, or to a folder above: the native functions are compiled elsewhere."
        " Set XDG_CACHE_HOME to a folder that only you can write to.",
        cache.root / CACHE_KIND,
    )
    own = Cache(Path(tempfile.gettempdir(), f"seqtext-{os.getuid()}"))
    if _has_private_folder(own):
        return _load_from(own)
    with tempfile.TemporaryDirectory() as folder:  # a loaded library remains loaded
        return _load_from(Cache(folder))


def _has_private_folder(cache: Cache) -> bool:
    """Create the cache's library folder and return whether only this user may write to it."""
    folder = cache.root / CACHE_KIND
    with contextlib.suppress(FileExistsError):  # checked below
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    return is_private(folder) and all(map(is_private, folder.glob(f"*/{LIBRARY_FILE}")))


def _load_from(cache: Cache) -> ctypes.CDLL:
    return ctypes.CDLL(str(_compiled(cache) / LIBRARY_FILE))


def is_private(path: Path) -> bool:
    """Return whether only this user and root may change or replace a file or folder.

    All parent folders and all links on the path are checked too. In a world-writable folder such
    as /tmp, the sticky bit protects this user's files.
    """
    if not hasattr(os, "getuid"):  # on Windows
        return True
    absolute = path.absolute()
    places = {*absolute.parents, *absolute.resolve().parents}
    return _is_own(absolute.lstat(), is_above=False) and all(
        _is_own(place.lstat(), is_above=True) for place in (*places, absolute.resolve())
    )


def _is_own(stat: os.stat_result, is_above: bool) -> bool:
    if stat.st_uid not in (0, os.getuid()):
        return False
    if S_ISLNK(stat.st_mode):  # the permissions of its folder apply
        return True
    if is_above and stat.st_mode & S_ISVTX:
        return True
    return not stat.st_mode & S_IWOTH and not (
        stat.st_mode & S_IWGRP and _has_other_members(stat.st_gid)
    )


@functools.cache
def _has_other_members(group: int) -> bool:
    """Return whether a group has other members; on many systems each user has an own group."""
    import grp  # missing on Windows
    import pwd

    try:
        user, entry = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
    except KeyError:
        return True
    return entry.gr_name != user.pw_name or bool({*entry.gr_mem} - {user.pw_name})


def _compiled(cache: Cache) -> Path:
    compiler = [*shlex.split(os.environ.get("CXX", "c++")), *FLAGS.split()]
    sources = sorted(SOURCES.glob("*.cpp"))

    def build(folder: Path) -> None:
        log.info("Compiling the recurrences and convolutions, once on this machine.")
        objects = [folder / f"{source.stem}.o" for source in sources]
        commands = [
            [*compiler, "-c", str(source), "-o", str(file)]
            for source, file in zip(sources, objects, strict=True)
        ]
        with ThreadPoolExecutor() as pool:
            list(pool.map(_run_compiler, commands))
        _run_compiler([*compiler, "-shared", *map(str, objects), "-o", str(folder / LIBRARY_FILE)])
        for file in objects:
            file.unlink()

    facts = {"command": compiler, "sources": digest_files([SOURCES]), "processor": _get_processor()}
    return cache.get_or_build(CACHE_KIND, facts, build)


def _run_compiler(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=COMPILER_TIMEOUT, check=False
    )
    if done.returncode:
        reason = done.stderr.strip().partition("\n")[0]
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}: {reason}")


def _get_processor() -> str:
    """Describe the processor, since -march=native code may not run on another one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return f"{platform.machine()} {platform.processor()}"
    names = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(names)}))
