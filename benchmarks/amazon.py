"""Measure time and memory to prepare Amazon reviews at full size, and to load them from the cache.

    python benchmarks/amazon.py ../shared/data/amazon --rows 36000 360000 3600000

The reviews are SYNTHETIC: halves of two real ones with the same label, and a few invented words, so
that the vocabulary grows with the number of rows as in real text. The test file has a ninth of the
rows of the training file. Each measurement runs in its own process.
"""

import argparse
import bz2
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz"
INVENTED = 0.5  # words in a review


def genuine_halves(file: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the halves of the reviews of each label."""
    halves: dict[str, list[tuple[str, str]]] = {"__label__1": [], "__label__2": []}
    with (bz2.open if file.suffix == ".bz2" else open)(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            label, text = line.rstrip("\n").split(" ", 1)
            words = text.split(" ")
            middle = len(words) // 2
            halves[label].append((" ".join(words[:middle]), " ".join(words[middle:])))
    return halves


def write_synthetic(halves: dict[str, list[tuple[str, str]]], rows: int, file: Path) -> None:
    rng = random.Random(rows)
    with file.open("w", encoding="utf-8") as out:
        for number in range(rows):
            label = f"__label__{1 + number % 2}"
            start, end = rng.choice(halves[label])[0], rng.choice(halves[label])[1]
            invented = "".join(rng.choices(LETTERS, k=5)) if rng.random() < INVENTED else ""
            out.write(f"{label} Synthetic: {start} {invented} {end}\n")


def prepare(folder: str, cache: str) -> dict:
    """Prepare the data from files or the cache, up to the first step, in a child process."""
    import torch

    from seqtext.datasets.amazon import Amazon
    from seqtext.embeddings.random import RandomEmbedding
    from seqtext.models.rnn import GRU

    imported = time.time()
    data = Amazon(dir=folder, cache=cache)
    data.setup()
    prepared = time.time()
    model = GRU(RandomEmbedding(len(data.vocabulary), dim=50), units=64)
    batch = next(iter(data.train_dataloader()))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        model(batch.ids, batch.lengths), batch.labels.float()
    )
    loss.backward()
    return {
        "rows": len(data.labels),
        "bytes_per_id": data.dataset.texts.ids.itemsize,
        "setup": prepared - imported,
        "to_first_step": time.time() - float(os.environ["STARTED"]),
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def measured(folder: Path, cache: Path) -> dict:
    command = [sys.executable, __file__, "--child", str(folder), str(cache)]
    environment = {**os.environ, "STARTED": str(time.time())}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def row_of_table(source: Path, folder: Path, rows: int) -> str:
    halves = genuine_halves(source / "train.ft.txt.bz2")
    folder.mkdir(parents=True)
    write_synthetic(halves, rows, folder / "train.ft.txt")
    write_synthetic(halves, rows // 9, folder / "test.ft.txt")
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    time.sleep(61)  # the cache trusts the time of a file that is a minute old
    cold = measured(folder, folder / "cache")
    measured(folder, folder / "cache")  # remembers the digest of the files
    warm = measured(folder, folder / "cache")
    return (
        f"| {cold['rows']:,} | {size:,.0f} | {cold['setup']:.1f} | {cold['gib']:.2f} | "
        f"{warm['to_first_step']:.1f} | {warm['gib']:.2f} | {cold['bytes_per_id']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("source", type=Path, help="folder with the original train.ft.txt.bz2")
    parser.add_argument("--rows", type=int, nargs="+", default=[36_000], help="training lines")
    parser.add_argument(
        "--folder", type=Path, default=Path("synthetic-amazon"), help="working space"
    )
    arguments = parser.parse_args()
    print(
        "| rows | MB | s to prepare | GiB peak | s to first step, warm | GiB peak | bytes per id |"
    )
    print("|---|---|---|---|---|---|---|")
    for rows in arguments.rows:
        folder = arguments.folder / str(rows)
        try:
            print(row_of_table(arguments.source, folder, rows), flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(prepare(*sys.argv[2:])))
    else:
        main()
