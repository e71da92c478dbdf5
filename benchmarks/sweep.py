"""Measure the overhead of sweep jobs: one epoch each on generated reviews, in one process.

    python benchmarks/sweep.py [number of jobs, default 8]

The first job fills the cache and imports modules; the median is over the other jobs. Overhead is
the time from a job's end to the next one's, without training. Memory is the RSS of the process
after each job of two sweeps.
"""

import cProfile
import json
import pstats
import runpy
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import psutil  # of ipykernel, for tests

ROOT = Path(__file__).absolute().parent.parent
sys.path.insert(0, str(ROOT))

from seqtext import hydra_job  # noqa: E402
from tests.conftest import SMALL, csv_of, invented_reviews  # noqa: E402

SHOWN = 25  # functions of the profile


def main(jobs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory = _sweep(Path(folder), jobs)
        ends, training = _times(Path(folder) / "outputs" / "measured")
    gaps = [later - earlier for earlier, later in pairwise(ends)]
    overheads = [gap - train for gap, train in zip(gaps, training[1:], strict=True)]
    print(f"training a job: {statistics.median(training[1:]):.2f} s")
    print(f"overhead of a job: median {statistics.median(overheads):.2f} s, ", end="")
    print(f"from {min(overheads):.2f} to {max(overheads):.2f} s")
    print("memory after each job, MiB: " + " ".join(f"{each:.0f}" for each in memory))


def _sweep(folder: Path, jobs: int) -> list[float]:
    """Run a sweep, and a second one with other seeds under a profiler; print memory."""
    (folder / "imdb").mkdir()
    (folder / "imdb" / "IMDB Dataset.csv").write_text(csv_of(invented_reviews(2000)))
    places = [
        f"dataset.dir={folder}/imdb",
        f"paths.cache_dir={folder}/cache",
        "trainer.max_epochs=1",
    ]
    command = ["train.py", "-m", *SMALL, *places, f"hydra.sweep.dir={folder}/outputs/measured"]
    memory = _watched()
    _train([*command, f"seed=range({jobs})"])
    command[-1] += "-profile"
    with cProfile.Profile() as profile:
        _train([*command, f"seed=range({jobs},{2 * jobs})"])
    pstats.Stats(profile).sort_stats("cumulative").print_stats(r"seqtext|hydra|tensorboard", SHOWN)
    return memory


def _train(command: list[str]) -> None:
    sys.argv = command
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")


def _times(sweep: Path) -> tuple[list[float], list[float]]:
    """Return when each job ended, and its training seconds."""
    files = sorted(sweep.rglob("metrics.json"), key=lambda file: file.stat().st_mtime)
    seconds = [json.loads(file.read_text())["seconds"]["training"] for file in files]
    return [file.stat().st_mtime for file in files], seconds


def _watched() -> list[float]:
    """Record the RSS of the process in MiB after each further run."""
    memory, train = [], hydra_job.run_hydra_job

    def watched(*given, **options) -> float:
        score = train(*given, **options)
        memory.append(psutil.Process().memory_info().rss / 2**20)
        return score

    hydra_job.run_hydra_job = watched
    return memory


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
