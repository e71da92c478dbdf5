"""Evaluate the best checkpoint on the validation and the test part, or on the batches allowed."""

import time
from typing import Any

import lightning as L

from seqtext.data.loaders import BucketDataLoader
from seqtext.datasets.base import TextDataModule
from seqtext.display import count_noun
from seqtext.distributed import all_gather_objects, keep_interrupts
from seqtext.metrics.predictions import Predictions
from seqtext.models.base import TextClassifier
from seqtext.training.batch_checks import PART_NAMES, name_limit


def predict_parts(
    trainer: L.Trainer, model: TextClassifier, data: TextDataModule
) -> tuple[dict[str, Predictions], float]:
    """Predict the validation and the test part, as far as `trainer.limit_<part>_batches` allows.

    A warning is added to `data.warnings` for each limit.

    Returns:
        The predictions, and the seconds that those of the test part took.
    """
    loaders = {"val": data.val_dataloader(), "test": data.test_dataloader()}
    limits = {"val": trainer.limit_val_batches, "test": trainer.limit_test_batches}
    data.warnings += _describe_training(trainer)
    predictions = {}
    for part, loader in loaders.items():  # the test part last
        start_time = time.perf_counter()
        trainer.limit_predict_batches = limits[part]
        predictions[part] = _predict(trainer, model, data, loader)
        seconds = time.perf_counter() - start_time
        count = trainer.predict_loop.max_batches[0]
        if count < len(loader):
            batches = count_noun(int(count), "batch", "batches")
            data.warnings.append(
                f"The {PART_NAMES[part]} scores are those of {batches} of {len(loader)}, which "
                f"have the shortest texts ({name_limit(trainer, part)})."
            )
    return predictions, seconds


def _predict(
    trainer: L.Trainer, model: TextClassifier, data: TextDataModule, batches: BucketDataLoader
) -> Predictions:
    """Predict the rows of a data loader and gather the outputs of all ranks."""
    with keep_interrupts():
        outputs = all_gather_objects(trainer.predict(model, batches) or [])
    facts = data.class_names, model.custom_metrics, model.is_ordinal
    return Predictions.from_batches(outputs, data.labels, *facts)


def _describe_training(trainer: Any) -> list[str]:
    """Return a sentence if the model was trained on a few batches, to find errors."""
    if trainer.fast_dev_run:
        batches = count_noun(int(trainer.fast_dev_run), "batch", "batches")
        return [f"The scores mean nothing after training on {batches} (trainer.fast_dev_run)."]
    if trainer.overfit_batches:
        return [
            f"The model was trained on the same few batches in each epoch "
            f"(trainer.overfit_batches={trainer.overfit_batches:g})."
        ]
    return []
