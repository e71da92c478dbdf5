"""Compare training steps of the studies' models with Keras on TensorFlow on a CPU.

    make .venv-keras/installed
    python benchmarks/compare.py --threads 2

Both train the same network: parameters, batch size, length (of all texts, so there is no padding),
float32, optimizer and clipping are equal. seqtext trains complete epochs with Lightning and all
callbacks of a run, Keras with `Model.fit`, with and without XLA. Each round times all three
alternately; the output has medians, and the interquartile range of the rounds' ratios to the faster
variant of Keras. The last column is the throughput of the matrix products as a fraction of that of
one large product on this machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn
from training import epoch_seconds, random_texts

from seqtext.config.instantiate import build_from_config, build_optimizer_factory
from seqtext.lightning_messages import silence_lightning
from seqtext.models.base import TextClassifier

ROOT = Path(__file__).parent.parent
KERAS = ROOT / ".venv-keras/bin/python"
PARTS = ("embedding", "model", "optimizer", "trainer")
LARGE = 2048  # size of the square matrices whose product measures the machine's peak


@dataclass(frozen=True)
class Row:
    """A row of the table: a study's model and its texts.

    options: command-line options of train.py
    words: T, length of each text
    vocabulary: V
    steps: training steps per epoch
    """

    name: str
    options: tuple[str, ...]
    words: int
    vocabulary: int
    steps: int = 40
    classes: int = 2


def spam(name: str, *options: str) -> Row:
    return Row(f"spam: {name}", options, words=250, vocabulary=30_000)


def amazon(name: str, file: str, *options: str) -> Row:
    options = f"experiment=amazon/{file}", *options
    return Row(f"amazon: {name}", options, words=100, vocabulary=10_000, steps=60)


def tweets(name: str, *options: str) -> Row:
    return Row(f"tweets: {name}", options, words=37, vocabulary=5_000, steps=3)


def imdb(cell: str, units: int, batch: int) -> Row:
    options = f"model={cell}", f"model.units={units}", f"dataset.batch_size={batch}"
    name = f"imdb: {cell.upper()} {units}"
    return Row(name, ("experiment=imdb/grid", *options), words=100, vocabulary=5_000)


def clothing(name: str, *options: str) -> Row:
    options = "experiment=clothing/best_published", *options
    return Row(f"clothing: {name}", options, words=61, vocabulary=5_000, steps=100, classes=5)


def dropouts(before: float, after: float) -> tuple[str, ...]:
    return (
        f"model.embedding_dropout={before}",
        "model.inter_layer_dropout=0",
        f"model.head_dropout={after}",
    )


DENSE_256 = (
    *("embedding.dim=50", "model.units=64", "model.head_dropout=0"),
    *("model.head_units=256", "model.head_batch_norm=false", "model.head_units_dropout=0.5"),
)
ROWS = [
    spam("SimpleRNN 100, dropouts", "experiment=spam/cells_and_sampling", "model=rnn"),
    spam("LSTM 100, dropouts", "experiment=spam/cells_and_sampling", "model=lstm"),
    spam("GRU 100, dropouts", "experiment=spam/cells_and_sampling", "model=gru"),
    spam("dual RNN, GRU 100, dropouts", "experiment=spam/dual_rnn"),
    amazon("CNN 64, 128, 256", "cnn"),
    amazon("SimpleRNN 64, 32 (ReLU)", "rnn"),
    amazon("LSTM 64, 64", "lstm"),
    amazon("LSTM 64, dense 256", "lstm", *DENSE_256),
    amazon("BiLSTM 64, attention", "attention"),
    tweets("2 × BiLSTM 256", "experiment=tweets/lstm", "model.units=256"),
    tweets("2 × BiLSTM 512", "experiment=tweets/lstm"),
    imdb("gru", 64, 64),
    imdb("lstm", 64, 64),
    clothing("LSTM 64, 128"),
    clothing("GRU 256", "model=gru", "model.units=256", *dropouts(0.3, 0)),
    clothing("GRU 8, 16", "model=gru", "model.units=[8,16]", *dropouts(0.1, 0.2)),
    clothing("GRU 8, 32, 32, 32", "model=gru", "model.units=[8,32,32,32]", *dropouts(0.3, 0.2)),
]


class Keras:
    """The Keras process, which is idle while seqtext is measured."""

    def __init__(self, python: Path, threads: int):
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("keras_peer.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            text=True,
        )
        self.versions = self._answer()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The Keras process ended; its output is above.")
        return json.loads(line)


class Ours:
    """A network of this package, and random texts."""

    def __init__(self, row: Row, settings: dict[str, Any], batch: int):
        self.row, self.settings, self.batch = row, settings, batch
        embedding = build_from_config(
            "embedding", settings["embedding"], vocabulary_size=row.vocabulary
        )
        nn.init.normal_(embedding.weight, std=0.1)
        model = build_from_config(
            "model", settings["model"], embedding=embedding, classes=row.classes
        )
        model.configure_training(build_optimizer_factory(settings["optimizer"]))
        self.model: TextClassifier = model
        self.data = random_texts(batch, row.steps, row.words, row.vocabulary, row.classes)

    def parameters(self) -> int:
        """Return the number of trainable parameters."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def seconds(self) -> float:
        """Return the seconds of one epoch."""
        return epoch_seconds(self.model, self.data, self.settings["trainer"])

    def operations(self) -> int:
        """Return the operations of a step's matrix products, forward and backward."""
        total, texts = 0, self.batch
        frozen = not self.model.embedding.weight.requires_grad
        cells = [m for m in self.model.modules() if isinstance(m, nn.RNNBase)]
        reads_vectors = [m for m in cells if m.input_size == self.model.embedding.embedding_dim]
        for cell in cells:
            inner = 2 if frozen and cell in reads_vectors else 3  # no gradient of frozen vectors
            weights = inner * cell.weight_ih_l0.numel() + 3 * cell.weight_hh_l0.numel()
            total += 2 * texts * self.row.words * weights
        for number, block in enumerate(getattr(self.model, "blocks", [])):
            words = self.row.words // self.settings["model"]["pool_size"] ** number
            total += 6 * texts * words * block.convolution.weight.numel()
        for name, layer in self.model.named_modules():
            if isinstance(layer, nn.Linear):
                each = self.row.words if name.startswith("attention") else 1
                total += 6 * texts * each * layer.weight.numel()
        return total


