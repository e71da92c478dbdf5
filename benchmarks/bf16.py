"""Compare training steps in bfloat16 with float32 and with Keras in both, on a CPU.

    make .venv-keras/installed
    python benchmarks/bf16.py --threads 2

Rows, texts and networks are those of compare.py. Each round times all alternately: seqtext with
`trainer.precision=32-true` and `bf16-mixed`, Keras with the policies float32 and mixed_bfloat16,
each with and without XLA. The output has steps per second, and ratios to seqtext in float32 and to
the fastest variant of Keras, of the least times, since other processes may disturb the others; in
brackets is the interquartile range of the rounds' ratios. Without Keras, only seqtext is timed.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from compare import KERAS, PARTS, ROWS, Keras, Ours, Row, compose_settings

from seqtext.layers.ops.extension import has_bf16_products
from seqtext.lightning_messages import silence_lightning

PRECISIONS = ("32-true", "bf16-mixed")
POLICIES = ("float32", "mixed_bfloat16")


def compare_precisions(
    row: Row, keras: Keras | None, rounds: int, xla: Sequence[bool] = (False, True)
) -> str:
    """Measure a row and format it."""
    config = compose_settings(row.options)
    settings, batch = {part: config[part] for part in PARTS}, config["dataset"]["batch_size"]
    ways = {}
    for precision in PRECISIONS:
        trainer = {**settings["trainer"], "precision": precision}
        ways[precision] = Ours(row, {**settings, "trainer": trainer}, batch).seconds
    if keras:
        sizes = {n: getattr(row, n) for n in ("vocabulary", "words", "classes", "steps")}
        network = {"settings": settings, "batch": batch, "policies": POLICIES, **sizes}
        keras.ask({"network": network})
        for policy in POLICIES:
            for each in xla:
                question = {"policy": policy, "xla": each}
                ways[policy, each] = lambda asked=question: keras.ask(asked)["seconds"]
    for way in ways.values():  # warm up
        way()
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(way())
    cells = [row.name, f"{batch} × {row.words}"]
    cells += [f"{row.steps / min(seconds):.2f}" for seconds in times.values()]
    cells.append(format_ratio(times["32-true"], times["bf16-mixed"]))
    if keras:
        peers = [seconds for name, seconds in times.items() if isinstance(name, tuple)]
        cells.append(format_ratio(min(peers, key=min), times["bf16-mixed"]))
    return f"| {' | '.join(cells)} |"


def format_ratio(others: Sequence[float], own: Sequence[float]) -> str:
    """Format how many times as long the others take, at least, and the rounds' quartiles."""
    ratios = [other / one for other, one in zip(others, own, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{min(others) / min(own):.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose names hold this")
    parser.add_argument("--keras", type=Path, default=KERAS)
    parser.add_argument("--no-xla", action="store_true", help="do not time Keras with XLA")
    given = parser.parse_args()
    xla = (False,) if given.no_xla else (False, True)
    silence_lightning()
    torch.set_num_threads(given.threads)
    keras = Keras(given.keras, given.threads) if given.keras.exists() else None
    kind = "with" if has_bf16_products() else "without"
    print(f"{given.threads} threads, torch {torch.__version__}, {kind} instructions for bfloat16\n")
    columns = ["model", "batch × words", "float32, steps/s", "bf16"]
    if keras:
        columns += [
            f"Keras {policy}{each}" for policy in POLICIES for each in ("", ", XLA")[: len(xla)]
        ]
    columns += ["bf16 / float32", *(["bf16 / fastest Keras"] if keras else [])]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in ROWS:
        if given.only in row.name:
            print(compare_precisions(row, keras, given.rounds, xla), flush=True)
    if keras:
        keras.stop()


if __name__ == "__main__":
    main()
