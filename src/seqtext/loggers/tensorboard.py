"""Logger for TensorBoard: scalars by epoch, hyperparameters, images, confident errors."""

import re
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from seqtext.config.settings import MACHINE_KEYS, flatten_options
from seqtext.data.raw_dataset import RawDataset
from seqtext.display import make_printable, name_classes, shorten
from seqtext.fast_imports import hide_modules
from seqtext.metrics.predictions import Predictions

with hide_modules(
    "boto3", "botocore"
):  # tensorboard would import them at each start, for logs on S3
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard.summary import hparams

MISTAKES = 25
EXCERPT = 600  # characters of a text
OTHER_MARKUP = re.compile(r"[&<|~]")
LINE_BREAK = re.compile(r"<br ?/?>")  # in texts that were pages
BACKSLASHED = re.compile(r"([\\`*_{}\[\]()#+.!>-])")  # what Markdown takes after a backslash
NO_CURVES = ("train/samples_per_second",)  # a time: it differs in a run that was broken


class EpochTensorBoardLogger(TensorBoardLogger):
    """Scalars over epochs and not over steps: runs with unlike batch sizes stay comparable."""

    def __init__(self, folder: str):
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Lightning adds the epoch to what is logged at an epoch's end."""
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        super().log_metrics(values, step if epoch is None else int(epoch))

    def save(self) -> None:
        """The settings are in .hydra already."""


def append_curves(
    curves: dict[str, list[float | None]], metrics: Mapping[str, Any], epoch: int = 0
) -> None:
    """Add an epoch to the curves of metrics.json: the same values as the scalars, 6 digits each.

    A curve has None for an earlier epoch that had no such score: its training batches held no rows
    of a class.

    Args:
        epoch: number of the epoch, from 0
    """
    for name, value in metrics.items():
        if name.startswith(("train/", "val/")) and name not in NO_CURVES:
            curve = curves.setdefault(name, [])
            curve += [None] * (epoch - len(curve))
            curve.append(float(f"{float(value):.6g}"))


def log_hparams(
    logger: EpochTensorBoardLogger, settings: Mapping[str, Any], final: dict[str, float]
) -> None:
    """Log one row of the HPARAMS tab: what was set, and the final scores.

    They are scalars too, under ``verdict/``: TensorBoard sorts them behind the curves. The summary
    of the experiment is left out: TensorBoard would take the options and scores that one run names
    for those of all; without it, it offers what any of the runs has, and shows the first scalars
    in the alphabet: those under ``score/``.
    """
    _, session_start, session_end = hparams(dict(settings), final)
    for summary in (session_start, session_end):
        logger.experiment.file_writer.add_summary(summary)
    for name, value in final.items():
        logger.experiment.add_scalar(name, value)


def log_images(logger: EpochTensorBoardLogger, pictures: Mapping[str, bytes]) -> None:
    """Log PNG files to the IMAGES tab, as they are."""
    for name, png in pictures.items():
        image = Summary.Image(encoded_image_string=png)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        logger.experiment.file_writer.add_summary(summary, 0)


def log_confident_errors(
    logger: EpochTensorBoardLogger, tag: str, predictions: Predictions, rows: RawDataset
) -> None:
    """Log to the TEXT tab the most confident errors, worst first, with their texts."""
    names = list(map(_escape_markdown, name_classes(predictions.class_names)))
    paragraphs = []
    for position in predictions.most_confident_errors(MISTAKES):
        row = int(predictions.rows[position])
        taken_for = predictions.predicted[position]
        paragraphs.append(
            f"**{names[predictions.labels[position]]}**, taken for **{names[taken_for]}** with "
            f"probability {predictions.probabilities[position, taken_for]:.4f} "
            f"(row {rows.numbers[row] + 1})\n\n> {_excerpt(rows.texts[row].as_py())}"
        )
    logger.experiment.add_text(tag, "\n\n".join(paragraphs) or "There are no mistakes.")


def _excerpt(text: str) -> str:
    return _escape_markdown(shorten(LINE_BREAK.sub(" ", text), EXCERPT))


def _escape_markdown(text: str) -> str:
    """Return Markdown that shows the text as it is: no formats, links, tables or HTML."""
    escaped = BACKSLASHED.sub(r"\\\1", make_printable(text))
    return OTHER_MARKUP.sub(lambda found: f"&#{ord(found[0])};", escaped)


def flatten_for_tensorboard(settings: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Nested settings as ``group.option``, as TensorBoard takes them; those that can matter."""
    options = flatten_options(settings, MACHINE_KEYS)
    return {name: v if isinstance(v, bool | int | float) else str(v) for name, v in options.items()}
