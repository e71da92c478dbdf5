"""Batches of the training and unlabelled texts for a language model, and of the validation part."""

import lightning as L
import numpy as np
import torch

from seqtext.data.loaders import (
    Batch,
    BucketBatchSampler,
    BucketDataLoader,
    LengthSortedBatchSampler,
)
from seqtext.data.text_selection import concatenate_texts, select_texts
from seqtext.datasets.base import TextDataModule
from seqtext.datasets.unlabelled_batches import load_unlabelled_ids

VALIDATION_TEXTS = 64  # in a batch: each token has scores of thousands of tokens


class LanguageModelData(L.LightningDataModule):
    """Holds the texts of the training part and, if there are any, the unlabelled ones.

    Args:
        data: prepared data set
    """

    def __init__(self, data: TextDataModule):
        super().__init__()
        self.data, self.source = data, data.source
        texts = select_texts(data.dataset.texts, np.asarray(data.dataset.parts["train"]))
        unlabelled = load_unlabelled_ids(data)
        self.unlabelled_texts = 0 if unlabelled is None else len(unlabelled.lengths)
        self.texts = texts if unlabelled is None else concatenate_texts(texts, unlabelled)

    def count_ids(self) -> torch.Tensor:
        """Count the occurrences of each id of the vocabulary, and of the texts' ends, [V]."""
        size = len(self.data.vocabulary)
        ids = np.asarray(self.texts.ids, np.int64)
        counts = torch.from_numpy(np.bincount(ids[ids < size], minlength=size))
        counts[0] = len(self.texts.lengths)
        return counts

    def train_dataloader(self) -> BucketDataLoader:
        """Build batches of similar length, in random order per epoch."""
        rows = np.arange(len(self.texts.lengths))
        size, seed = self.data.batch_size, self.data.seed
        return BucketDataLoader(
            self.texts, BucketBatchSampler(rows, self.texts.lengths, size, seed)
        )

    def val_dataloader(self) -> BucketDataLoader:
        """Build batches of the validation part, short texts first."""
        texts, rows = self.data.dataset.texts, self.data.dataset.parts["val"]
        size = max(self.data.batch_size, VALIDATION_TEXTS)
        return BucketDataLoader(texts, LengthSortedBatchSampler(rows, texts.lengths, size))

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Copy a batch to a device."""
        return self.data.transfer_batch_to_device(batch, device, dataloader_idx)
