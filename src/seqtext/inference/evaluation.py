"""Score a model on a labelled file, with the metrics of a run's test part."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from seqtext.config.metrics import build_custom_metrics
from seqtext.data.labels import (
    MAX_NAMED,
    are_booleans,
    find_class,
    is_missing_label,
    normalize_label,
    normalize_labels,
)
from seqtext.display import build_console
from seqtext.errors import UserError
from seqtext.files import write_json
from seqtext.metrics.custom import CustomMetrics
from seqtext.metrics.predictions import Predictions
from seqtext.metrics.result_warnings import find_warnings
from seqtext.metrics.score_table import build_score_table

log = logging.getLogger(__name__)

NO_LABEL, UNKNOWN = -1, -2  # instead of a class number
MAX_SHOWN = 20  # classes shown in a message


class LabeledEvaluation:
    """Collect the labels of a file and the model's logits of its rows.

    Labels are class names, normalized as in training (1.0 is "1"); case and white space matter only
    if two class names differ in nothing else. If no label of a file is a class name, and no class
    name contains a digit, labels may be class numbers from 0; for the classes true and false, 1 is
    true. Rows with a missing label are not scored.

    Args:
        column: column of the labels, for messages
        class_names: names of class 0, 1, …
        path: path of the file, for messages
        drop_labels: labels whose rows were dropped in training, and are not scored
    """

    def __init__(
        self,
        column: str,
        class_names: Sequence[str],
        path: Path,
        drop_labels: Sequence[str] = (),
    ):
        self.drop_labels = drop_labels
        self.column, self.class_names, self.path = column, list(class_names), path
        self._class_of = {normalize_label(name): n for n, name in enumerate(class_names)}
        has_digits = any(character.isdigit() for name in class_names for character in name)
        is_clear = has_digits or are_booleans(self._class_of)
        self._numbers = [] if is_clear else [*map(str, range(len(class_names)))]
        self.count = self.missing = 0
        self._first: dict[str, int] = {}  # first row of each label
        self._rows: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        self._logits: list[Tensor] = []

    def add(self, labels: pa.Array, logits: Tensor) -> None:
        """Add a block of rows.

        Raises:
            UserError: for the first row whose label is not a class.
        """
        encoded = normalize_labels(labels).dictionary_encode()
        names, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        classes = np.array([self.find_class_number(name) for name in names], np.int64)[codes]
        for code in np.flatnonzero(np.bincount(codes, minlength=len(names))):
            place = int((codes == code).argmax())
            self._first.setdefault(names[code], self.count + place)
        if (unknown := classes == UNKNOWN).any():
            place = int(unknown.argmax())
            raise self._build_unknown_label_error(self.count + place, labels[place].as_py())
        kept = np.flatnonzero(classes != NO_LABEL)
        self._rows.append(self.count + kept)
        self._labels.append(classes[kept])
        self._logits.append(logits[torch.from_numpy(kept)])
        self.count += len(labels)
        self.missing += len(labels) - len(kept)

    def predictions(self, threshold: float, is_ordinal: bool = False) -> Predictions:
        """Return the predictions of all rows.

        Args:
            is_ordinal: whether the model is one of ordered classes

        Raises:
            UserError: if there are no labelled rows, or the meaning of the labels is ambiguous.
        """
        if self.count == self.missing:
            what = "no rows with a label" if self.count else "no rows"
            raise UserError(f"{self.path} has {what}: there is nothing to score.")
        self._check_numbers()
        labels, logits = np.concatenate(self._labels), torch.cat(self._logits)
        rows = np.concatenate(self._rows)
        names = self.class_names
        return Predictions(rows, labels, logits, names, threshold, is_ordinal=is_ordinal)

    def notes(self) -> list[str]:
        """Return sentences about how labels were interpreted."""
        notes = []
        if self.missing:
            notes.append(
                f"{self.missing:,} of {self.count:,} rows have no label, or one that training left "
                f"out: they are not scored."
            )
        if numbers := self._list_used_numbers():
            names = ", ".join(f"{number} as {self.class_names[int(number)]}" for number in numbers)
            notes.append(
                f"The labels in column {self.column!r} are numbers, read as the model's classes in "
                f"order: {names}. If they mean other classes, the scores are wrong: write names."
            )
        others = [label for label in self._first if label not in (*self._class_of, *numbers)]
        if taken := [label for label in others if self.find_class_number(label) >= 0]:
            names = ", ".join(
                f"{label!r} as {self.class_names[self.find_class_number(label)]!r}"
                for label in taken[:MAX_NAMED]
            )
            notes.append(f"Labels in column {self.column!r} are read in another spelling: {names}.")
        return notes

    def find_class_number(self, label: str) -> int:
        """Return the class number of a normalized label, `NO_LABEL` or `UNKNOWN`."""
        if is_missing_label(label, kept=self._class_of) or label in self.drop_labels:
            return NO_LABEL
        if label in self._numbers and label not in self._class_of:
            return int(label)
        name = find_class(label, list(self._class_of), ignore_case=True)
        return UNKNOWN if name is None else self._class_of[name]

    def _list_used_numbers(self) -> list[str]:
        used = [label for label in self._first if label in self._numbers]
        return sorted((label for label in used if label not in self._class_of), key=int)

    def _check_numbers(self) -> None:
        """Refuse numbers that are mixed with names, or may start at 1."""
        numbers = self._list_used_numbers()
        named = [
            label
            for label in self._first
            if label not in numbers and self.find_class_number(label) >= 0
        ]
        if numbers and named:
            raise self._build_unknown_label_error(self._first[numbers[0]], numbers[0])
        if numbers and "0" not in numbers:
            raise UserError(
                f"{self.path}, column {self.column!r}: the labels {', '.join(numbers)} may be "
                f"numbers from 0 or from 1 on: write the names of the classes, "
                f"{self._format_classes()}."
            )

    def _build_unknown_label_error(self, row: int, label: str) -> UserError:
        return UserError(
            f"{self.path}, row {row + 1}, column {self.column!r}: {label!r} is none of the classes "
            f"{self._format_classes()}."
        )

    def _format_classes(self) -> str:
        more = ", …" if len(self.class_names) > MAX_SHOWN else ""
        return ", ".join(self.class_names[:MAX_SHOWN]) + more


def build_metrics_if_allowed(options: Mapping[str, Any], classes: int) -> CustomMetrics | None:
    """Build the metrics that a training run added; leave out those that are not allowed.

    Args:
        options: settings of the metrics by name, which may be untrusted
    """
    allowed = {}
    for name, own in options.items():
        try:
            build_custom_metrics({name: own}, classes)
            allowed[name] = own
        except UserError as error:
            log.warning("A metric of the training run is left out: %s", error)
    return build_custom_metrics(allowed, classes)


def show_scores(predictions: Predictions, title: str, rows: str = "the file") -> None:
    """Print a table of all metrics, and warnings about them, which call the rows `rows`."""
    console = build_console(soft_wrap=True)
    console.print(
        build_score_table(title, {"value": predictions.compute_metrics()}, predictions.class_names)
    )
    for warning in find_warnings(rows, predictions):
        console.print(f"Warning: {warning}")


def write_scores(
    predictions: Predictions,
    folder: Path,
    title: str,
    notes: Sequence[str] = (),
    prediction_sets: Mapping[str, Any] | None = None,
) -> None:
    """Write scores.json and the figures of a run's test part.

    Args:
        notes: notes on how the labels were interpreted
        prediction_sets: scores of the rows' prediction sets; None: there are none
    """
    from seqtext.figures.files import write_figures
    from seqtext.figures.predictions import get_prediction_plots

    write_figures(get_prediction_plots(predictions, title), folder)
    facts: dict[str, Any] = {
        "rows": len(predictions.labels),
        "threshold": predictions.threshold,
        "warnings": [*notes, *find_warnings("the file", predictions)],
    }
    if prediction_sets:
        facts["prediction_sets"] = prediction_sets
    write_json(folder / "scores.json", {**facts, **predictions.compute_metrics()})
