"""Compare sequence models on text: every architecture on every data set, from configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

from seqtext.listing import (
    list_activations,
    list_choices,
    list_datasets,
    list_embeddings,
    list_experiments,
    list_groups,
    list_initializers,
    list_losses,
    list_metrics,
    list_models,
    list_optimizers,
    list_poolings,
    list_samplings,
    list_schedulers,
    list_tokenizers,
)

if TYPE_CHECKING:
    from seqtext.inference.estimator import TrainedClassifier

__all__ = [
    "list_activations",
    "list_choices",
    "list_datasets",
    "list_embeddings",
    "list_experiments",
    "list_groups",
    "list_initializers",
    "list_losses",
    "list_metrics",
    "list_models",
    "list_optimizers",
    "list_poolings",
    "list_samplings",
    "list_schedulers",
    "list_tokenizers",
    "load",
]
__version__ = "0.1.0"


def load(run: str | Path) -> "TrainedClassifier":
    """Load a run, the best run of a sweep, or a checkpoint file, with scikit-learn's methods.

    Args:
        run: folder of a run or of a sweep, or path of a checkpoint file

    Raises:
        UserError: if there is no usable trained model.
    """
    from seqtext.inference.estimator import TrainedClassifier  # takes seconds to import

    return TrainedClassifier(run).load()
