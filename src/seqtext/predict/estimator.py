"""A trained model under scikit-learn's names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin

from seqtext.options import UserError
from seqtext.predict.explain import Explanation, explain
from seqtext.predict.predictor import Predictor

Texts = Sequence[str] | np.ndarray | pa.Array  # or a pandas Series


class TrainedClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of texts that was trained before: for scikit-learn's tools.

    Args:
        run: a run folder, a sweep's (its best run, by validation score) or a checkpoint
    """

    def __init__(self, run: str | Path):
        self.run = run

    def fit(self, texts: Any = None, labels: Any = None) -> "TrainedClassifier":
        """Load what was trained; `texts` and `labels` are not looked at.

        Raises:
            UserError: if there is no such run, or it cannot be used.
        """
        self.predictor_ = Predictor.of(self.run)
        self.classes_ = np.array(self.predictor_.class_names)
        return self

    def predict_proba(self, texts: Texts) -> np.ndarray:
        """[N] texts, None as an empty one → [N, C] float64, columns in the order of `classes_`.

        Raises:
            UserError: if these are no texts.
        """
        return self.predictor_.probabilities(self._logits(texts))

    def predict(self, texts: Texts) -> np.ndarray:
        """[N] texts → [N] names of classes, decided at the run's threshold."""
        return self.classes_[self.predictor_.decisions(self._logits(texts))]

    def explain(self, texts: Texts) -> list[Explanation]:
        """[N] texts → which words decided, for each; see `Explanation`.

        Raises:
            UserError: if these are no texts, or captum is needed and not installed.
        """
        return explain(self.predictor_, _strings(texts))

    def _logits(self, texts: Texts) -> Any:
        return self.predictor_.logits(_strings(texts))


def _strings(texts: Texts) -> pa.Array:
    if isinstance(texts, str | bytes):
        raise UserError("Texts come as a list: put the one text into [ ].")
    try:
        found = pa.array(texts, from_pandas=True)
        found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
        if pa.types.is_null(found.type) or pa.types.is_large_string(found.type):
            found = found.cast(pa.string())
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(f"Texts must be a list of strings: {error}") from error
    if not pa.types.is_string(found.type):
        raise UserError(f"Texts must be a list of strings, and these are {found.type}.")
    return found
