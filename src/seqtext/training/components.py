"""The callbacks and loggers of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loggers.logger import DummyLogger

from seqtext.callbacks.early_stopping import TieBreakingEarlyStopping
from seqtext.config.components import build_components
from seqtext.config.run_config import RunConfig
from seqtext.config.trainer import resolve_patience
from seqtext.loggers.base import RunLoggers
from seqtext.metrics.definitions import get_metric_mode
from seqtext.run_dir import RunDir


def build_callbacks(
    settings: dict[str, Any], options: RunConfig, max_epochs: int
) -> list[Callback]:
    """Build the callbacks of the group `callbacks`, and early stopping unless it is one of them.

    Their arguments `monitor`, `mode` and `patience` are those of the run, unless they are set.

    Args:
        max_epochs: epochs of the run, of which ``patience=auto`` is a share

    Raises:
        UserError: if an option is invalid.
    """
    run_values: dict[str, Any] = {
        "monitor": options.monitor,
        "mode": get_metric_mode(options.monitor),
    }
    patience = resolve_patience(options.patience, max_epochs)
    if patience is not None:
        run_values |= {"patience": patience}
    callbacks = build_components("callbacks", settings.get("callbacks"), run_values)
    if patience is None or any(isinstance(c, EarlyStopping) for c in callbacks):
        return callbacks
    return [TieBreakingEarlyStopping(options.monitor, patience), *callbacks]


@contextmanager
def open_loggers(settings: dict[str, Any], run_dir: RunDir) -> Iterator[RunLoggers]:
    """Build the loggers of the group `logger`, and close them at the end.

    The arguments `folder` and `save_dir` are the folder of the run.

    Raises:
        UserError: if an option is invalid, or a package is missing.
    """
    folder = str(run_dir.path)
    run_values = {"folder": folder, "save_dir": folder}
    loggers = RunLoggers(build_components("logger", settings.get("logger"), run_values))
    try:
        yield loggers
    finally:
        loggers.close()


def get_trainer_loggers(loggers: RunLoggers | None) -> list[Logger] | bool:
    """Return the loggers for the Trainer.

    Processes other than rank 0 get one that does nothing, as callbacks such as LearningRateMonitor
    require a logger.
    """
    if loggers is None:
        return [DummyLogger()]
    return loggers.loggers or False
