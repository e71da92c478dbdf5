"""Logger for TensorBoard: scalars by epoch, hyperparameters, images, confident errors."""

import re
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from seqtext.config.settings import MACHINE_OPTIONS, flatten_options
from seqtext.data.raw_dataset import RawDataset
from seqtext.display import make_printable, name_classes, shorten
from seqtext.fast_imports import hide_modules
from seqtext.metrics.predictions import Predictions

with hide_modules("boto3", "botocore"):  # optional imports of tensorboard, for logs on S3
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard.summary import hparams

MAX_ERRORS = 25
EXCERPT_LENGTH = 600  # characters shown of a text
OTHER_MARKUP = re.compile(r"[&<|~]")
LINE_BREAK = re.compile(r"<br ?/?>")  # in texts from HTML pages
BACKSLASHED = re.compile(r"([\\`*_{}\[\]()#+.!>-])")  # characters that Markdown can escape
FLUSH_SECONDS = 2  # Ctrl-C may lose the writer thread's wake-up call: it waits as long as this
NO_CURVES = ("train/samples_per_second",)  # a time: it differs after a resume


class EpochTensorBoardLogger(TensorBoardLogger):
    """Logs scalars by epoch, not step, so that runs with different batch sizes are comparable."""

    def __init__(self, folder: str):
        super().__init__(
            save_dir=folder, name="", version="", default_hp_metric=False, flush_secs=FLUSH_SECONDS
        )

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log scalars at the epoch that Lightning adds to them."""
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        super().log_metrics(values, step if epoch is None else int(epoch))

    def save(self) -> None:
        """Do nothing: the settings are stored in .hydra."""


def append_curves(
    curves: dict[str, list[float | None]], metrics: Mapping[str, Any], epoch: int = 0
) -> None:
    """Append an epoch's scalars to the curves of metrics.json, rounded to 6 digits.

    A curve has None for an earlier epoch without the score, e.g. if its training batches contained
    no rows of a class.

    Args:
        epoch: index of the epoch, from 0
    """
    for name, value in metrics.items():
        if name.startswith(("train/", "val/")) and name not in NO_CURVES:
            curve = curves.setdefault(name, [])
            curve += [None] * (epoch - len(curve))
            curve.append(float(f"{float(value):.6g}"))


def log_hparams(
    logger: EpochTensorBoardLogger, settings: Mapping[str, Any], final: dict[str, float]
) -> None:
    """Log one row of the HPARAMS tab: the options and the final scores.

    The scores are also scalars under ``verdict/``, which TensorBoard sorts behind the curves. No
    summary of the experiment is written: TensorBoard would show only the options and scores of one
    run's summary. Without it, it offers those of all runs, and shows the scalars that come first
    alphabetically, under ``score/``.
    """
    _, session_start, session_end = hparams(dict(settings), final)
    for summary in (session_start, session_end):
        logger.experiment.file_writer.add_summary(summary)
    for name, value in final.items():
        logger.experiment.add_scalar(name, value)


def log_images(logger: EpochTensorBoardLogger, pictures: Mapping[str, bytes]) -> None:
    """Log PNG files to the IMAGES tab without encoding them again."""
    for name, png in pictures.items():
        image = Summary.Image(encoded_image_string=png)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        logger.experiment.file_writer.add_summary(summary, 0)


def log_confident_errors(
    logger: EpochTensorBoardLogger, tag: str, predictions: Predictions, rows: RawDataset
) -> None:
    """Log the texts of the most confident errors to the TEXT tab, worst first."""
    names = list(map(_escape_markdown, name_classes(predictions.class_names)))
    paragraphs = []
    for position in predictions.find_most_confident_errors(MAX_ERRORS):
        row = int(predictions.rows[position])
        taken_for = predictions.predicted[position]
        paragraphs.append(
            f"**{names[predictions.labels[position]]}**, predicted as **{names[taken_for]}** with "
            f"probability {predictions.probabilities[position, taken_for]:.4f} "
            f"(row {rows.numbers[row] + 1})\n\n> {_format_excerpt(rows.texts[row].as_py())}"
        )
    logger.experiment.add_text(tag, "\n\n".join(paragraphs) or "There are no errors.")


def _format_excerpt(text: str) -> str:
    return _escape_markdown(shorten(LINE_BREAK.sub(" ", text), EXCERPT_LENGTH))


def _escape_markdown(text: str) -> str:
    """Escape a text for Markdown, so that it has no formatting, links, tables or HTML."""
    escaped = BACKSLASHED.sub(r"\\\1", make_printable(text))
    return OTHER_MARKUP.sub(lambda found: f"&#{ord(found[0])};", escaped)


def flatten_for_tensorboard(settings: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Flatten the settings that can change a result to ``group.option``, in TensorBoard's types."""
    options = flatten_options(settings, MACHINE_OPTIONS)
    return {name: v if isinstance(v, bool | int | float) else str(v) for name, v in options.items()}
