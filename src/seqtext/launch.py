"""From Hydra's configuration to `run`: a new run, or one that goes on."""

import logging
import warnings
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from seqtext.cli import Refused, config_dir
from seqtext.options import UserError
from seqtext.results.checkpoint import DESCRIPTION, load_checkpoint
from seqtext.results.folder import RunFolder
from seqtext.run import describe, run


def launch(config: DictConfig) -> float | None:
    """`run` what the command line says; the best validation score. Or `describe` the data.

    Raises:
        UserError: if it cannot be; in a single run as the cause of `Refused`.
    """
    quieten_lightning()
    hydra = HydraConfig.get()
    folder = RunFolder(config.resume or hydra.runtime.output_dir)
    try:
        if config.resume:
            config_dir(config.resume, folder.path)
            settings = resumed_settings(folder, list(hydra.overrides.task))
        else:
            settings = OmegaConf.to_container(config, resolve=True)
        settings.pop("resume", None)
        if settings.pop("describe", False):
            return describe(settings, folder)
        return run(settings, folder, resume=bool(config.resume))
    except (UserError, OSError) as error:
        if not config.resume:
            folder.withdraw()
        if hydra.mode == RunMode.RUN:
            raise Refused from error
        raise


def resumed_settings(folder: RunFolder, overrides: list[str]) -> dict[str, Any]:
    """The settings that a run was started with; only ``trainer.*`` may be changed for the rest.

    Raises:
        UserError: if another option is to be changed, or one of a finished run.
    """
    if folder.last.exists():
        changed = OmegaConf.create(load_checkpoint(folder.last)[DESCRIPTION]["config"])
    else:  # killed within the first epoch
        changed = OmegaConf.load(folder.path / ".hydra" / "config.yaml")
        if not isinstance(changed, DictConfig):
            raise UserError(f"{folder.path}/.hydra/config.yaml is no configuration of a run.")
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.key_or_group == "resume":
            continue
        if not override.key_or_group.startswith("trainer."):
            raise UserError(
                f"{override.input_line} cannot be changed in the middle of a run: "
                f"resume= goes on with the run's own settings, only trainer.* may differ."
            )
        if folder.finished():
            raise UserError(
                f"{folder.path} is finished: without {override.input_line} its results are shown; "
                f"start a new run for longer training."
            )
        OmegaConf.update(changed, override.key_or_group, override.value())
    return OmegaConf.to_container(changed, resolve=True)


def quieten_lightning() -> None:
    """Its messages for information say nothing about the run, and some advertise."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*LeafSpec.*deprecated",  # Lightning's own use of torch
        ".*log_every_n_steps",  # metrics are logged at the ends of epochs
    ):
        warnings.filterwarnings("ignore", message=message)
