"""What of the composed configuration are a run's settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

NOT_SETTINGS = ("name", "resume", "best_of", "describe")  # they say what is to be done
OF_THE_MACHINE = ("cache", "checkpoint_minutes", "dataset.dir", "dataset.download")
ABSENT = "absent"


def settings_in(config: DictConfig) -> dict[str, Any]:
    """The settings of a run, as plain values."""
    own = [name for name in config if name not in (*NOT_SETTINGS, "hydra")]
    return OmegaConf.to_container(OmegaConf.masked_copy(config, own), resolve=True)


def changed_by(overrides: list[str], config: DictConfig, settings: dict[str, Any]) -> dict:
    """`settings` with what the overrides say, as `config`, composed with them, has it.

    Args:
        overrides: of options and groups; those in `NOT_SETTINGS` change nothing
        config: the composed configuration
        settings: of another run
    """
    changed = OmegaConf.create(settings)
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        if key not in NOT_SETTINGS:
            OmegaConf.update(changed, key, OmegaConf.select(config, key), merge=False)
    return OmegaConf.to_container(changed, resolve=True)


def first_difference(
    stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """The first option that two settings disagree on: its name, and both values.

    Options that say where things lie on this machine may differ.
    """
    one, other = dict(_flat(stored)), dict(_flat(wanted))
    for option in dict.fromkeys([*other, *one]):
        values = one.get(option, ABSENT), other.get(option, ABSENT)
        if option not in OF_THE_MACHINE and values[0] != values[1]:
            return option, *values
    return None


def options_in(settings: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    """Nested settings as ``group.option``, without some of them and what names classes."""
    return {
        option: value
        for option, value in _flat(settings)
        if option not in without and not option.rpartition(".")[2].startswith("_")
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
