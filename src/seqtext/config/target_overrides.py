"""Let ``<option>._target_=<class>`` name a class where the configuration has another value."""

import re
from collections.abc import Sequence

TARGET = re.compile(r"\+*([\w.]+)\._target_=.*", re.DOTALL)
REPLACED = ("loss", "optimizer", "scheduler", "tokenizer", "embedding")  # with all their options


def force_target_options(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, with ``++`` before all options of a class named by ``_target_``.

    So ``model.pooling._target_=`` replaces a plain value, ``+loss._target_=`` an existing target,
    and options that the configuration does not have are added without ``+``. The default choice of
    a group in `REPLACED` is left out, with its options.
    """
    named = {found[1] for found in map(TARGET.fullmatch, arguments) if found}
    removed = [f"~{g}" for g in REPLACED if g in named and not _is_chosen(g, arguments)]
    return [_force(argument, named) for argument in arguments] + removed


def _is_chosen(group: str, arguments: Sequence[str]) -> bool:
    return any(argument.startswith((f"{group}=", f"~{group}")) for argument in arguments)


def _force(argument: str, named: set[str]) -> str:
    option = argument.lstrip("+")
    is_part = any(option.startswith(f"{name}.") for name in named)
    return f"++{option}" if is_part and "=" in option else argument
