"""Measure the seconds from the command to the first training step, with a warm cache.

    python benchmarks/start.py [options of train.py]

For comparison, a process that only imports torch and lightning is measured. Rounds alternate; a
first one, which fills the caches, is not counted.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 5
FIRST_STEP = """
import os
from seqtext.fast_imports import fast_imports
with fast_imports():  # as train.py does
    import seqtext.hydra_job
    from seqtext.callbacks.progress_bar import ProgressBar
ProgressBar.on_train_batch_end = lambda *given: os._exit(0)
import runpy
runpy.run_path("train.py", run_name="__main__")
"""


def seconds(code: str, *arguments: str) -> float:
    """Measure the seconds of a Python process.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    began = time.perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = f"paths.cache_dir={folder}/cache", *sys.argv[1:]
        rounds = [
            (
                seconds(FIRST_STEP, *options, f"hydra.run.dir={folder}/run_{number}"),
                seconds("import torch, lightning"),
            )
            for number in range(1 + ROUNDS)
        ][1:]
    for name, times in zip(("first step", "imports"), zip(*rounds, strict=True), strict=True):
        print(
            f"{name:11} {statistics.median(times):5.2f} s  ({min(times):.2f} to {max(times):.2f})"
        )


if __name__ == "__main__":
    main()
