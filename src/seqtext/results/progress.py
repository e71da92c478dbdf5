"""What a person sees: a bar within an epoch, a line after it, a table at the end."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from seqtext.results.metrics import direction

log = logging.getLogger(__name__)

REFRESH = 0.1  # seconds; drawing at every step would take longer than a small model's step


class EpochProgress(ProgressBar):
    """The bar with loss and monitored score, and one logged line per epoch."""

    def __init__(self, monitor: str):
        super().__init__()
        self.monitor = monitor
        self.console = Console()
        self._bar: Progress | None = None
        self._enabled = self.console.is_terminal
        self._best: float | None = None
        self._loss, self._steps = 0.0, 0  # of the epoch so far

    def disable(self) -> None:
        """Lightning asks for this on all processes but the first."""
        self._enabled = False

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Begin; in the middle of an epoch, after a restart, no epoch's start is called."""
        self._begin(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Start counting anew."""
        self._stop()
        self._loss, self._steps = 0.0, 0
        self._begin(trainer)

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx) -> None:
        """Sum the loss; draw at most every `REFRESH` seconds."""
        self._loss = self._loss + outputs["loss"]  # a tensor: to read it would wait for a GPU
        self._steps += 1
        now = time.perf_counter()
        if self._bar and now - self._drawn > REFRESH:
            self._drawn = now
            self._bar.update(self._task, completed=batch_idx + 1, loss=self._mean_loss())

    def on_validation_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Take the bar away: the line of the epoch follows."""
        self._stop()

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Log the line of the epoch."""
        score = float(trainer.callback_metrics[self.monitor])
        best = self._is_best(score)
        log.info(
            "epoch %d/%d  train loss %.4f  val/loss %.4f  %s %.4f%s  %.1f s",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            self._mean_loss(),
            trainer.callback_metrics["val/loss"],
            self.monitor,
            score,
            " (best)" if best else "",
            time.perf_counter() - self._started,
        )

    def on_exception(self, trainer: L.Trainer, model: L.LightningModule, exception) -> None:
        """Give the terminal back."""
        self._stop()

    def state_dict(self) -> dict[str, Any]:
        """What the lines after a restart need."""
        return {"best": self._best, "loss": float(self._loss), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `state_dict`."""
        self._best, self._loss, self._steps = state["best"], state["loss"], state["steps"]

    def _is_best(self, score: float) -> bool:
        sign = 1 if direction(self.monitor) == "max" else -1
        best = self._best is None or sign * score > sign * self._best
        if best:
            self._best = score
        return best

    def _mean_loss(self) -> float:
        return float(self._loss) / max(self._steps, 1)

    def _begin(self, trainer: L.Trainer) -> None:
        self._started = self._drawn = time.perf_counter()
        if self._enabled:
            self._draw(trainer)

    def _draw(self, trainer: L.Trainer) -> None:
        shown = "" if self._best is None else f"best {self.monitor} {self._best:.4f}"
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[score]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._task = self._bar.add_task(
            "train",
            total=trainer.num_training_batches,
            epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}",
            loss=float("nan"),
            score=shown,
        )
        self._bar.start()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


class Stopwatch(L.Callback):
    """Training time over all restarts; logs throughput and learning rate of each epoch."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.epoch_seconds = 0.0  # in the training batches of the last epoch
        self._since: float | None = None

    def on_train_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Start the watch; in the middle of an epoch, no epoch's start is called."""
        self._since = self._epoch_started = time.perf_counter()
        self._first_step = trainer.global_step

    def on_train_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Stop the watch."""
        self.seconds, self._since = self._elapsed(), None

    def on_train_epoch_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Start the epoch's count."""
        self._epoch_started, self._first_step = time.perf_counter(), trainer.global_step

    def on_validation_start(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """The training batches of the epoch are through."""
        self.epoch_seconds = time.perf_counter() - self._epoch_started

    def on_train_epoch_end(self, trainer: L.Trainer, model: L.LightningModule) -> None:
        """Log the epoch's throughput and learning rate."""
        steps = trainer.global_step - self._first_step
        samples = steps * trainer.train_dataloader.sampler.batch_size
        self.log("train/samples_per_second", samples / self.epoch_seconds)
        self.log("train/learning_rate", trainer.optimizers[0].param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Seconds trained so far."""
        return {"seconds": self._elapsed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting from a checkpoint."""
        self.seconds = state["seconds"]

    def _elapsed(self) -> float:
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return self.seconds + running


def show(metrics: Mapping[str, Any], folder: Path) -> None:
    """The table at the end: scores of the best epoch, time, size, and where everything lies."""
    table = Table(
        "score", title_justify="left", title=f"{metrics['model']} on {metrics['dataset']}"
    )
    for part in ("val", "test"):
        table.add_column({"val": "validation"}.get(part, part), justify="right")
    for name, value in metrics["val"].items():
        table.add_row(name, f"{value:.4f}", f"{metrics['test'][name]:.4f}")
    seconds = metrics["seconds"]
    console = Console()
    console.print(table)
    console.print(
        f"Best of {metrics['epochs']} epochs: {metrics['best_epoch']} by {metrics['monitor']}.  "
        f"{metrics['parameters']:,} parameters.  {seconds['total']:.0f} s, "
        f"{seconds['training']:.0f} s of it training.",
        highlight=False,
    )
    console.print(f"Everything is in {folder}", highlight=False, soft_wrap=True)