def compose_settings(options: Sequence[str]) -> dict[str, Any]:
    """Compose the configuration from options of train.py."""
    with initialize_config_dir(str(ROOT / "conf")):
        config = compose("config", list(options))
    return OmegaConf.to_container(config, resolve=True)


def products_per_second(rounds: int = 9) -> float:
    """Measure operations per second in one large float32 matrix product.

    The best time of several rounds of both libraries in torch, MKL and oneDNN; oneDNN is faster on
    processors that MKL does not support fully.
    """
    left, right = torch.randn(2, LARGE, LARGE)
    ways = [lambda: left @ right]
    if torch.backends.mkldnn.is_available():
        as_layer = torch.ops.mkldnn._linear_pointwise
        ways.append(lambda: as_layer(left, right, None, "none", [], ""))
    times = []
    for way in ways * rounds:
        began = time.perf_counter()
        way()
        times.append(time.perf_counter() - began)
    return 2 * LARGE**3 / min(times)


def compare(row: Row, keras: Keras, rounds: int, fastest: float) -> str:
    """Measure a row and format it.

    Raises:
        RuntimeError: if the two networks are not the same.
    """
    config = compose_settings(row.options)
    settings = {part: config[part] for part in PARTS}
    batch = config["dataset"]["batch_size"]
    ours = Ours(row, settings, batch)
    sizes = {n: getattr(row, n) for n in ("vocabulary", "words", "classes", "steps")}
    theirs = keras.ask({"network": {"settings": settings, "batch": batch, **sizes}})
    if theirs["parameters"] != ours.parameters():
        raise RuntimeError(f"{row.name}: {theirs['parameters']} and {ours.parameters()} parameters")
    ways = [
        ours.seconds,
        *(lambda xla=xla: keras.ask({"xla": xla})["seconds"] for xla in (False, True)),
    ]
    for way in ways:  # warm up
        way()
    times = list(zip(*([way() for way in ways] for _ in range(rounds)), strict=True))
    mine, plain, xla = (row.steps / statistics.median(column) for column in times)
    faster = times[1] if plain > xla else times[2]
    ratios = [other / own for own, other in zip(times[0], faster, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    share = mine * ours.operations() / fastest
    cells = [row.name, f"{batch} × {row.words}", *(f"{rate:.1f}" for rate in (mine, plain, xla))]
    return f"| {' | '.join(cells)} | {middle:.1f} ({low:.1f} to {high:.1f}) | {share:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose names hold this")
    parser.add_argument("--keras", type=Path, default=KERAS)
    given = parser.parse_args()
    if not given.keras.exists():
        sys.exit(f"{given.keras} is missing: make .venv-keras/installed makes it")
    silence_lightning()
    torch.set_num_threads(given.threads)
    keras, fastest = Keras(given.keras, given.threads), products_per_second()
    versions = " + ".join(f"{name} {version}" for name, version in keras.versions.items())
    print(f"{given.threads} threads, torch {torch.__version__} against {versions}; float32;")
    print(f"{fastest / 1e9:.0f} GFLOP/s in a product of two {LARGE} × {LARGE} matrices\n")
    print("| model | batch × words | ours, steps/s | Keras | Keras, XLA | ratio | of products |")
    print("|---|---|---|---|---|---|---|")
    for row in ROWS:
        if given.only in row.name:
            print(compare(row, keras, given.rounds, fastest), flush=True)
    keras.stop()


if __name__ == "__main__":
    main()
