"""Accept options without Hydra's ``+`` that a constructor has but its configuration file does not.

Hydra refuses such options before the classes are imported that know them. They are checked later,
against the type hints of the constructor (see `seqtext.config.instantiate.check_options`).
"""

from collections.abc import Sequence

from seqtext.config.available_options import list_choices, list_options, read_file_choices
from seqtext.config.groups import WITH_CHOICES
from seqtext.config.overrides import OVERRIDE


def allow_unlisted_options(arguments: Sequence[str]) -> list[str]:
    """Put ``++`` before the options of groups that a file of the group may not define.

    ``trainer.max_steps=100`` becomes ``++trainer.max_steps=100``; ``model.units=32`` is not changed
    if all models that the arguments choose define it. Without a choice it is the default one, or
    any of the group for an experiment.

    Args:
        arguments: command line arguments, including flags
    """
    has_experiment = any(argument.startswith("experiment=") for argument in arguments)
    defaults = {} if has_experiment else read_file_choices("config")
    chosen = {group: [choice] for group, choice in defaults.items()}
    for argument in arguments:
        group, _, choices = argument.partition("=")
        if group in WITH_CHOICES:
            chosen[group] = [choice.strip("'\" ") for choice in choices.split(",")]
    return [f"++{a}" if _is_unlisted(a, chosen) else a for a in arguments]


def strip_unlisted_prefix(key: str) -> str:
    """Return an option's name without the ``++`` that `allow_unlisted_options` puts before it."""
    name = key.removeprefix("++")
    return name if name.partition(".")[0] in WITH_CHOICES else key


def _is_unlisted(argument: str, chosen: dict[str, list[str]]) -> bool:
    found = OVERRIDE.fullmatch(argument)
    group, _, option = found[1].partition(".") if found else ("", "", "")
    if not option or group not in WITH_CHOICES:
        return False
    known = list_choices(group)
    choices = [choice for choice in chosen.get(group, ()) if choice in known] or known
    return not all(option in list_options(group, choice) for choice in choices)
