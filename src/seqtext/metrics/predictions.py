"""Predictions of a model on one part of the data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from torch import Tensor

from seqtext.files import replace_file
from seqtext.metrics.scores import (
    compute_metrics,
    compute_probabilities,
    find_best_threshold,
    predict_classes,
)

if TYPE_CHECKING:
    from seqtext.metrics.custom import CustomMetrics


@dataclass(frozen=True)
class Predictions:
    """Hold predictions of N rows, in the order of the source.

    rows: [N] positions in the prepared data set
    labels: [N] true classes
    logits: [N] for two classes, [N, C] for more
    threshold: for two classes, the minimum probability at which class 1 is predicted
    custom: metrics in addition to this package's
    temperature: by which the model's outputs were divided
    is_ordinal: whether the model is one of ordered classes
    """

    rows: np.ndarray
    labels: np.ndarray
    logits: Tensor
    class_names: Sequence[str]
    threshold: float = 0.5
    custom: "CustomMetrics | None" = None
    temperature: float = 1.0
    is_ordinal: bool = False

    @classmethod
    def from_batches(
        cls,
        outputs: Sequence[tuple[Tensor, Tensor]],
        labels: np.ndarray,
        class_names: Sequence[str],
        custom: "CustomMetrics | None" = None,
        is_ordinal: bool = False,
    ) -> "Predictions":
        """Build predictions from (rows, logits) of batches in any order, and all labels."""
        rows, logits = (torch.cat(column) for column in zip(*outputs, strict=True))
        order = rows.argsort()
        sorted_rows = rows[order].numpy()
        sorted_logits = logits[order].float()
        return cls(
            sorted_rows,
            labels[sorted_rows],
            sorted_logits,
            class_names,
            custom=custom,
            is_ordinal=is_ordinal,
        )

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Return the class probabilities [N, C]."""
        return compute_probabilities(self.logits).numpy()

    @cached_property
    def predicted(self) -> np.ndarray:
        """Return the predicted classes [N]."""
        probabilities = compute_probabilities(self.logits)
        return predict_classes(probabilities, self.threshold, self.is_ordinal).numpy()

    def compute_metrics(self) -> dict[str, float]:
        """Compute the loss and all metrics, see `seqtext.metrics.scores.compute_metrics`."""
        labels = torch.from_numpy(self.labels)
        return compute_metrics(
            self.logits, labels, self.class_names, self.threshold, self.custom, self.is_ordinal
        )

    def find_best_threshold(self) -> float:
        """Return the threshold with the best F1 on these rows."""
        return find_best_threshold(
            compute_probabilities(self.logits)[:, 1], torch.from_numpy(self.labels)
        )

    def with_threshold(self, threshold: float) -> "Predictions":
        """Return these predictions with another decision threshold."""
        return replace(self, threshold=threshold)

    def with_temperature(self, temperature: float) -> "Predictions":
        """Return these predictions with logits divided by a temperature."""
        return replace(self, logits=self.logits / temperature, temperature=temperature)

    def find_most_confident_errors(self, count: int) -> np.ndarray:
        """Return the positions of the most confident errors, sorted by falling confidence."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")][:count]

    def write(self, path: Path, numbers: np.ndarray) -> None:
        """Write Parquet with columns row, label, prediction, and probability_<class>.

        Args:
            numbers: [positions] row numbers in the source
        """
        names = pa.array(self.class_names)
        columns = {
            "row": numbers[self.rows],
            "label": names.take(pa.array(self.labels)),
            "prediction": names.take(pa.array(self.predicted)),
        }
        for name, column in zip(self.class_names, self.probabilities.T, strict=True):
            columns[f"probability_{name}"] = column
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            pa.parquet.write_table(pa.table(columns), temporary)
