"""Progress bar, epoch log lines and final table."""

import io
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import lightning as L
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from seqtext.callbacks.checkpoint import get_monitored, has_regular_validation
from seqtext.display import build_console, count_noun, make_printable
from seqtext.distributed import all_gather_objects
from seqtext.errors import UserError
from seqtext.metrics.comparison import describe_comparison
from seqtext.metrics.definitions import is_better
from seqtext.metrics.score_table import build_score_table

log = logging.getLogger(__name__)

REFRESH_SECONDS = 0.1  # seconds; drawing at every step would take longer than a small model's step
LOG_WIDTH = 100  # characters
LOSS_CHECK_STEPS = 500  # steps between two checks for a non-finite loss without a bar


def is_quiet() -> bool:
    """Return whether logs go to files only; then nothing is printed to the terminal."""
    handlers = logging.getLogger().handlers
    return bool(handlers) and all(isinstance(h, logging.FileHandler) for h in handlers)


class ProgressBar(LightningProgressBar):
    """Shows loss and monitored score; logs a line per epoch, throughput and training time.

    Attributes:
        seconds: training time including all restarts
        earlier_seconds: training time before this process was started
        epoch_seconds: time of the training batches of the last epoch
    """

    log: Callable[..., None]  # set by Lightning to the model's `log`

    def __init__(self, monitor: str):
        super().__init__()
        self.monitor = monitor
        self.seconds = self.earlier_seconds = self.epoch_seconds = 0.0
        self._validation_seconds = 0.0  # in the current epoch
        self._is_regular = True  # one validation, at the end of each epoch
        self._has_validated = False  # in the current epoch
        self.console = build_console()
        self._bar: Progress | None = None
        self._enabled = self.console.is_terminal and not is_quiet()
        self._best: float | None = None
        self._best_loss: float | None = None  # loss of the best epoch
        self._loss, self._steps = 0.0, 0  # sum and count of the current epoch
        self._first_step: int  # first step of the epoch in this process
        self._started: float
        self._drawn: float

    def disable(self) -> None:
        """Draw nothing in this process; Lightning calls this on all except rank 0."""
        self._enabled = False

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Start the clock; `on_train_epoch_start` is not called when resuming within an epoch."""
        self._counted = time.perf_counter()
        self._is_regular = has_regular_validation(trainer)
        self._begin_epoch(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Reset the counters."""
        self._stop()
        self._loss, self._steps = 0.0, 0
        self._begin_epoch(trainer)

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx) -> None:
        """Add the loss; redraw at most every `REFRESH_SECONDS` seconds."""
        loss = outputs["loss"]  # a tensor: reading its value would wait for the GPU
        if trainer.accumulate_grad_batches > 1:  # Lightning has divided it
            loss = loss * trainer.accumulate_grad_batches
        self._loss = self._loss + loss
        self._steps += 1
        if self._steps % LOSS_CHECK_STEPS == 0:
            self._check_loss(trainer)
        if self._bar and time.perf_counter() - self._drawn > REFRESH_SECONDS:
            self._drawn = time.perf_counter()
            self._bar.update(self._task, completed=batch_idx + 1, loss=self._mean_loss())

    def on_validation_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Remove the progress bar: the epoch's log line follows."""
        self._stop()
        self._validation_started = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Log a line and draw the bar again if validation is not only at the end of each epoch."""
        if trainer.sanity_checking:
            return
        self._has_validated = True
        self._validation_seconds += time.perf_counter() - self._validation_started
        if self._is_regular:
            return
        score, val_loss, mark = self._update_best(trainer)
        log.info(
            "epoch %s  step %d  val/loss %.4f  %s %.4f%s",
            _format_epoch(trainer),
            trainer.global_step,
            val_loss,
            self.monitor,
            score,
            mark,
        )
        if self._enabled and not trainer.should_stop:
            self._draw(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Log throughput and learning rate, and print the epoch's line."""
        self._stop()
        self._check_loss(trainer)
        self.epoch_seconds = time.perf_counter() - self._started - self._validation_seconds
        samples = (self._steps - self._first_step) * cast(Any, trainer.train_dataloader).batch_size
        self.log("train/samples_per_second", samples / self.epoch_seconds)
        self.log("train/learning_rate", trainer.optimizers[0].param_groups[0]["lr"])
        loss, validation = _mean_of_all(self._mean_loss()), ""
        if self._is_regular:
            score, val_loss, mark = self._update_best(trainer)
            named = "" if self.monitor == "val/loss" else f"  {self.monitor} {score:.4f}"
            validation = f"  val/loss {val_loss:.4f}{named}{mark}"
        elif not self._has_validated:
            validation = "  not validated"
        seconds = time.perf_counter() - self._started
        epoch = _format_epoch(trainer)
        log.info("epoch %s  train loss %.4f%s  %.1f s", epoch, loss, validation, seconds)

    def _update_best(self, trainer: L.Trainer) -> tuple[float, float, str]:
        """Return the score and loss of the last validation, and a mark if they are the best."""
        score = float(get_monitored(trainer, self.monitor))
        val_loss = float(trainer.callback_metrics["val/loss"])
        if not is_better(score, self._best, self.monitor, val_loss, self._best_loss):
            return score, val_loss, ""
        self._best, self._best_loss = score, val_loss
        return score, val_loss, " (best)"

    def on_train_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Update the training time."""
        self._count()

    def on_exception(self, trainer: L.Trainer, model: L.LightningModule, exception) -> None:
        """Stop the live display."""
        self._stop()

    def state_dict(self) -> dict[str, Any]:
        """Return times and sums, for a resumed run to continue."""
        self._count()
        return {
            "seconds": self.seconds,
            "best": self._best,
            "best_loss": self._best_loss,
            "loss": _mean_of_all(float(self._loss)),
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`."""
        self.seconds = self.earlier_seconds = float(state["seconds"])
        self._best, self._best_loss = state["best"], state["best_loss"]
        self._loss, self._steps = state["loss"], state["steps"]

    def _count(self) -> None:
        now = time.perf_counter()
        self.seconds, self._counted = self.seconds + now - self._counted, now

    def _mean_loss(self) -> float:
        return float(self._loss) / max(self._steps, 1)

    def _check_loss(self, trainer: L.Trainer) -> None:
        """Check the running loss, which stays non-finite once a batch's loss was.

        Raises:
            UserError: if it is NaN or infinite.
        """
        if not math.isfinite(loss := self._mean_loss()):
            raise UserError(
                f"Training diverged: the loss is {loss} in epoch {trainer.current_epoch + 1}; "
                f"lower optimizer.lr or trainer.gradient_clip_val."
            )

    def _begin_epoch(self, trainer: L.Trainer) -> None:
        self._started = self._drawn = time.perf_counter()
        self._first_step = self._steps
        self._validation_seconds, self._has_validated = 0.0, False
        if self._enabled:
            self._draw(trainer)

    def _draw(self, trainer: L.Trainer) -> None:
        shown = (
            "" if self._best is None else f"best {make_printable(self.monitor)} {self._best:.4f}"
        )
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[score]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._task = self._bar.add_task(
            "train",
            total=trainer.num_training_batches,
            epoch=_format_epoch(trainer),
            loss=float("nan"),
            score=shown,
        )
        self._bar.start()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


