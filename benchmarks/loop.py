"""Measure the overhead of Lightning's loop with all callbacks of a run over a bare PyTorch loop.

    python benchmarks/loop.py

Trains a small LSTM on short texts, and one of the size of the studies', in batches of 32. Batches,
optimizer, schedule and clipping are equal; rounds alternate, and medians are compared.
"""

import statistics
import time

import torch
from training import epoch_seconds, random_texts

from seqtext.datasets.base import TextDataModule
from seqtext.embeddings.random import RandomEmbedding
from seqtext.lightning_messages import silence_lightning
from seqtext.losses import cross_entropy
from seqtext.models.rnn import LSTM
from seqtext.optim import LRSchedule, OneCycle

BATCH, STEPS, ROUNDS, WORDS = 32, 200, 21, 5_000
SIZES = (32, 50, 40), (64, 100, 100)  # units, numbers per word, words per text


def model(units: int, dim: int) -> LSTM:
    torch.manual_seed(0)
    return LSTM(RandomEmbedding(WORDS, dim=dim), units=units)


def optimizer(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, fused=True)


def bare(network: LSTM, data: TextDataModule) -> float:
    """Return the milliseconds per step."""
    network.train()
    step = optimizer([p for p in network.parameters() if p.requires_grad])
    schedule = OneCycle(step, STEPS, max_lr=step.defaults["lr"])
    started = time.perf_counter()
    for batch in data.train_dataloader():
        step.zero_grad()
        cross_entropy(network(batch.ids, batch.lengths), batch.labels).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        step.step()
        schedule.step()
    return 1000 * (time.perf_counter() - started) / STEPS


def in_lightning(network: LSTM, data: TextDataModule) -> float:
    """Return the milliseconds per step."""
    network.configure_training(optimizer, LRSchedule(OneCycle))
    return 1000 * epoch_seconds(network, data, {"gradient_clip_val": 1.0}) / STEPS


def compare(units: int, dim: int, length: int) -> None:
    data = random_texts(BATCH, STEPS, length, WORDS)
    rounds = [
        (bare(model(units, dim), data), in_lightning(model(units, dim), data))
        for _ in range(1 + ROUNDS)
    ][1:]  # the first warms up
    ratios = sorted(lightning / alone for alone, lightning in rounds)
    alone, lightning = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"LSTM {units}, batch {BATCH}, {length} words, {torch.get_num_threads()} threads")
    print(f"bare loop       {alone:6.2f} ms/step")
    print(f"Lightning loop  {lightning:6.2f} ms/step")
    print(
        f"ratio           {statistics.median(ratios):6.2f}   ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def main() -> None:
    silence_lightning()
    for sizes in SIZES:
        compare(*sizes)


if __name__ == "__main__":
    main()
