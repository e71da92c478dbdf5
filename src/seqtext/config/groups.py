"""List the configuration groups: what a group may build, and which arguments a run adds.

A new group needs an entry here and a folder in conf/. The command line, its messages and its help
page find the choices of a group in that folder (see `seqtext.config.available_options`).
"""

from dataclasses import dataclass
from pkgutil import resolve_name


@dataclass(frozen=True)
class ConfigGroup:
    """A group whose configuration names a class by `_target_`.

    Attributes:
        package: where its classes are defined
        bases: one of which each class extends, as ``module:name``; imported only on demand
        runtime_args: arguments of the constructor that a run gives; they are no options
        is_partial: the class is called later, with `runtime_args`
    """

    package: str
    bases: tuple[str, ...]
    runtime_args: tuple[str, ...] = ()
    is_partial: bool = False

    def load_bases(self) -> tuple[type, ...]:
        """Import the base classes."""
        return tuple(resolve_name(base) for base in self.bases)


GROUPS = {
    "dataset": ConfigGroup(
        "seqtext.datasets",
        ("lightning:LightningDataModule",),
        ("tokenizer", "split", "sampling", "class_weights", "seed", "cache"),
    ),
    "tokenizer": ConfigGroup("seqtext.tokenizers", ("seqtext.tokenizers.base:Tokenizer",)),
    "embedding": ConfigGroup("seqtext.embeddings", ("torch.nn:Module",), ("vocabulary_size",)),
    "model": ConfigGroup(
        "seqtext.models",
        ("lightning:LightningModule", "seqtext.models.non_neural:NonNeuralClassifier"),
        ("embedding", "classes", "features"),
    ),
    "optimizer": ConfigGroup(
        "torch.optim", ("torch.optim:Optimizer",), ("params",), is_partial=True
    ),
    "scheduler": ConfigGroup("seqtext.optim", ("seqtext.optim:Scheduler",)),
}
UNTARGETED = ("trainer", "split")  # groups of options that always build the same class
WITH_CHOICES = (*GROUPS, "trainer")  # groups that have a folder in conf/, without experiment
