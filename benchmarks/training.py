"""Train any model on random texts, with all callbacks of a run."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.callbacks import EarlyStopping

from seqtext.callbacks.checkpoint import BestAndLastCheckpoint
from seqtext.callbacks.progress_bar import ProgressBar
from seqtext.config.trainer import build_trainer
from seqtext.data.duplicates import DuplicateStats
from seqtext.data.loaders import EncodedDataset
from seqtext.data.preprocessing import PreparedDataset
from seqtext.datasets.base import TextDataModule
from seqtext.loggers.tensorboard import EpochTensorBoardLogger
from seqtext.metrics.definitions import get_metric_mode
from seqtext.models.base import TextClassifier


def random_texts(
    batch: int, steps: int, words: int, vocabulary: int, classes: int = 2
) -> TextDataModule:
    """Build a data set of `steps` batches whose texts have `words` words each."""
    rows = batch * steps
    rng = np.random.default_rng(0)
    ids = rng.integers(2, vocabulary, size=rows * words).astype(np.uint16)
    offsets = np.arange(rows + 1) * words
    texts = EncodedDataset(ids, offsets, rng.integers(classes, size=rows))
    parts = {"train": np.arange(rows), "val": np.arange(batch), "test": np.arange(batch)}
    data = TextDataModule(batch_size=batch)
    data.dataset = PreparedDataset(
        key="",
        rows=None,
        texts=texts,
        tokenizer=None,
        corpus=None,
        parts=parts,
        duplicate_stats=DuplicateStats(0, 0, 0),
    )
    data.training_rows = parts["train"]
    return data


def epoch_seconds(
    model: TextClassifier, data: TextDataModule, trainer: dict[str, Any], monitor: str = "val/loss"
) -> float:
    """Return the seconds of one epoch's training batches, without validation."""
    with tempfile.TemporaryDirectory() as folder:
        progress = ProgressBar(monitor)
        checkpoints = BestAndLastCheckpoint(
            Path(folder, "best"), Path(folder, "last"), monitor, 10, {}
        )
        callbacks = [progress, EarlyStopping(monitor, mode=get_metric_mode(monitor)), checkpoints]
        options = {"gradient_clip_val": None, **trainer, "accelerator": "cpu", "max_epochs": 1}
        build_trainer(options, EpochTensorBoardLogger(folder), callbacks).fit(model, data)
    return progress.epoch_seconds
