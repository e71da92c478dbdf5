"""Compare one epoch on the studies' data with Keras, from the files to the test score.

    make .venv-keras/installed
    python benchmarks/end_to_end.py ../shared/data --threads 2

Both read, clean, split, count words, encode, train one epoch, validate and test: seqtext by
train.py with an empty cache, Keras by the code of the studies' notebooks (keras_study.py),
without XLA. seqtext also writes its run folder: predictions, figures, checkpoints. Seconds are
measured without imports, and for the whole command. Rounds alternate between both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from compare import KERAS, ROOT, compose_settings

STUDIES = {  # options of train.py
    "imdb": (
        "GRU 64, vectors of its own",
        "experiment=imdb/grid model=gru model.units=64 dataset.batch_size=64 embedding=random "
        "~embedding.freeze ~embedding.oov_init",
    ),
    "amazon": ("LSTM 64, 64", "experiment=amazon/lstm"),
    "tweets": ("2 × BiLSTM 64", "experiment=tweets/lstm model.units=64"),
    "clothing": ("LSTM 64, 128", "experiment=clothing/best_published"),
    "spam": ("GRU 100, dropouts", "experiment=spam/cells_and_sampling model=gru sampling=none"),
}


class Cost(NamedTuple):
    """Seconds without imports, and of the whole command."""

    work: float
    command: float


def timed(command: list[str], stdin: str, threads: int) -> tuple[str, float]:
    """Run a command and return its output and its seconds.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    began = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    options = {"text": True, "stdout": subprocess.PIPE, "env": environment, "cwd": ROOT}
    done = subprocess.run(command, input=stdin, check=True, **options)
    return done.stdout, time.perf_counter() - began


def ours(options: list[str], folder: Path, threads: int) -> Cost:
    with tempfile.TemporaryDirectory() as scratch:
        places = (
            f"dataset.dir={folder}",
            f"paths.cache_dir={scratch}/cache",
            f"hydra.run.dir={scratch}/run",
        )
        command = [sys.executable, "train.py", *options, *places, "hydra.mode=RUN"]
        _, seconds = timed([*command, "trainer=cpu", "trainer.max_epochs=1"], "", threads)
        metrics = json.loads(Path(scratch, "run", "metrics.json").read_text())
    return Cost(metrics["seconds"]["total"], seconds)


def theirs(python: Path, options: list[str], name: str, folder: Path, threads: int) -> Cost:
    asked = {
        "settings": compose_settings(options),
        "name": name,
        "folder": str(folder),
        "xla": False,
    }
    script = Path(__file__).with_name("keras_study.py")
    output, seconds = timed([str(python), str(script)], json.dumps(asked), threads)
    answer = json.loads(output.splitlines()[-1])
    return Cost(answer["seconds"], seconds)


def line(name: str, network: str, ways: list[Callable[[], Cost]], rounds: int) -> str:
    """Format a row of the table."""
    times = [[way() for way in ways] for _ in range(rounds)]
    cells = []
    for field in ("work", "command"):
        pairs = [[getattr(cost, field) for cost in pair] for pair in times]
        middle = [statistics.median(column) for column in zip(*pairs, strict=True)]
        ratios = [keras / own for own, keras in pairs]
        cells += [f"{seconds:.1f}" for seconds in middle]
        cells.append(f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
    return f"| {name}: {network} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="holds imdb/, amazon/, tweets/, clothing/, spam/")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="data sets whose names hold this")
    parser.add_argument("--keras", type=Path, default=KERAS)
    given = parser.parse_args()
    print("| one epoch | ours, s | Keras, s | ratio | command, ours, s | Keras, s | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, (network, options) in STUDIES.items():
        folder, chosen = given.folder.absolute() / name, options.split()
        if given.only in name and folder.is_dir():
            ways = [
                lambda f=folder, c=chosen: ours(c, f, given.threads),
                lambda n=name, f=folder, c=chosen: theirs(given.keras, c, n, f, given.threads),
            ]
            print(line(name, network, ways, given.rounds), flush=True)


if __name__ == "__main__":
    main()
