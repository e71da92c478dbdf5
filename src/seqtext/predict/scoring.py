"""How well a model does on a file whose labels are known, as a run's test part tells it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from seqtext.display import build_console
from seqtext.files import write_json
from seqtext.options import UserError
from seqtext.results.predictions import Predictions
from seqtext.results.result_warnings import find_warnings
from seqtext.results.score_table import build_score_table


class Truth:
    """The labels of a file, and what the model said of its rows.

    Labels are the classes' names; or their numbers from 0, unless a class is named by a number.

    Args:
        column: of the labels, for messages
        class_names: of class 0, 1, …
        path: of the file, for messages
    """

    def __init__(self, column: str, class_names: Sequence[str], path: Path):
        self.column, self.class_names, self.path = column, list(class_names), path
        named_by_number = any(name.lstrip("+-").isdecimal() for name in class_names)
        numbers = [] if named_by_number else list(map(str, range(len(class_names))))
        self._known = pa.array([*class_names, *numbers], pa.string())
        self.count = 0
        self._labels: list[np.ndarray] = []
        self._logits: list[Tensor] = []

    def add(self, labels: pa.Array, logits: Tensor) -> None:
        """Further rows.

        Raises:
            UserError: naming the first row whose label is no class.
        """
        found = pc.index_in(pc.utf8_trim_whitespace(labels), value_set=self._known)
        if found.null_count:
            place = pc.index(pc.is_null(found), True).as_py()
            raise UserError(
                f"{self.path}, row {self.count + place + 1}, column {self.column!r}: "
                f"{labels[place].as_py()!r} is none of the classes {', '.join(self.class_names)}."
            )
        self._labels.append(found.to_numpy().astype(np.int64) % len(self.class_names))
        self._logits.append(logits)
        self.count += len(labels)

    def predictions(self, threshold: float) -> Predictions:
        """Of all rows.

        Raises:
            UserError: if there are none.
        """
        if not self.count:
            raise UserError(f"{self.path} has no rows: there is nothing to score.")
        labels, logits = np.concatenate(self._labels), torch.cat(self._logits)
        rows = np.arange(self.count)
        return Predictions(rows, labels, logits, self.class_names, threshold)


def show_scores(predictions: Predictions, title: str) -> None:
    """Print a table of every metric, and what makes them doubtful."""
    console = build_console(soft_wrap=True)
    console.print(
        build_score_table(title, {"value": predictions.scores()}, predictions.class_names)
    )
    for warning in find_warnings("the file", predictions):
        console.print(f"Warning: {warning}")


def write_scores(predictions: Predictions, folder: Path, title: str) -> None:
    """scores.json and the figures of a run's test part."""
    from seqtext.results.figures import figures
    from seqtext.results.pictures import write_figures

    write_figures(figures(predictions, title), folder)
    facts = {
        "rows": len(predictions.labels),
        "threshold": predictions.threshold,
        "warnings": find_warnings("the file", predictions),
    }
    write_json(folder / "scores.json", {**facts, **predictions.scores()})
