"""Check the training batches before training starts."""

import logging
from collections.abc import Callable
from typing import Any

import lightning as L

from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError

log = logging.getLogger(__name__)

PART_NAMES = {"train": "training", "val": "validation", "test": "test"}
LARGE_BATCH_WORDS = 1 << 20  # words in a training batch: gigabytes with most models


def check_batches(trainer: L.Trainer, data: TextDataModule) -> None:
    """Refuse limits that leave no batches, and warn about batches that may exhaust memory.

    Raises:
        UserError: if a limit is less than one batch, or validation is never due.
    """
    count = len(data.train_dataloader())
    _check_limit(trainer, "train", lambda: count)
    _check_limit(trainer, "val", lambda: len(data.val_dataloader()))
    _check_limit(trainer, "test", lambda: len(data.test_dataloader()))
    _check_validation_interval(trainer, count)
    words = data.batch_size * int(data.dataset.texts.lengths[data.training_rows].max())
    if words > LARGE_BATCH_WORDS:
        log.warning(
            "A training batch may hold %s words, padding included: if memory runs out, lower "
            "tokenizer.max_length or dataset.batch_size.",
            f"{words:,}",
        )


def name_limit(trainer: Any, part: str) -> str:
    """Return the option that limits the batches of a part."""
    if trainer.fast_dev_run:
        return "trainer.fast_dev_run"
    if trainer.overfit_batches and part != "test":
        return "trainer.overfit_batches"
    return f"trainer.limit_{part}_batches"


def _check_limit(trainer: Any, part: str, count_batches: Callable[[], int]) -> None:
    limit = getattr(trainer, f"limit_{part}_batches")
    if not isinstance(limit, float) or limit == 1:
        return
    count = count_batches()
    if count and int(limit * count) < 1:
        raise UserError(
            f"{name_limit(trainer, part)}={limit:g} leaves none of the {count} {PART_NAMES[part]} "
            f"batches: give a larger share, or a whole number of batches."
        )


def _check_validation_interval(trainer: Any, count: int) -> None:
    interval, limit = trainer.val_check_interval, trainer.limit_train_batches
    batches = min(limit, count) if isinstance(limit, int) else int(limit * count)
    if type(interval) is int and interval > batches and trainer.check_val_every_n_epoch is not None:
        raise UserError(
            f"trainer.val_check_interval={interval} is more than the {batches} batches of an "
            f"epoch: give fewer, a share such as 0.5, or trainer.check_val_every_n_epoch=null to "
            f"count the batches of all epochs."
        )
