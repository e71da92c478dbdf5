"""What a run logs besides the metrics of its epochs, and to which loggers."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.loggers import Logger

from seqtext.config.settings import MACHINE_OPTIONS, flatten_options

log = logging.getLogger(__name__)


class ResultLogger(Logger):
    """Base of loggers that show more than Lightning's loggers have in common.

    A subclass overrides the methods for what its service can show. The constructor takes `folder`,
    the folder of the run.
    """

    def log_tags(self, tags: Sequence[str], notes: str | None) -> None:
        """Log tags and notes; by default, do nothing: they are also among the settings."""

    def log_results(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Log the settings of a run and its final scores."""
        self.log_hyperparams(dict(settings))
        self.log_metrics(dict(scores))

    def log_figures(self, figures: Mapping[str, bytes]) -> None:
        """Log PNG files by name; by default, do nothing."""

    def log_markdown(self, name: str, text: str) -> None:
        """Log a text in Markdown; by default, do nothing."""

    def close(self) -> None:
        """End the connection after the last call, also of a run that failed."""


class RunLoggers:
    """The loggers of one run; any of Lightning's gets settings, metrics and final scores.

    An error of a logger after training is a warning, as the scores are in the folder of the run.
    """

    def __init__(self, loggers: Sequence[Logger] = ()):
        self.loggers = list(loggers)

    def __bool__(self) -> bool:
        return bool(self.loggers)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log the metrics of a step."""
        for logger in self.loggers:
            logger.log_metrics(dict(metrics), step)

    def log_tags(self, tags: Sequence[str], notes: str | None) -> None:
        """Log the tags and notes of a run, if there are any."""
        for logger in self._iter_result_loggers() if tags or notes else ():
            with _log_failure(logger):
                logger.log_tags(tags, notes)

    def log_figures(self, figures: Mapping[str, bytes]) -> None:
        """Log PNG files by name."""
        for logger in self._iter_result_loggers():
            with _log_failure(logger):
                logger.log_figures(figures)

    def log_markdown(self, name: str, text: str) -> None:
        """Log a text in Markdown."""
        for logger in self._iter_result_loggers():
            with _log_failure(logger):
                logger.log_markdown(name, text)

    def log_results(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Log the settings of a run and its final scores, and finalize."""
        for logger in self.loggers:
            with _log_failure(logger):
                if isinstance(logger, ResultLogger):
                    logger.log_results(settings, scores)
                else:
                    ResultLogger.log_results(logger, settings, scores)  # type: ignore[arg-type]
                logger.finalize("success")

    def close(self) -> None:
        """End the connections."""
        for logger in self._iter_result_loggers():
            with _log_failure(logger):
                logger.close()

    def _iter_result_loggers(self) -> Iterator[ResultLogger]:
        return (logger for logger in self.loggers if isinstance(logger, ResultLogger))


@contextmanager
def _log_failure(logger: Logger) -> Iterator[None]:
    """Log any error as a warning."""
    try:
        yield
    except Exception as error:
        log.warning("%s failed: %s: %s", type(logger).__name__, type(error).__name__, error)


def flatten_for_loggers(settings: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Flatten the settings that can change a result to ``group.option``, in loggers' types."""
    empty = [option for option in ("tags", "notes", "label") if not settings.get(option)]
    options = flatten_options(settings, [*MACHINE_OPTIONS, *empty])
    return {name: v if isinstance(v, bool | int | float) else str(v) for name, v in options.items()}
