"""Logger for TensorBoard: scalars by epoch, hyperparameters, images, texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from seqtext.fast_imports import hide_modules
from seqtext.loggers.base import ResultLogger

with hide_modules("boto3", "botocore"):  # optional imports of tensorboard, for logs on S3
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard.summary import hparams

FLUSH_SECONDS = 2  # Ctrl-C may lose the writer thread's wake-up call: it waits as long as this


class EpochTensorBoardLogger(ResultLogger, TensorBoardLogger):
    """Logs scalars by epoch, not step, so that runs with different batch sizes are comparable.

    Args:
        folder: folder of the run
    """

    def __init__(self, folder: str | Path):
        super().__init__(
            save_dir=str(folder),
            name="",
            version="",
            default_hp_metric=False,
            flush_secs=FLUSH_SECONDS,
        )

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log scalars at the epoch that Lightning adds to them."""
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        super().log_metrics(values, step if epoch is None else int(epoch))

    def save(self) -> None:
        """Do nothing: the settings are stored in .hydra."""

    def log_results(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Log one row of the HPARAMS tab: the options and the final scores.

        The scores are also scalars under ``verdict/``, which TensorBoard sorts behind the curves.
        No summary of the experiment is written: TensorBoard would show only the options and scores
        of one run's summary. Without it, it offers those of all runs, and shows the scalars that
        come first alphabetically, under ``score/``.
        """
        _, session_start, session_end = hparams(dict(settings), dict(scores))
        for summary in (session_start, session_end):
            self.experiment.file_writer.add_summary(summary)
        for name, value in scores.items():
            self.experiment.add_scalar(name, value)

    def log_figures(self, figures: Mapping[str, bytes]) -> None:
        """Log PNG files to the IMAGES tab without encoding them again."""
        for name, png in figures.items():
            image = Summary.Image(encoded_image_string=png)
            summary = Summary(value=[Summary.Value(tag=name, image=image)])
            self.experiment.file_writer.add_summary(summary, 0)

    def log_markdown(self, name: str, text: str) -> None:
        """Log a text to the TEXT tab."""
        self.experiment.add_text(name, text)
