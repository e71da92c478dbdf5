"""Compare model=fasttext with the package fasttext: accuracy and time of training.

    python benchmarks/fasttext_package.py ../shared/data [--sets tweets clothing] [--max-n 6]

Both read the same training and test rows, tokens, dimension, epochs and orders of n-grams, with one
thread. The package's learning rate, and ours, are the best of a few on the validation rows. Two of
the sets are short texts: titles of reviews.
"""

import argparse
import bz2
import importlib
import logging
import math
import re
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from seqtext import train
from seqtext.config.run_config import build_datamodule, validate_config
from seqtext.datasets.base import TextDataModule
from seqtext.training.fit_non_neural import read_texts

DIM, EPOCHS, WORD_NGRAMS, MIN_N = 100, 5, 2, 3
RATES = (0.1, 0.25, 0.5, 1.0)  # of the package, whose default is 0.1
OUR_RATES = (0.003, 0.01)
SETS: dict[str, dict[str, Any]] = {
    "spam": {"dataset": "spam"},
    "amazon": {"dataset": "amazon"},
    "tweets": {"dataset": "tweets", "dataset.duplicates": "drop", "split.test_size": 0.1},
    "clothing": {"dataset": "clothing", "dataset.cleaning": ["lower", "keras_filter"]},
    "imdb": {"dataset": "imdb", "dataset.cleaning": ["strip_html", "lower", "keras_filter"]},
    "amazon titles": {"dataset": "table"},
    "clothing titles": {"dataset": "table"},
}


class Result(NamedTuple):
    """Hold accuracies, and the seconds of training."""

    val: float
    test: float
    seconds: float
    rate: float


def write_titles(name: str, folder: Path, file: Path) -> None:
    """Write the titles of genuine reviews and their labels as a CSV file."""
    if name == "clothing titles":
        (archive,) = (folder / "clothing").glob("*.zip")
        with zipfile.ZipFile(archive) as files, files.open(files.namelist()[0]) as stream:
            table = pd.read_csv(stream)[["Title", "Rating"]].dropna()
        table.columns = ["text", "label"]
    else:
        rows = []
        for source in sorted((folder / "amazon").glob("*.ft.txt.bz2")):
            with bz2.open(source, "rt", encoding="utf-8") as lines:
                for line in lines:
                    label, text = line.split(" ", 1)
                    title, colon, _ = text.partition(":")
                    if colon:
                        rows.append((title, label[-1]))
        table = pd.DataFrame(rows, columns=["text", "label"])
    table.to_csv(file, index=False)


def run_ours(options: dict[str, Any], rate: float) -> tuple[Result, dict[str, Any]]:
    metrics = train(**options, **{"optimizer.lr": rate})
    val, test = (metrics[part]["accuracy"] for part in ("val", "test"))
    return Result(val, test, metrics["seconds"]["training"], rate), metrics["settings"]


def list_lines(data: TextDataModule, part: Any) -> tuple[list[str], np.ndarray]:
    """Return the tokens of each text, joined by spaces, and its class number."""
    texts = read_texts(data, part)
    words = np.array(texts.dictionary.to_pylist(), object)[texts.codes]
    ends = np.cumsum(texts.lengths)[:-1]
    labels = data.labels[data.dataset.parts[part]]
    return [" ".join(each) for each in np.split(words, ends)], labels


def run_theirs(data: TextDataModule, max_n: int, file: Path) -> Result:
    fasttext = importlib.import_module("fasttext")
    lines, labels = list_lines(data, "train")
    rows = (f"__label__{y} {line}\n" for line, y in zip(lines, labels, strict=True))
    file.write_text("".join(rows), encoding="utf-8")
    best, chosen = Result(-1.0, math.nan, math.nan, math.nan), None
    for rate in RATES:
        start = time.perf_counter()
        try:
            model = fasttext.train_supervised(
                str(file), lr=rate, dim=DIM, epoch=EPOCHS, wordNgrams=WORD_NGRAMS,
                minn=MIN_N if max_n else 0, maxn=max_n, thread=1, verbose=0,
            )  # fmt: skip
        except RuntimeError as error:  # "Encountered NaN."
            print(f"  the package with the rate {rate}: {error}", flush=True)
            continue
        seconds = time.perf_counter() - start
        val = score(model, data, "val")
        if val > best.val:
            best, chosen = Result(val, math.nan, seconds, rate), model
    return best._replace(test=score(chosen, data, "test"))


def score(model: Any, data: TextDataModule, part: str) -> float:
    """Return the accuracy; the package's own `predict` does not work with NumPy 2."""
    lines, labels = list_lines(data, part)
    found = [model.f.predict(f"{line}\n", 1, 0.0, "strict") for line in lines]
    predicted = [int(re.sub(r"\D", "", labels[0][1])) if labels else -1 for labels in found]
    return float(np.mean(np.array(predicted) == labels))


def compare(name: str, folder: Path, max_n: int, work: Path) -> None:
    options = {
        **SETS[name],
        "model": "fasttext", "model.word_ngrams": WORD_NGRAMS, "model.min_n": MIN_N,
        "model.max_n": max_n, "embedding.dim": DIM, "tokenizer.vocab_size": None,
        "tokenizer.fit_rows": None, "tokenizer.max_length": None, "dataset.batch_size": 64,
        "trainer": "cpu", "trainer.max_epochs": EPOCHS, "patience": None, "monitor": "val/accuracy",
        "logger": None, "paths.data_dir": str(folder), "paths.output_dir": str(work / "runs"),
        "paths.cache_dir": str(work / "cache"),
    }  # fmt: skip
    if SETS[name]["dataset"] == "table":
        write_titles(name, folder, work / f"{name}.csv")
        options["dataset.path"] = str(work / f"{name}.csv")
    runs = [run_ours(options, rate) for rate in OUR_RATES]
    ours, settings = max(runs, key=lambda run: run[0].val)
    theirs = run_theirs(
        build_datamodule(settings, *validate_config(settings)), max_n, work / "rows"
    )
    print(
        f"| {name} | {max_n} | {ours.val:.4f} | {theirs.val:.4f} | {ours.test:.4f} "
        f"| {theirs.test:.4f} | {ours.test - theirs.test:+.4f} | {ours.seconds:.1f} "
        f"| {theirs.seconds:.1f} | {ours.seconds / theirs.seconds:.1f} | {ours.rate} "
        f"| {theirs.rate} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the folders of data sets")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--max-n", nargs="+", type=int, default=[0, 6])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    print(
        "| set | max_n | val, ours | val, fasttext | test, ours | test, fasttext | difference "
        "| s, ours | s, fasttext | ratio | rate, ours | rate, fasttext |"
    )
    print("|" + "---|" * 12)
    with tempfile.TemporaryDirectory() as work:
        for name in arguments.sets:
            for max_n in arguments.max_n:
                compare(name, arguments.folder.absolute(), max_n, Path(work))


if __name__ == "__main__":
    sys.exit(main())
