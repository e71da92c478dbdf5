"""Check the training batches before training starts."""

import logging

import lightning as L

from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError

log = logging.getLogger(__name__)

LARGE_BATCH_WORDS = 1 << 20  # words in a training batch: gigabytes with most models


def check_batches(trainer: L.Trainer, data: TextDataModule) -> None:
    """Refuse a limit that leaves no batches, and warn about batches that may exhaust memory.

    Raises:
        UserError: if `trainer.limit_train_batches` is less than one batch.
    """
    limit, count = trainer.limit_train_batches, len(data.train_dataloader())
    if isinstance(limit, float) and int(limit * count) < 1:
        raise UserError(
            f"trainer.limit_train_batches={limit:g} leaves none of the {count} training batches: "
            f"give a larger share, or a whole number of batches."
        )
    words = data.batch_size * int(data.dataset.texts.lengths[data.training_rows].max())
    if words > LARGE_BATCH_WORDS:
        log.warning(
            "A training batch may hold %s words, padding included: if memory runs out, lower "
            "tokenizer.max_length or dataset.batch_size.",
            f"{words:,}",
        )
