"""Prediction sets of ``coverage=``: the classes of which one is the true one, as often as asked."""

from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from seqtext.display import make_printable
from seqtext.errors import UserError
from seqtext.inference.predictor import Predictor, TextPredictor
from seqtext.metrics.conformal import build_prediction_sets, find_score_limit
from seqtext.metrics.predictions import Predictions


class PredictionSets:
    """Builds sets of classes from a model's probabilities, see `seqtext.metrics.conformal`.

    Args:
        predictor: a trained model, which has the scores of its validation part
        coverage: smallest probability that a set contains the true class

    Raises:
        UserError: if the model has no such scores, or of too few rows.
    """

    def __init__(self, predictor: Predictor, coverage: float):
        scores = predictor.loaded_model.conformal_scores
        if scores is None:
            raise UserError(
                f"coverage={coverage:g} is not possible: the run was trained by an earlier "
                f"version, or has not finished. Train it again."
            )
        self.predictor: TextPredictor = predictor
        self.coverage = coverage
        self.limit = find_score_limit(scores, coverage)

    def build(self, logits: Tensor) -> np.ndarray:
        """Return [N, C] whether each class is in the set of each text."""
        probabilities = self.predictor.probabilities(logits)
        return build_prediction_sets(
            probabilities, self.predictor.predict_classes(logits), self.limit
        )

    def build_columns(self, logits: Tensor) -> dict[str, pa.Array]:
        """Return a boolean column in_set_<class> for each class."""
        sets = self.build(logits)
        names = self.predictor.class_names
        return {f"in_set_{name}": pa.array(sets[:, n]) for n, name in enumerate(names)}

    def evaluate(self, predictions: Predictions) -> dict[str, Any]:
        """Return the share of labelled rows whose set contains the true class, and their sizes."""
        sets = build_prediction_sets(predictions.probabilities, predictions.predicted, self.limit)
        is_covered = sets[np.arange(len(sets)), predictions.labels]
        by_class = {
            name: float(is_covered[predictions.labels == number].mean())
            for number, name in enumerate(predictions.class_names)
            if (predictions.labels == number).any()
        }
        return {
            "requested": self.coverage,
            "coverage": float(is_covered.mean()),
            "mean_size": float(sets.sum(axis=1).mean()),
            "one_class": float((sets.sum(axis=1) == 1).mean()),
            "coverage_by_class": by_class,
        }


def describe_sets(found: dict[str, Any]) -> str:
    """Return a sentence on the values of `PredictionSets.evaluate`."""
    by_class = found["coverage_by_class"]
    rarest = min(by_class, key=by_class.__getitem__)
    return (
        f"{found['coverage']:.1%} of the sets contain the true class "
        f"(coverage={found['requested']:g}); they have {found['mean_size']:.2f} classes on "
        f"average, and {found['one_class']:.1%} have one. The share is smallest for the class "
        f"{make_printable(repr(rarest))}: {by_class[rarest]:.1%}."
    )
