"""Compare sequence models on text: every architecture on every data set, from configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqtext.inference.estimator import TrainedClassifier

__version__ = "0.1.0"


def load(run: str | Path) -> "TrainedClassifier":
    """Load a trained model with scikit-learn's `predict`, `predict_proba` and `classes_`.

    Args:
        run: a run folder, a sweep's (its best run, by validation score) or a checkpoint

    Raises:
        UserError: if no model is found there, or it cannot be loaded.
    """
    from seqtext.inference.estimator import TrainedClassifier  # takes seconds to import

    return TrainedClassifier(run).load()
