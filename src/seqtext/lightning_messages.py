"""Hide those of Lightning's messages that say nothing about a run."""

import logging
import warnings


def silence_lightning() -> None:
    """Hide Lightning's messages for information, which say nothing about the run."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()  # of its own, where it was imported before there was a log
        logger.propagate = True
    profiler = logging.getLogger("lightning.pytorch.profilers.profiler")
    profiler.setLevel(logging.INFO)  # +trainer.profiler= is there for its table
    profiler.addFilter(_is_of_training)
    for message in (
        ".*LeafSpec.*deprecated",  # Lightning's own use of torch
        ".*log_every_n_steps",  # metrics are logged at the ends of epochs
    ):
        warnings.filterwarnings("ignore", message=message)


def _is_of_training(record: logging.LogRecord) -> bool:
    """Return whether a profiler's table is that of training, and not of predictions after it."""
    return not record.getMessage().startswith("PREDICT")