def _format_epoch(trainer: L.Trainer) -> str:
    total = "" if trainer.max_epochs == -1 else f"/{trainer.max_epochs}"
    return f"{trainer.current_epoch + 1}{total}"


def _mean_of_all(value: float) -> float:
    """Average a value over the processes of a run."""
    values = all_gather_objects([value])
    return sum(values) / len(values)


def print_summary(metrics: Mapping[str, Any], folder: Path, has_epochs: bool = True) -> None:
    """Print and log the scores, training time, model size and run folder.

    Warnings about the scores are logged, also for a run that had finished earlier.

    Args:
        has_epochs: whether to name the best epoch, which non-neural models do not have
    """
    title = f"{metrics['model']} on {metrics['dataset']}"
    columns = {"validation": metrics["val"], "test": metrics["test"]}
    if other := metrics.get("at_0.5"):
        title += f", decided at {metrics['threshold']:.4f}"
        columns |= {"validation at 0.5": other["val"], "test at 0.5": other["test"]}
    table = build_score_table(title, columns, metrics.get("class_names", ()))
    seconds, best = metrics["seconds"], ""
    if has_epochs:
        epoch = f"{metrics['best_epoch']} of {metrics['epochs']}"
        best = f"Epoch {epoch} is the best by {metrics['monitor']}; "
    summary = (
        f"{best}{count_noun(metrics['parameters'], 'parameter')}; "
        f"{seconds['total']:.0f} s, {seconds['training']:.0f} s of it training."
    )
    if temperature := metrics.get("temperature"):
        summary += f" The logits are divided by {temperature:.3g} (calibration=temperature)."
    if comparison := describe_comparison(metrics):
        summary = f"{summary}\n{make_printable(comparison)}"
    ending = make_printable(f"All results are in {folder}")
    console = build_console(soft_wrap=True)
    if not is_quiet():
        console.print(table)
        console.print(summary)
    log_to_files(table, summary)
    _log_warnings(metrics)
    if not is_quiet():
        console.print(ending)
    log_to_files(ending)


def log_to_files(*parts: Table | str) -> None:
    """Log what was printed to the terminal to the log files only."""
    text = io.StringIO()
    console = Console(file=text, width=LOG_WIDTH, color_system=None, markup=False, emoji=False)
    for part in parts:
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))
    lines = text.getvalue().rstrip("\n")
    message = f"\n{lines}" if "\n" in lines else lines  # a table starts on a new line
    record = log.makeRecord(log.name, logging.INFO, __file__, 0, message, (), None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def _log_warnings(metrics: Mapping[str, Any]) -> None:
    for warning in metrics.get("warnings", ()):
        log.warning("Warning: %s", make_printable(warning))
