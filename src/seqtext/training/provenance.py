"""Collect the provenance of a result: code, versions, machine, command line."""

import os
import platform
import re
import shlex
import subprocess
import threading
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from seqtext.config.conf_dir import is_installed
from seqtext.config.overrides import read_command_line
from seqtext.display import count_noun

PACKAGES = (
    *("torch", "lightning", "torchmetrics", "hydra-core", "omegaconf"),
    *("numpy", "pandas", "pyarrow", "scikit-learn", "seqtext"),
)
GIT_TIMEOUT = 30.0  # seconds; timeout of git, which runs beside training
GIT_WAIT = 0.05  # seconds that a run waits for git at its end
INSTALL_FOLDERS = ("site-packages", "dist-packages")


class GitInfoThread(threading.Thread):
    """Queries git about a checkout while the run continues.

    Args:
        folder: folder of the package, or the current folder
    """

    def __init__(self, folder: Path):
        super().__init__(daemon=True)
        self._folder = folder
        self._state: dict[str, Any] = {"git_commit": None, "git_dirty": None}
        folders = (folder, *folder.parents)
        if not _is_in_install_folder(folder) and any((each / ".git").exists() for each in folders):
            self.start()

    def run(self) -> None:
        """Run git, which may be missing, slow, or fail."""
        command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch"]
        try:
            output = subprocess.run(
                command, cwd=self._folder, capture_output=True, check=True, timeout=GIT_TIMEOUT
            ).stdout.decode(errors="replace")
        except (OSError, subprocess.SubprocessError):
            return
        head, *lines = output.splitlines() or [""]
        commit = head.removeprefix("# branch.oid ")
        if re.fullmatch("[0-9a-f]{40,64}", commit):
            is_dirty = any(not line.startswith("#") for line in lines)
            self._state = {"git_commit": commit, "git_dirty": is_dirty}

    def read(self) -> dict[str, Any]:
        """Return the commit, and whether files differ from it; None if git has not answered."""
        if self.is_alive():
            self.join(GIT_WAIT)
        return dict(self._state)


def _is_in_install_folder(folder: Path) -> bool:
    """Return whether a folder belongs to an installed package."""
    return any(part in INSTALL_FOLDERS for part in folder.parts)


@cache
def start_git_query() -> GitInfoThread:
    """Start the git query, once per process; read the result by `GitInfoThread.read`.

    If this package is installed, its version says which code it is, and the current folder is the
    checkout of the user's own code.
    """
    package = Path(__file__).resolve().parent
    return GitInfoThread(Path.cwd() if _is_in_install_folder(package) else package)


def collect_provenance() -> dict[str, Any]:
    """Collect what is needed to reproduce a result, as plain values."""
    return {
        **start_git_query().read(),
        "versions": collect_versions(),
        "hardware": collect_hardware(),
        "command": read_command(),
    }


@cache
def collect_versions() -> dict[str, str | None]:
    """Return the versions of Python and of `PACKAGES`; None if one is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def collect_hardware() -> dict[str, Any]:
    """Describe this machine: processor, usable cores, threads in use, GPUs, memory in GB."""
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {
        "cpu": _get_processor(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": torch.get_num_threads(),
        "memory_gb": _get_memory_gb(),
        "gpus": [
            {"name": of.name, "memory_gb": round(of.total_memory / 1e9, 1)}
            for of in map(torch.cuda.get_device_properties, gpus)
        ],
        "system": platform.platform(),
    }


def describe_devices(trainer: L.Trainer) -> str:
    """Describe the devices of a training run."""
    device, count = trainer.strategy.root_device, trainer.world_size
    shared = f"{count} processes on {device.type}" if count > 1 else f"one process on {device}"
    return f"{shared}, with {count_noun(torch.get_num_threads(), 'CPU thread')} each"


def read_command() -> str:
    """Return the command line of this run; for a job of a sweep, the one that runs only it."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        words = ["seqtext-train"] if is_installed() else ["python", "train.py"]
        return shlex.join([*words, *HydraConfig.get().overrides.task])
    return read_command_line()


def _get_processor() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model n"))
            return next(names, None) or platform.machine()
    except OSError:
        return platform.processor() or platform.machine()


def _get_memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None
