"""Add the overrides that Hydra needs before composing: sweep mode, groups of the best run."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from seqtext.best_run import read_best_run
from seqtext.config.available_options import (
    GLOBAL_GROUPS,
    describe_missing_choice,
    is_base,
    list_choices,
    list_groups,
    read_file_choices,
    set_command_line,
)
from seqtext.config.groups import LISTS
from seqtext.config.overrides import (
    MULTIRUN,
    UNLIMITED_EPOCHS,
    quote_values,
    read_override_values,
)
from seqtext.config.target_overrides import force_target_options
from seqtext.config.trust import set_own_folders
from seqtext.config.unlisted_options import allow_unlisted_options
from seqtext.errors import UserError
from seqtext.files import YAML_LOADER


def add_implied_overrides(arguments: list[str], conf: Path) -> list[str]:
    """Return the arguments and the overrides that they imply.

    An experiment that is a sweep implies ``-m``, since Hydra reads the mode from the primary config
    only. ``from_best=`` implies the groups of the best run, so that its options can be overridden.
    Values that Hydra's grammar cannot parse are quoted, and options of a constructor that no
    configuration file lists need no ``+``.

    Args:
        arguments: command line arguments
        conf: configuration folder

    Raises:
        UserError: if there is no best run, or an argument is invalid.
    """
    values = read_override_values(arguments)
    for group in GLOBAL_GROUPS:
        is_null = values.get(group, "").lower() == "null"  # same as without it
        if is_null:
            del values[group]
        removed = f"{group}=" if is_null else f"{group}=null"
        arguments = [a for a in arguments if not a.startswith(removed)]
    added = []
    if values.get("trainer.max_steps", "-1") != "-1" and "trainer.max_epochs" not in values:
        added.append(UNLIMITED_EPOCHS)
    experiment = f"experiment/{values.get('experiment')}.yaml"
    own = _find_config_dirs(arguments)
    folders = [*own, conf]
    set_command_line(folders, values)
    set_own_folders(own)
    _check_groups(values)
    _check_mode(values)
    arguments = [f"{a.partition('=')[0]}=[]" if _is_empty_list(a) else a for a in arguments]
    if "hydra.mode" not in values and _is_sweep(experiment, folders):
        added.append(MULTIRUN)
    if folder := values.get("from_best"):
        if "experiment" in values:
            raise UserError(
                "from_best= and experiment= cannot be combined: both define all settings."
            )
        if "debug" in values:
            raise UserError(
                "from_best= and debug= cannot be combined: set options of the trainer, such as "
                "trainer.fast_dev_run=true."
            )
        default = read_file_choices("config")
        chosen = read_best_run(folder).choices
        added += [f"{g}={c}" for g, c in chosen.items() if g not in values and default.get(g) != c]
        set_command_line(folders, read_override_values(added) | values)
    return quote_values(force_target_options(allow_unlisted_options([*arguments, *added])))


def _check_groups(values: dict[str, str]) -> None:
    """Refuse invalid names of choices, for which Hydra would print a traceback."""
    groups = [g for g in values if g in list_groups() or g.startswith("hydra/")]
    for group in groups:
        value = values[group]
        if group in LISTS or (group == "metrics" and value.startswith("[")):
            _check_list(group, value)
            continue
        is_list = value.startswith(("[", "{")) and group != "experiment"  # a list of choices
        if value.lower() == "null" or is_list:
            choices = ", ".join(list_choices(group))
            hint = f"it must be one of {choices}." if choices else "leave it out."
            raise UserError(f"{group}={value} is not possible: {hint}")
        for choice in filter(is_base, value.split(",")):
            raise UserError(describe_missing_choice(f"{group}/{choice}"))


def _check_mode(values: dict[str, str]) -> None:
    """Refuse ``mode=test`` without a checkpoint, and a checkpoint in another mode."""
    if values.get("mode") == "test" and "checkpoint" not in values:
        raise UserError("mode=test needs a trained model: give checkpoint=outputs/<run>.")
    if "checkpoint" in values and values.get("mode") != "test":
        raise UserError(
            "checkpoint= goes with mode=test, which evaluates it; resume=<run> continues a run."
        )


def _check_list(group: str, value: str) -> None:
    if "(" in value:  # glob(*) or choice([ema],[swa]), which the sweep reads
        return
    for choice in re.findall(r"[^][,\s'\"]+", value):
        if choice != "null" and (is_base(choice) or choice not in list_choices(group)):
            raise UserError(describe_missing_choice(f"{group}/{choice}"))


def _is_empty_list(argument: str) -> bool:
    """Return whether an argument is ``logger=null``, for which Hydra has only ``logger=[]``."""
    group, _, value = argument.partition("=")
    return group in LISTS and value.lower() == "null"


def _find_config_dirs(arguments: list[str]) -> list[Path]:
    flags = ("-cd", "--config-dir")
    given = [folder for flag, folder in pairwise(arguments) if flag in flags]
    given += [a.partition("=")[2] for a in arguments if a.startswith("--config-dir=")]
    return [Path(folder) for folder in given]


def _is_sweep(experiment: str, folders: Sequence[Path]) -> bool:
    """Return whether an experiment, or one that it extends by ``defaults``, is a sweep."""
    contents = [_read(folder / experiment) for folder in folders]
    if any((content.get("hydra") or {}).get("mode") == "MULTIRUN" for content in contents):
        return True
    bases = {
        base
        for content in contents
        for base in content.get("defaults") or ()
        if isinstance(base, str) and base != "_self_"
    }
    return any(_is_sweep(f"experiment/{base}.yaml", folders) for base in bases)


def _read(file: Path) -> dict[str, Any]:
    return yaml.load(file.read_text("utf-8"), YAML_LOADER) or {} if file.is_file() else {}
