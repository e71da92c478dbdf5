"""Derive the settings of a run from Hydra's composed configuration."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from seqtext.files import build_damaged_file_error, read_yaml
from seqtext.identity import GROUPS_WITHOUT_EFFECT, flatten_settings

CONTROL_OPTIONS = (  # they select the action
    *("name", "resume", "from_best", "mode", "checkpoint", "plugins", "race"),
)
MACHINE_OPTIONS = (
    "checkpoint_minutes",
    "dataset.dir",
    "dataset.download",
)  # not logged


def to_run_config(config: DictConfig) -> dict[str, Any]:
    """Return the settings of a run as plain values, without Hydra's and control options."""
    own = [str(name) for name in config if name not in (*CONTROL_OPTIONS, "hydra")]
    settings = OmegaConf.to_container(OmegaConf.masked_copy(config, own), resolve=True)
    return cast(dict[str, Any], settings)


def read_choices(run: Path) -> dict[str, str]:
    """Return the choice of each configuration group from which a run was composed.

    Raises:
        UserError: if the run's hydra.yaml is damaged; if it is missing, the result is empty.
    """
    path = run / ".hydra" / "hydra.yaml"
    try:
        choices = read_yaml(path)["hydra"]["runtime"]["choices"]
        chosen = {str(group): str(choice) for group, choice in choices.items() if choice}
    except FileNotFoundError:
        return {}
    except (LookupError, TypeError, AttributeError) as error:
        raise build_damaged_file_error(path, "it names no choices") from error
    if not all(re.fullmatch(r"[\w./-]+", choice) for choice in chosen.values()):
        raise build_damaged_file_error(path)
    return chosen


def apply_overrides(overrides: list[str], config: DictConfig, settings: dict[str, Any]) -> dict:
    """Apply overrides to the settings of another run.

    The values are taken from `config`, which was composed with the overrides.

    Args:
        overrides: overrides of options and groups; `CONTROL_OPTIONS` are ignored
        config: composed configuration
        settings: settings of another run
    """
    changed = OmegaConf.create(settings)
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        if key not in CONTROL_OPTIONS:
            OmegaConf.update(changed, key, OmegaConf.select(config, key), merge=False)
    return cast(dict[str, Any], OmegaConf.to_container(changed, resolve=True))


def flatten_options(settings: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    """Flatten nested settings to ``group.option``, without `without` and ``_target_``."""
    return {
        option: value
        for option, value in flatten_settings(settings)
        if option not in without
        and not option.startswith(GROUPS_WITHOUT_EFFECT)
        and not option.rpartition(".")[2].startswith("_")
    }
