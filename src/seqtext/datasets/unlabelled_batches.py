"""Encode unlabelled texts, and draw a batch of them for each training step."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqtext.data.arrow_io import open_array
from seqtext.data.loaders import (
    Batch,
    BucketBatchSampler,
    DeviceDataset,
    EncodedDataset,
    to_device_if_it_fits,
)
from seqtext.data.text_selection import select_texts
from seqtext.datasets.unlabelled import UnlabelledTexts
from seqtext.distributed import ProcessInfo
from seqtext.tokenizers.vocabulary import OpenVocabulary, Vocabulary


class UnlabelledBatches:
    """Unlabelled texts in batches of similar length; the batch of a step depends on its number.

    So a resumed run continues with the same batches. All texts are read before any is repeated.

    Args:
        texts: encoded unlabelled texts
        batch_size: texts in a batch of all processes together
        seed: seed of the order
    """

    def __init__(self, texts: EncodedDataset, batch_size: int, seed: int):
        self._texts: EncodedDataset | DeviceDataset = texts
        rows = np.arange(len(texts.lengths))
        self._sampler = BucketBatchSampler(rows, texts.lengths, batch_size, seed)
        self._batches: tuple[int, list[np.ndarray]] = (-1, [])  # of an epoch of these texts

    def draw(self, step: int, device: torch.device, process: ProcessInfo) -> Batch:
        """Return this process's share of the batch of a training step, counted from 0."""
        if isinstance(self._texts, EncodedDataset):
            self._texts = to_device_if_it_fits(self._texts, device)
        epoch, number = divmod(step, len(self._sampler))
        if self._batches[0] != epoch:
            self._sampler.set_epoch(epoch)
            self._batches = epoch, self._sampler.batches()
        positions = self._batches[1][number]
        own = positions[process.rank :: process.world_size]
        (batch,) = self._texts.batches([own if len(own) else positions[:1]])
        ids, lengths, labels, rows = (t.to(device, non_blocking=True) for t in batch[:4])
        return Batch(ids, lengths, labels, rows)


def build_unlabelled_batches(data: Any) -> UnlabelledBatches | None:
    """Encode the unlabelled texts of a `TextDataModule` after `setup`; None if there are none."""
    texts = load_unlabelled_ids(data)
    return None if texts is None else UnlabelledBatches(texts, data.batch_size, data.seed)


def load_unlabelled_ids(data: Any) -> EncodedDataset | None:
    """Encode the unlabelled texts of a `TextDataModule`, or load them; None if there are none."""
    unlabelled: UnlabelledTexts | None = data.load_unlabelled()
    if unlabelled is None:
        return None
    encoder = copy.copy(data.tokenizer)
    known = encoder.vocabulary
    if isinstance(known, OpenVocabulary):  # which would give unknown tokens ids of their own
        encoder.vocabulary = Vocabulary(known.tokens, known.counts, known.total_tokens)
    dtype = encoder.vocabulary.dtype

    def write(folder: Path) -> None:
        lengths = [np.zeros(1, np.int64)]
        with (folder / "ids.bin").open("wb") as stream:
            for ids, sizes in encoder.encode_corpus(unlabelled.corpus):
                stream.write(ids.data)
                lengths.append(sizes)
        np.cumsum(np.concatenate(lengths)).tofile(folder / "offsets.bin")

    def load(folder: Path) -> EncodedDataset:
        offsets = open_array(folder / "offsets.bin", np.int64)
        labels = np.zeros(len(offsets) - 1, np.int64)
        return EncodedDataset(open_array(folder / "ids.bin", dtype), offsets, labels)

    key = {"texts": unlabelled.digest, "dataset": data.dataset.key}
    return select_texts(data.cache.load("unlabelled_ids", key, write, load), unlabelled.rows)
