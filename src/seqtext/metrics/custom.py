"""Metrics of torchmetrics, or with its interface, that a run adds to those of this package."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from seqtext.errors import UserError, build_unknown_option_error, describe_error, format_reason
from seqtext.metrics.custom_modes import Mode

FILLED_IN = ("task", "num_classes")  # arguments that follow from the classes


class CustomMetrics:
    """Compute metrics with torchmetrics' interface from the predictions of all processes.

    A metric whose constructor takes `threshold` gets the predicted classes of two-class models, at
    the run's threshold; all others get probabilities.

    Args:
        metrics: metrics by name
        has_threshold: names of those that get predicted classes
        classes: C
    """

    def __init__(self, metrics: Mapping[str, Metric], has_threshold: frozenset[str], classes: int):
        self.metrics, self.has_threshold, self.classes = dict(metrics), has_threshold, classes

    @property
    def modes(self) -> dict[str, Mode]:
        """Return "min" or "max" for each metric; "max" if the metric does not say."""
        return {
            name: "min" if metric.higher_is_better is False else "max"
            for name, metric in self.metrics.items()
        }

    def compute(self, probabilities: Tensor, predicted: Tensor, labels: Tensor) -> dict[str, float]:
        """Compute all metrics, NaN where one is undefined.

        Args:
            probabilities: [N, C]
            predicted: [N] class numbers
            labels: [N] class numbers
        """
        return {
            name: self.compute_one(name, probabilities, predicted, labels) for name in self.metrics
        }

    def compute_one(
        self, name: str, probabilities: Tensor, predicted: Tensor, labels: Tensor
    ) -> float:
        """Compute one metric, see `compute`.

        Raises:
            UserError: if it fails, or is no number.
        """
        metric = self.metrics[name]
        inputs = probabilities
        if self.classes == 2 and not _needs_columns(metric):
            inputs = predicted if name in self.has_threshold else probabilities[:, 1]
        try:
            with warnings.catch_warnings(action="ignore"):  # of classes without rows
                metric.reset()
                metric.update(inputs.cpu(), labels.cpu())
                value = metric.compute()
                metric.reset()
            return float(value)
        except Exception as error:  # of code that may be the user's
            raise UserError(
                f"metrics.{name} cannot be computed for {self.classes} classes "
                f"({describe_error(error)})."
            ) from error


def build_metric(
    name: str, kind: type[Metric], options: Mapping[str, Any], classes: int
) -> tuple[Metric, bool]:
    """Build a metric; the arguments `task` and `num_classes` are filled in.

    Returns:
        The metric, and whether it gets predicted classes instead of probabilities.

    Raises:
        UserError: if the options do not fit the constructor.
    """
    parameters = inspect.signature(kind).parameters
    known = [p.name for p in parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    for option in options:
        if option not in known:
            raise build_unknown_option_error(option, known, f"metrics.{name}")
    values = {"task": "binary" if classes == 2 else "multiclass", "num_classes": classes}
    filled = {option: values[option] for option in FILLED_IN if option in known}
    try:
        metric = kind(**(filled | dict(options)))
    except Exception as error:
        raise UserError(f"metrics.{name}: {format_reason(error)}.") from error
    metric.sync_on_compute = metric._to_sync = False  # predictions are gathered already
    return metric, "threshold" in inspect.signature(type(metric)).parameters


def check_metrics(metrics: CustomMetrics) -> None:
    """Compute metrics from invented predictions, as training does.

    Raises:
        UserError: if one fails, or is no number.
    """
    classes = metrics.classes
    labels = torch.arange(2 * classes) % classes
    probabilities = torch.eye(classes, dtype=torch.float64)[labels] * 0.5 + 0.5 / classes
    metrics.compute(probabilities, labels, labels)


def _needs_columns(metric: Metric) -> bool:
    """Return whether a metric takes a probability per class, also of two classes."""
    return type(metric).__name__.startswith("Multiclass")
