"""Compare sequence models on text: every architecture on every data set, from configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtext.listing import (
    list_activations,
    list_callbacks,
    list_choices,
    list_datasets,
    list_embeddings,
    list_experiments,
    list_groups,
    list_initializers,
    list_loggers,
    list_losses,
    list_metrics,
    list_models,
    list_objectives,
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
    "list_callbacks",
    "list_choices",
    "list_datasets",
    "list_embeddings",
    "list_experiments",
    "list_groups",
    "list_initializers",
    "list_loggers",
    "list_losses",
    "list_metrics",
    "list_models",
    "list_objectives",
    "list_optimizers",
    "list_poolings",
    "list_samplings",
    "list_schedulers",
    "list_tokenizers",
    "load",
    "train",
]
__version__ = "0.1.0"


def load(
    run: str | Path | Sequence[str | Path], plugins: Sequence[str] = ()
) -> "TrainedClassifier":
    """Load a run, the best run of a sweep, or a checkpoint file, with scikit-learn's methods.

    Args:
        run: folder of a run or of a sweep, or path of a checkpoint file; or a list of them, whose
            probabilities (and thresholds) are averaged
        plugins: packages, such as "my_project", whose classes the run may use

    Raises:
        UserError: if there is no usable trained model.
    """
    from seqtext.inference.estimator import TrainedClassifier  # takes seconds to import

    return TrainedClassifier(run, plugins).load()


def train(config_dir: str | Path | None = None, **options: Any) -> dict[str, Any]:
    """Train one model and test it once, as the command line does, into a new run folder.

    Args:
        config_dir: folder with own configuration files, as ``--config-dir``
        options: groups and options of the command line, with Python values

    Returns:
        The content of metrics.json, and the run's folder as "run". It is empty on ranks other than
        0 of torchrun or srun.

    Raises:
        UserError: if an option is invalid or a file is missing.

    Examples:
        >>> scores = train(model="gru", **{"model.units": 64})  # doctest: +SKIP
        >>> scores["test"]["accuracy"], load(scores["run"])  # doctest: +SKIP
    """
    from seqtext.api import run_training

    return run_training(options, config_dir)
