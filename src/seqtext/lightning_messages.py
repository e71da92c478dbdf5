"""Hide Lightning's messages that do not inform about the run."""

import logging
import warnings


def silence_lightning() -> None:
    """Hide Lightning's INFO messages and its warnings that do not concern the run."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()  # its own, if it was imported before logging was set up
        logger.propagate = True
    profiler = logging.getLogger("lightning.pytorch.profilers.profiler")
    profiler.setLevel(logging.INFO)  # shows the table of +trainer.profiler=
    profiler.addFilter(_is_of_training)
    for message in (
        ".*LeafSpec.*deprecated",  # Lightning's own use of torch
        ".*log_every_n_steps",  # metrics are logged at the ends of epochs
        ".*requested to overfit",  # the data module keeps the order of the batches
    ):
        warnings.filterwarnings("ignore", message=message)


def _is_of_training(record: logging.LogRecord) -> bool:
    """Return whether a profiler's table covers training, not the predictions after it."""
    return not record.getMessage().startswith("PREDICT")
