"""List the configuration groups: classes that a group may build, and runtime arguments.

A new group needs an entry here and a folder in conf/. The command line, its messages and the help
page list the choices of a group from that folder (see `seqtext.config.available_options`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, Literal

from seqtext.validation import PositiveInt


@dataclass(frozen=True)
class ConfigGroup:
    """Describes a group whose configuration names a class by `_target_`.

    Attributes:
        packages: packages with the classes that stored settings may name
        bases: allowed base classes, as ``module:name``, imported on demand
        runtime_args: constructor arguments that the run passes, which are not options
        is_partial: whether the class is called later, with `runtime_args`
        has_functions: whether `_target_` may also be a function, called later with `runtime_args`
        own_options: type hints of options of the group that are not the class's
    """

    packages: tuple[str, ...]
    bases: tuple[str, ...]
    runtime_args: tuple[str, ...] = ()
    is_partial: bool = False
    has_functions: bool = False
    own_options: Mapping[str, Any] = field(default_factory=dict)

    def load_bases(self) -> tuple[type, ...]:
        """Import the base classes."""
        return tuple(resolve_name(base) for base in self.bases)


GROUPS = {
    "dataset": ConfigGroup(
        ("seqtext.datasets",),
        ("seqtext.datasets.base:TextDataModule",),
        ("tokenizer", "split", "sampling", "class_weights", "seed", "cache"),
    ),
    "tokenizer": ConfigGroup(("seqtext.tokenizers",), ("seqtext.tokenizers.base:Tokenizer",)),
    "embedding": ConfigGroup(("seqtext.embeddings",), ("torch.nn:Module",), ("vocabulary_size",)),
    "model": ConfigGroup(
        ("seqtext.models",),
        ("seqtext.models.base:TextClassifier", "seqtext.models.non_neural:NonNeuralClassifier"),
        ("embedding", "classes", "features", "layer_options"),
    ),
    "loss": ConfigGroup(
        ("seqtext.losses",),
        ("torch.nn:Module",),
        ("logits", "labels", "class_weights", "class_counts"),
        has_functions=True,
    ),
    "optimizer": ConfigGroup(
        ("torch.optim", "seqtext.optim"),
        ("torch.optim:Optimizer",),
        ("params",),
        is_partial=True,
    ),
    "scheduler": ConfigGroup(
        ("torch.optim.lr_scheduler", "seqtext.optim"),
        ("torch.optim.lr_scheduler:LRScheduler",),
        ("optimizer", "last_epoch"),
        own_options={"interval": Literal["step", "epoch"] | None, "frequency": PositiveInt},
    ),
}
PARTS = {  # classes that options name, by the option
    "metrics": ConfigGroup(("torchmetrics",), ("torchmetrics:Metric",)),
    "model.pooling": ConfigGroup(
        ("seqtext.layers",),
        ("torch.nn:Module",),
        (
            "features",
            "layer_options",
        ),
    ),
}
UNTARGETED = ("trainer", "split")  # groups without `_target_`, which build one class
LISTS = ("callbacks", "logger", "objectives")  # groups of any number of objects
WITH_CHOICES = (*GROUPS, "trainer", "metrics", *LISTS)  # groups with a folder in conf/
