"""Parse the swept values of a command line: lists, ranges, glob patterns, experiments."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.types import RunMode
from omegaconf import DictConfig

from seqtext.config.available_options import is_base
from seqtext.config.error_messages import USER_ERRORS
from seqtext.errors import UserError

MAX_NAMED = 12  # choices in a message
EXPERIMENT = "experiment="


class Combination(NamedTuple):
    """Overrides of one job of a grid.

    swept: keys whose values differ between jobs
    hydra_overrides: overrides that undo the sweep of an experiment, for this one job of it
    """

    overrides: tuple[str, ...]
    swept: frozenset[str]
    hydra_overrides: tuple[str, ...] = ()


def join_arguments(params: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Join the values that a configuration sweeps with the command line's, which have priority.

    A key may be typed with ``+`` or ``++``.
    """
    typed = {_get_key(argument): argument for argument in arguments}
    keys = [_get_key(param) for param in params]
    placed = [typed.get(key, param) for key, param in zip(keys, params, strict=True)]
    return [*placed, *(argument for argument in arguments if _get_key(argument) not in keys)]


def _get_key(argument: str) -> str:
    return argument.partition("=")[0].lstrip("+~")


def build_combinations(
    overrides: Sequence[Override], config: DictConfig, loader: ConfigLoader
) -> list[Combination]:
    """Combine all swept values; of an experiment that is a grid itself, also with its values.

    Args:
        overrides: swept and other overrides, see `parse_overrides`
        config: configuration of the sweep
    """
    swept = _list_swept(overrides)
    combinations = [Combination(each, swept) for each in _multiply(overrides)]
    if config.hydra.runtime.choices.get("experiment"):  # of all jobs: `config` has its values
        return combinations
    grids = {
        each: _read_grid(each, config, loader)
        for combination in combinations
        for each in combination.overrides
        if each.startswith(EXPERIMENT)
    }
    return [job for each in combinations for job in _expand(each, grids)]


def _expand(
    combination: Combination, grids: Mapping[str, Sequence[Override]]
) -> Iterator[Combination]:
    """Yield a job for each combination of an experiment's values; the command line's go first."""
    given = {_get_key(override) for override in combination.overrides}
    grid = next((grids[each] for each in combination.overrides if each in grids), [])
    if not grid:
        yield combination
        return
    added = [each for each in grid if each.get_key_element().lstrip("+") not in given]
    for values in _multiply(added):
        yield Combination(
            (*combination.overrides, *values),
            combination.swept | _list_swept(added),
            ("hydra.sweeper.params=null",),
        )


def _read_grid(experiment: str, config: DictConfig, loader: ConfigLoader) -> list[Override]:
    """Return the values that an experiment sweeps; nothing if it is one run, or a search."""
    arguments = [*config.hydra.overrides.hydra, experiment]
    try:
        hydra = loader.load_configuration("config", arguments, RunMode.MULTIRUN).hydra
        if hydra.runtime.choices["hydra/sweeper"] != config.hydra.runtime.choices["hydra/sweeper"]:
            return []
        values = [f"{key}={value}" for key, value in (hydra.sweeper.params or {}).items()]
        return parse_overrides(values, loader)
    except USER_ERRORS:  # composing the job raises it again
        return []


def _multiply(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    (combinations,) = BasicSweeper.split_arguments([*overrides], None)
    return [tuple(each) for each in combinations]


def _list_swept(overrides: Sequence[Override]) -> frozenset[str]:
    return frozenset(each.get_key_element() for each in overrides if each.is_sweep_override())


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
