"""From Hydra's configuration to `run`: a new run, or one that goes on."""

import logging
import warnings
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from seqtext.cli import Refused
from seqtext.options import UserError
from seqtext.results.checkpoint import DESCRIPTION, load_checkpoint
from seqtext.results.folder import RunFolder
from seqtext.run import run


def launch(config: DictConfig) -> float:
    """`run` what the command line says; the best validation score.

    Raises:
        UserError: if it cannot be; in a single run as the cause of `Refused`.
    """
    _quieten_lightning()
    hydra = HydraConfig.get()
    folder = RunFolder(hydra.runtime.output_dir)
    try:
        if config.resume:
            settings = resumed_settings(folder, list(hydra.overrides.task))
        else:
            settings = OmegaConf.to_container(config, resolve=True)
        settings.pop("resume", None)
        return run(settings, folder, resume=bool(config.resume))
    except UserError as error:
        if hydra.mode == RunMode.RUN:
            raise Refused from error
        raise


def resumed_settings(folder: RunFolder, overrides: list[str]) -> dict[str, Any]:
    """The settings that a run was started with; only ``trainer.*`` may be changed for the rest.

    Raises:
        UserError: if the folder holds no run, or another option is to be changed.
    """
    written = folder.path / ".hydra" / "config.yaml"
    if folder.last.exists():
        settings = load_checkpoint(folder.last)[DESCRIPTION]["config"]
    elif written.exists():  # killed within the first epoch
        settings = OmegaConf.to_container(OmegaConf.load(written), resolve=True)
    else:
        raise UserError(f"resume={folder.path}: there is no run in this folder.")
    changed = OmegaConf.create(settings)
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.key_or_group == "resume":
            continue
        if not override.key_or_group.startswith("trainer."):
            raise UserError(
                f"{override.input_line} cannot be changed in the middle of a run: "
                f"resume= goes on with the run's own settings, only trainer.* may differ."
            )
        OmegaConf.update(changed, override.key_or_group, override.value())
    return OmegaConf.to_container(changed)


def _quieten_lightning() -> None:
    """Its messages for information say nothing about the run, and some advertise."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*deprecated")  # Lightning's use of torch
