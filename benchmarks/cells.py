"""Compare recurrent layers with torch's modules on a CPU, forward and backward.

    python benchmarks/cells.py --threads 2

Shapes are those of the studies' models, with every text at full length. Each round times both
implementations alternately; the output is the median and the interquartile range of the rounds'
ratios. torch's modules have no recurrent dropout and run without it.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqtext.layers.rnn import CELLS, RNNLayer


@dataclass(frozen=True)
class Shape:
    """A recurrent model and the shape of its batches."""

    cell: type[nn.RNNBase]
    units: int
    inputs: int
    batch: int
    steps: int
    layers: int = 1
    bidirectional: bool = False
    tuned: bool = False  # whether the word vectors are trained
    recurrent_dropout: float = 0.0

    def __str__(self) -> str:
        kind = f"{'Bi' if self.bidirectional else ''}{self.cell.__name__} {self.units}"
        layers = f"{self.layers} × " if self.layers > 1 else ""
        dropout = f", recurrent dropout {self.recurrent_dropout}" if self.recurrent_dropout else ""
        vectors = f"{self.inputs} inputs{' (tuned)' if self.tuned else ''}"
        return f"{layers}{kind}{dropout}, {vectors}, batch {self.batch}, {self.steps} words"

    def operations(self) -> int:
        """Return the operations of the matrix products, forward and backward."""
        directions, total, inputs = 1 + self.bidirectional, 0, self.inputs
        for layer in range(self.layers):
            passes = 3 if self.tuned or layer else 2  # of the inputs' products
            gates = len(self.cell(1, self.units).weight_hh_l0)
            total += directions * gates * (passes * inputs + 3 * self.units)
            inputs = directions * self.units
        return 2 * self.batch * self.steps * total


NAMES = {spec.module: name for name, spec in CELLS.items()}
SHAPES = [
    Shape(nn.GRU, 64, inputs=100, batch=64, steps=100),
    Shape(nn.LSTM, 64, inputs=100, batch=64, steps=100),
    Shape(nn.RNN, 64, inputs=100, batch=64, steps=100),
    Shape(nn.GRU, 100, inputs=50, batch=32, steps=250, tuned=True),
    Shape(nn.GRU, 100, inputs=50, batch=32, steps=250, tuned=True, recurrent_dropout=0.2),
    Shape(nn.LSTM, 100, inputs=50, batch=32, steps=250, tuned=True, recurrent_dropout=0.2),
    Shape(nn.RNN, 100, inputs=50, batch=32, steps=250, tuned=True),
    Shape(nn.LSTM, 256, inputs=88, batch=256, steps=37, layers=2, bidirectional=True),
    Shape(nn.LSTM, 512, inputs=88, batch=256, steps=37, layers=2, bidirectional=True),
    Shape(nn.LSTM, 32, inputs=50, batch=32, steps=40, tuned=True),
    Shape(nn.GRU, 8, inputs=100, batch=32, steps=60, tuned=True),
]


def ours(shape: Shape) -> Callable[[Tensor], Tensor]:
    """Build the layers of this package."""
    directions, inputs = 1 + shape.bidirectional, shape.inputs
    layers = []
    for _ in range(shape.layers):
        layers.append(
            RNNLayer(
                NAMES[shape.cell],
                inputs,
                shape.units,
                shape.bidirectional,
                recurrent_dropout=shape.recurrent_dropout,
                init="torch",
            )
        )
        inputs = directions * shape.units
    lengths = torch.full((shape.batch,), shape.steps)

    def states(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x, lengths)
        return x

    return states


def theirs(shape: Shape) -> Callable[[Tensor], Tensor]:
    """Build torch's module."""
    options = {"batch_first": True, "bidirectional": shape.bidirectional}
    module = shape.cell(shape.inputs, shape.units, shape.layers, **options)
    return lambda x: module(x)[0]


def milliseconds(states: Callable[[Tensor], Tensor], x: Tensor) -> float:
    started = time.perf_counter()
    states(x).sum().backward()
    return 1000 * (time.perf_counter() - started)


def row_of_table(shape: Shape, rounds: int) -> str:
    x = torch.randn(shape.batch, shape.steps, shape.inputs, requires_grad=shape.tuned)
    both = ours(shape), theirs(shape)
    for states in both:  # warm up
        milliseconds(states, x)
    times = [tuple(milliseconds(states, x) for states in both) for _ in range(rounds)]
    mine, other = zip(*times, strict=True)
    ratios = [theirs / ours for ours, theirs in times]
    low, middle, high = statistics.quantiles(ratios, n=4)
    speed = shape.operations() / min(mine) / 1e6
    cells = [f"{min(c):.1f} / {statistics.median(c):.1f}" for c in (mine, other)]
    return (
        f"| {shape} | {' | '.join(cells)} | {middle:.1f} ({low:.1f} to {high:.1f}) | {speed:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, torch {torch.__version__}, float32; ms: least / median\n")
    print(
        "| model | ours, ms | torch's, ms | torch's / ours | ours, GFLOP/s |\n|---|---|---|---|---|"
    )
    for shape in SHAPES:
        torch.manual_seed(0)
        print(row_of_table(shape, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
