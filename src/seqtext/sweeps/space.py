"""Parse the swept values of a command line: lists, ranges, glob patterns."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override

from seqtext.config.available_options import is_base
from seqtext.errors import UserError

MAX_NAMED = 12  # choices in a message


def parse_overrides(arguments: Sequence[str], loader: ConfigLoader) -> list[Override]:
    """Parse a sweep's arguments and expand ``glob()``.

    Raises:
        HydraException: if an argument cannot be parsed.
        UserError: if an argument has no values.
    """
    parser = OverridesParser.create(config_loader=loader)
    overrides = []
    for parsed in parser.parse_overrides(list(arguments)):
        override = parsed
        if isinstance(parsed.value(), Glob):
            names = ",".join(_match_choices(parsed, loader))
            override = parser.parse_override(f"{parsed.get_key_element()}={names}")
        if override.is_discrete_sweep() and not any(True for _ in override.sweep_string_iterator()):
            raise UserError(f"{override.input_line} has no values: nothing would run.")
        overrides.append(override)
    return overrides


def _match_choices(override: Override, loader: ConfigLoader) -> list[str]:
    """List the choices of a group that match a ``glob()``.

    Raises:
        UserError: if no choice matches.
    """
    group, pattern = override.key_or_group, cast(Glob, override.value())
    names = sorted(_iter_choices(group, loader))
    if not names:
        raise UserError(f"{override.input_line}: {group} is no group of choices, as model is.")
    chosen = [
        name
        for name in names
        if _is_match(name, pattern.include) and not _is_match(name, pattern.exclude)
    ]
    if not chosen:
        known = ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
        raise UserError(f"{override.input_line} matches nothing: there are {known}.")
    return chosen


def _iter_choices(group: str, loader: ConfigLoader) -> Iterator[str]:
    """Yield the choices of a group; files in its subfolders are ``folder/name``."""
    yield from (name for name in loader.get_group_options(group) if not is_base(name))
    for folder in loader.get_group_options(group, ObjectType.GROUP):
        yield from (f"{folder}/{name}" for name in _iter_choices(f"{group}/{folder}", loader))


def _is_match(name: str, patterns: Sequence[str]) -> bool:
    """Match a name with patterns; as in a shell, ``*`` does not match ``/``."""
    steps = name.split("/")
    return any(
        len(steps) == len(parts) and all(map(fnmatchcase, steps, parts))
        for parts in (pattern.split("/") for pattern in patterns)
    )
