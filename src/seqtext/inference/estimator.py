"""scikit-learn estimator interface of trained models."""

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from seqtext.config.trust import allow_packages
from seqtext.errors import UserError, format_reason
from seqtext.inference.attribution import Explanation, explain
from seqtext.inference.ensemble import load_predictor
from seqtext.inference.predictor import Predictor

# Also a pandas Series, or a table with one column.
TextsLike: TypeAlias = Sequence[str] | np.ndarray | pa.Array


class TrainedClassifier(ClassifierMixin, BaseEstimator):
    """Text classifier with scikit-learn's interface; `load` loads it, `fit` trains a new one.

    Args:
        run: a run folder, a sweep's (its best run, by validation score) or a checkpoint; or
            several, whose probabilities are averaged
        plugins: packages whose classes the run may use
    """

    def __init__(self, run: str | Path | Sequence[str | Path], plugins: Sequence[str] = ()):
        self.run, self.plugins = run, plugins

    def fit(self, texts: TextsLike, labels: Any) -> "TrainedClassifier":
        """Train a new model with the settings of the run on other rows.

        The share ``split.val_size`` of the rows is used to select the best epoch, the others to
        train. No files are left, and the state of random number generators does not change.

        Args:
            texts: [N] texts
            labels: [N] classes of any sortable type

        Raises:
            UserError: if the run does not exist or cannot be used, or the rows are not valid for
                training.
        """
        from seqtext.inference.refit import train_on_rows  # imports much

        classes, numbers = _encode_classes(labels)
        strings = _convert_to_strings(texts)
        if len(strings) != len(numbers):
            raise UserError(f"There are {len(strings)} texts and {len(numbers)} labels.")
        names = cast(Any, classes.astype(str))
        with allow_packages(self.plugins):
            self.predictor_ = load_predictor(
                self._runs, lambda model: train_on_rows(model, strings, numbers, names)
            )
        self.classes_ = classes
        return self

    def load(self) -> "TrainedClassifier":
        """Load the trained model of the run.

        Raises:
            UserError: if the run does not exist or cannot be used.
        """
        with allow_packages(self.plugins):
            self.predictor_ = load_predictor(self._runs)
        self.classes_ = np.array(self.predictor_.class_names)
        return self

    def predict_proba(self, texts: TextsLike) -> np.ndarray:
        """Return float64 probabilities [N, C] in the order of `classes_`; None is an empty text.

        Raises:
            UserError: if `texts` has another type.
        """
        return self.predictor_.probabilities(self._predict_logits(texts))

    def predict(self, texts: TextsLike) -> np.ndarray:
        """Return the names of the predicted classes [N] at the run's threshold."""
        logits = self._predict_logits(texts)
        return self.classes_[self.predictor_.predict_classes(logits)]

    def explain(self, texts: TextsLike) -> list[Explanation]:
        """Return [N] explanations of texts, see `Explanation`.

        Raises:
            UserError: if `texts` has another type, captum is needed but not installed, or there
                are several models.
        """
        check_is_fitted(self, "predictor_")
        if not isinstance(self.predictor_, Predictor):
            raise UserError("explain() takes one model: load one run.")
        return explain(self.predictor_, _convert_to_strings(texts))

    @property
    def _runs(self) -> Sequence[str | Path]:
        return [self.run] if isinstance(self.run, str | Path) else self.run

    def _predict_logits(self, texts: TextsLike) -> Any:
        check_is_fitted(self, "predictor_")
        return self.predictor_.predict_logits(_convert_to_strings(texts))


def _encode_classes(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted classes, and [N] class numbers of the labels."""
    values = np.asarray(labels)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise UserError("Labels must be one class for each text.")
    try:
        classes, numbers = np.unique(values, return_inverse=True)
    except TypeError as error:
        raise UserError("Labels must be all of one type, and none of them None.") from error
    if len(classes) < 2 or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        raise UserError("Labels must be of two or more classes, and none of them missing.")
    return classes, numbers


def _convert_to_strings(texts: TextsLike) -> pa.Array:
    if isinstance(texts, str | bytes):
        raise UserError("Texts come as a list: put the one text into [ ].")
    if isinstance(texts, Mapping | Set):  # iterating yields names, or has no order
        kind = type(texts).__name__
        raise UserError(f"Texts must be a list of strings, and this is a {kind}.")
    if hasattr(texts, "columns"):  # a DataFrame
        if len(texts.columns) != 1:
            raise UserError(
                f"Texts must be one column, and the table has {len(texts.columns)}: choose one, as "
                f"in table['text']."
            )
        texts = cast(Any, texts).iloc[:, 0]
    elif isinstance(texts, np.ndarray) and texts.ndim == 2 and texts.shape[1] == 1:
        texts = texts[:, 0]
    try:
        found = pa.array(texts, from_pandas=True)
        found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
        if pa.types.is_dictionary(found.type):  # pandas' categories
            found = found.dictionary_decode()
        if pa.types.is_null(found.type) or pa.types.is_large_string(found.type):
            found = found.cast(pa.string())
    except (pa.ArrowException, TypeError, ValueError) as error:
        wrong = _find_wrong_text(texts)
        reason = wrong or format_reason(error)
        raise UserError(f"Texts must be a list of strings: {reason}.") from error
    if not pa.types.is_string(found.type):
        raise UserError(f"Texts must be a list of strings, and these are {found.type}.")
    return found


def _find_wrong_text(texts: Any) -> str:
    """Name the first text that is neither a string nor missing; "" if there is none."""
    for number, text in enumerate(texts if isinstance(texts, Iterable) else []):
        try:
            pa.array([text], pa.string(), from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as error:
            kind = type(text).__name__
            reason = format_reason(error) if kind == "str" else f"is of type {kind}"
            return f"number {number}, counted from 0, {reason}"
    return ""
