"""Build the batches of a prepared data set."""

from typing import Any

import numpy as np
import torch

from seqtext.data.loaders import (
    EVALUATION_TEXTS,
    Batch,
    BucketBatchSampler,
    BucketDataLoader,
    ClassBalancedBatchSampler,
    DeviceDataset,
    EncodedDataset,
    LengthSortedBatchSampler,
    Sampler,
    to_device_if_it_fits,
)
from seqtext.data.preprocessing import PreparedDataset
from seqtext.data.split import Part
from seqtext.distributed import ProcessInfo


class BatchLoadersMixin:
    """Builds the data loaders of `TextDataModule`.

    Attributes:
        trainer: Lightning's Trainer; None: the module is used without one
        process: rank and number of the processes that share the rows
    """

    dataset: PreparedDataset
    training_rows: np.ndarray
    labels: Any
    sampling: Any
    trainer: Any
    process: ProcessInfo
    batch_size: int
    seed: int
    _on_device: EncodedDataset | DeviceDataset | None

    def train_dataloader(self) -> BucketDataLoader:
        """Build batches of similar length, in random order per epoch, or fixed to overfit."""
        texts, rows = self.dataset.texts, self.training_rows
        sampler: BucketBatchSampler
        if self.sampling == "balanced_batches":
            sampler = ClassBalancedBatchSampler(
                rows, self.labels[rows], texts.lengths, self.batch_size, self.seed
            )
        else:
            sampler = BucketBatchSampler(rows, texts.lengths, self.batch_size, self.seed)
        sampler.has_fixed_order = getattr(self.trainer, "overfit_batches", 0) > 0
        return self._build_loader(sampler, self.process)

    def val_dataloader(self) -> BucketDataLoader:
        """Build batches of the validation part, short texts first."""
        return self._build_evaluation_loader("val")

    def test_dataloader(self) -> BucketDataLoader:
        """Build batches of the test part, short texts first."""
        return self._build_evaluation_loader("test")

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Copy a batch to a device, faster than Lightning's generic search in nested containers."""
        ids, lengths, labels, rows = (t.to(device, non_blocking=True) for t in batch[:4])
        return Batch(ids, lengths, labels, rows, batch.weight)

    def _build_evaluation_loader(self, part: Part) -> BucketDataLoader:
        texts, rows = self.dataset.texts, self.dataset.parts[part]
        size = max(self.batch_size, EVALUATION_TEXTS)
        sampler = LengthSortedBatchSampler(rows, texts.lengths, size, self.process)
        return self._build_loader(sampler, ProcessInfo())  # the sampler shares out the rows

    def _build_loader(self, sampler: Sampler, process: ProcessInfo) -> BucketDataLoader:
        if self._on_device is None and self.trainer is not None:
            device = self.trainer.strategy.root_device
            self._on_device = to_device_if_it_fits(self.dataset.texts, device)
        return BucketDataLoader(self._on_device or self.dataset.texts, sampler, process)
