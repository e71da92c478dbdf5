"""What Lightning's loop, with everything a run hangs on it, costs over a bare PyTorch loop.

    python benchmarks/loop.py

LSTM of 32 units, batches of 32 texts of 40 words, one batch after the other in both loops.
The same batches, optimizer, schedule and clipping; rounds are interleaved, medians compared.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch.optim.lr_scheduler import LambdaLR

from seqtext.build import trainer_of
from seqtext.data.batches import EncodedTexts
from seqtext.data.datamodule import TextDataModule
from seqtext.data.prepare import Prepared, Repeats
from seqtext.data.vocabulary import Vocabulary
from seqtext.launch import quieten_lightning
from seqtext.models.embedding import LearnedEmbedding
from seqtext.models.recurrent import LSTM
from seqtext.models.training import one_cycle
from seqtext.results.checkpoint import Checkpoints
from seqtext.results.metrics import loss_of
from seqtext.results.progress import EpochProgress
from seqtext.results.tensorboard import EpochLogger

BATCH, LENGTH, UNITS, STEPS, ROUNDS, WORDS = 32, 40, 32, 300, 21, 5_000


def random_texts() -> TextDataModule:
    """Texts of equal length; what they say does not matter here."""
    rows = BATCH * STEPS
    rng = np.random.default_rng(0)
    ids = rng.integers(2, WORDS, size=rows * LENGTH).astype(np.uint16)
    offsets = np.arange(rows + 1) * LENGTH
    texts = EncodedTexts(ids, offsets, rng.integers(2, size=rows))
    parts = {"train": np.arange(rows), "val": np.arange(256), "test": np.arange(256)}
    data = TextDataModule(batch_size=BATCH)
    data.data = Prepared(
        key="",
        rows=None,
        texts=texts,
        vocabulary=Vocabulary([]),
        tokens=None,
        parts=parts,
        repeats=Repeats(0, 0, 0),
        length=None,
    )
    data.training_rows = parts["train"]
    return data


def model() -> LSTM:
    torch.manual_seed(0)
    return LSTM(LearnedEmbedding(WORDS, dim=50), units=UNITS)


def optimizer(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, fused=True)


def bare(data: TextDataModule) -> float:
    """Milliseconds per step."""
    network = model().train()
    step = optimizer([p for p in network.parameters() if p.requires_grad])
    schedule = LambdaLR(step, lambda done: one_cycle(done / STEPS))
    started = time.perf_counter()
    for batch in data.train_dataloader():
        step.zero_grad()
        loss_of(network(batch.ids, batch.lengths), batch.labels).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        step.step()
        schedule.step()
    return 1000 * (time.perf_counter() - started) / STEPS


def in_lightning(data: TextDataModule) -> float:
    """Milliseconds per step."""
    network = model()
    network.train_with(optimizer, "one_cycle")
    with tempfile.TemporaryDirectory() as folder:
        progress = EpochProgress("val/auroc")
        trainer = trainer_of(
            {"accelerator": "cpu", "max_epochs": 1, "gradient_clip_val": 1.0},
            logger=EpochLogger(folder),
            callbacks=[
                progress,
                EarlyStopping("val/auroc", mode="max"),
                Checkpoints(Path(folder, "best"), Path(folder, "last"), "val/auroc", 10, {}),
            ],
        )
        trainer.fit(network, data)
    return 1000 * progress.epoch_seconds / STEPS


def main() -> None:
    quieten_lightning()
    data = random_texts()
    bare(data), in_lightning(data)  # warm up
    rounds = [(bare(data), in_lightning(data)) for _ in range(ROUNDS)]
    ratios = sorted(lightning / alone for alone, lightning in rounds)
    alone, lightning = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"LSTM {UNITS}, batch {BATCH}, {LENGTH} words, {torch.get_num_threads()} threads")
    print(f"bare loop       {alone:6.2f} ms/step")
    print(f"Lightning loop  {lightning:6.2f} ms/step")
    print(
        f"ratio           {statistics.median(ratios):6.2f}   ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


if __name__ == "__main__":
    main()
