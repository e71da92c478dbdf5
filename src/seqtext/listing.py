"""List what a run can choose from, by the configuration files and the names in the code."""

from collections.abc import Mapping, Sequence

from seqtext import choices
from seqtext.config import available_options
from seqtext.config.conf_dir import find_conf_dir

NAMED_VALUES: Mapping[str, Sequence[str]] = {  # options with names that no file defines
    "sampling": choices.SAMPLINGS,
    "model.pooling": choices.POOLINGS,
    "model.activation": choices.ACTIVATIONS,
    "model.init": choices.INITIALIZERS,
}


def describe_choices() -> str:
    """Format all groups and named values for the help page."""
    return available_options.describe_groups(NAMED_VALUES)


def list_groups() -> list[str]:
    """List the configuration groups, each a word of the command line."""
    _use_conf_dir()
    return available_options.list_groups()


def list_choices(group: str) -> list[str]:
    """List the choices of a configuration group.

    Raises:
        ValueError: if there is no such group.

    Examples:
        >>> list_choices("tokenizer")  # doctest: +SKIP
        ['words']
    """
    if group not in (known := list_groups()):
        raise ValueError(f"There is no group {group}: known are {', '.join(known)}.")
    return available_options.list_choices(group)


def list_models() -> list[str]:
    """List the choices of ``model=``."""
    return list_choices("model")


def list_datasets() -> list[str]:
    """List the choices of ``dataset=``."""
    return list_choices("dataset")


def list_tokenizers() -> list[str]:
    """List the choices of ``tokenizer=``."""
    return list_choices("tokenizer")


def list_embeddings() -> list[str]:
    """List the choices of ``embedding=``."""
    return list_choices("embedding")


def list_losses() -> list[str]:
    """List the choices of ``loss=``."""
    return list_choices("loss")


def list_objectives() -> list[str]:
    """List the choices of ``objectives=``."""
    return list_choices("objectives")


def list_callbacks() -> list[str]:
    """List the choices of ``callbacks=``."""
    return list_choices("callbacks")


def list_loggers() -> list[str]:
    """List the choices of ``logger=``."""
    return list_choices("logger")


def list_optimizers() -> list[str]:
    """List the choices of ``optimizer=``."""
    return list_choices("optimizer")


def list_schedulers() -> list[str]:
    """List the choices of ``scheduler=``."""
    return list_choices("scheduler")


def list_experiments() -> list[str]:
    """List the choices of ``experiment=``."""
    return list_choices("experiment")


def list_metrics() -> list[str]:
    """List the metrics that ``monitor=val/<metric>`` can name.

    The recall of each class (``recall_<class>``, of more than two classes) and the metrics of
    ``metrics=`` are added to these.
    """
    from seqtext.metrics.calibration import CALIBRATION_METRICS
    from seqtext.metrics.definitions import get_count_metrics, list_ranking_metrics

    names = {"loss", *CALIBRATION_METRICS}
    for class_names in (("0", "1"), ()):
        names |= {*get_count_metrics(class_names), *list_ranking_metrics(class_names)}
    return sorted(names)


def list_samplings() -> list[str]:
    """List the values of ``sampling=``."""
    return list(choices.SAMPLINGS)


def list_poolings() -> list[str]:
    """List the values of ``model.pooling=``."""
    return list(choices.POOLINGS)


def list_activations() -> list[str]:
    """List the values of ``model.activation=`` and ``model.head_activation=``."""
    return list(choices.ACTIVATIONS)


def list_initializers() -> list[str]:
    """List the values of ``model.init=``."""
    return list(choices.INITIALIZERS)


def _use_conf_dir() -> None:
    """Read this package's conf/, unless a command line has set the folders."""
    if not available_options.list_groups():
        available_options.set_command_line([find_conf_dir()], {})
