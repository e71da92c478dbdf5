"""Compare a fine-tuning step of MiniLM with that of Hugging Face's Trainer, in texts per second.

    python benchmarks/fine_tuning.py --table data/tweets/train.csv --column tweet --label label

Both train for one epoch on the same texts, with the same batch size, dropout rates, precision and
norm of gradients, in alternating rounds of one process, whose processor time is counted from the
first to the last step. Trainer pads each batch to its longest text (its default), or also makes
batches of like length (`length`). The package of MiniLM (make encoder) and accelerate, which
Trainer needs, must be installed.
"""

import argparse
import dataclasses
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyarrow import csv
from training import epoch_seconds, random_texts

from seqtext.data.loaders import EncodedDataset
from seqtext.embeddings.encoder import EncoderEmbedding
from seqtext.encoders.architecture import describe_encoder, load_word_vectors
from seqtext.encoders.files import DEFAULT_ENCODER, locate_encoder
from seqtext.lightning_messages import silence_lightning
from seqtext.models.pretrained import Pretrained
from seqtext.optim import LRSchedule, OneCycle
from seqtext.tokenizers.encoder import EncoderTokenizer


def read_rows(options: argparse.Namespace) -> tuple[list[str], np.ndarray]:
    """Return the first texts and labels (0 or 1) of a CSV file."""
    parsing = csv.ParseOptions(newlines_in_values=True)
    table = csv.read_csv(options.table, parse_options=parsing).slice(0, options.texts)
    labels = np.unique(table[options.label].to_numpy(), return_inverse=True)[1]
    return [" ".join(text.split()) for text in table[options.column].to_pylist()], labels


def build_ours(
    texts: list[str], labels: np.ndarray, options: argparse.Namespace
) -> Callable[[], float]:
    """Return a function that trains with this package and returns the seconds."""
    tokenizer, files = EncoderTokenizer(), locate_encoder(DEFAULT_ENCODER)
    tokenizer.fit(None, np.arange(0))  # type: ignore[arg-type]  # the texts are not used
    ids, lengths = tokenizer.encode(pa.array(texts))
    data = random_texts(options.batch, 1, 1, 3)
    encoded = EncodedDataset(ids, np.concatenate([[0], np.cumsum(lengths)]), labels)
    data.dataset = dataclasses.replace(data.dataset, texts=encoded)
    data.training_rows = np.arange(len(texts))
    vectors = load_word_vectors(files, describe_encoder(files)["config"]).numpy()

    def train() -> float:
        embedding = EncoderEmbedding(len(tokenizer.vocabulary), 384, freeze=False)
        embedding.fill(vectors, np.ones(0, bool))
        model, times = Pretrained(embedding, frozen=False), []
        model.configure_training(
            lambda groups: torch.optim.Adam(groups, lr=3e-3, fused=True), LRSchedule(OneCycle)
        )
        model.on_train_start = lambda: times.append(time.process_time())
        model.on_train_batch_end = lambda *_: times.append(time.process_time())
        precision = "bf16-mixed" if options.bf16 else "32-true"
        epoch_seconds(model, data, {"gradient_clip_val": 1.0, "precision": precision})
        return times[-1] - times[0]

    return train


def build_peer(
    texts: list[str], labels: np.ndarray, options: argparse.Namespace, strategy: str
) -> Callable[[], float]:
    """Return a function that trains with Trainer and returns the seconds."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )
    from transformers.trainer_callback import PrinterCallback
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()

    folder = tempfile.mkdtemp()
    with zipfile.ZipFile(locate_encoder(DEFAULT_ENCODER).place) as archive:
        archive.extractall(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
    rows = [{"input_ids": i, "labels": int(n)} for i, n in zip(ids, labels, strict=True)]

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.times.append(time.process_time())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.times.append(time.process_time())

    def train() -> float:
        arguments = TrainingArguments(
            output_dir=str(Path(folder, "out")),
            per_device_train_batch_size=options.batch,
            num_train_epochs=1,
            learning_rate=3e-5,
            max_grad_norm=1.0,
            train_sampling_strategy=strategy,
            bf16=options.bf16,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
        clock = Clock()
        pad = DataCollatorWithPadding(tokenizer)
        trainer = Trainer(model, arguments, pad, train_dataset=rows, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return clock.times[-1] - clock.times[0]

    return train


def main() -> None:
    """Print the texts per second of all sides, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True)
    parser.add_argument("--column", required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--texts", type=int, default=320)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    silence_lightning()
    texts, labels = read_rows(options)
    sides = {"ours": build_ours(texts, labels, options)}
    for name, strategy in (("Trainer", "random"), ("Trainer, length", "group_by_length")):
        sides[name] = build_peer(texts, labels, options, strategy)
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(options.rounds):
        for name, train in sides.items():
            best[name] = min(best[name], train())
    for name, seconds in best.items():
        ratio = seconds / best["ours"]
        print(f"{name}: {len(texts) / seconds:.1f} texts/s; ours is {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
