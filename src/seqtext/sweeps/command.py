"""What a command line leaves unsaid, and Hydra must hear before it composes anything."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from seqtext.options import UserError
from seqtext.sweeps.winner import winner

MULTIRUN = "hydra.mode=MULTIRUN"  # what Hydra must hear of a sweep by name


def completed(arguments: list[str], conf: Path) -> list[str]:
    """The arguments, and those that follow from them.

    An experiment that is a sweep needs no ``-m``: Hydra takes the mode from the first file alone.
    With ``best_of=``, the winner's groups are chosen, so that its options can be overridden.

    Args:
        arguments: of the command line
        conf: the configuration's folder

    Raises:
        UserError: if there is no winner.
    """
    said = dict(a.split("=", 1) for a in arguments if "=" in a)
    added = []
    experiment = f"experiment/{said.get('experiment')}.yaml"
    files = [folder / experiment for folder in (*_config_dirs(arguments), conf)]
    if "hydra.mode" not in said and any(_is_sweep(file) for file in files):
        added.append(MULTIRUN)
    if folder := said.get("best_of"):
        if "experiment" in said:
            raise UserError("best_of= and experiment= cannot go together: both name all settings.")
        default = _choices(_read(conf / "config.yaml"))
        chosen = winner(folder).choices
        added += [f"{g}={c}" for g, c in chosen.items() if g not in said and default.get(g) != c]
    return [*arguments, *added]


def _config_dirs(arguments: list[str]) -> list[Path]:
    flags = ("-cd", "--config-dir")
    return [Path(folder) for flag, folder in pairwise(arguments) if flag in flags]


def _is_sweep(experiment: Path) -> bool:
    hydra = _read(experiment).get("hydra") or {}
    return hydra.get("mode") == "MULTIRUN"


def _choices(config: dict[str, Any]) -> dict[str, str]:
    defaults = [entry for entry in config["defaults"] if isinstance(entry, dict)]
    return {group: choice for entry in defaults for group, choice in entry.items()}


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text("utf-8")) or {} if file.is_file() else {}
