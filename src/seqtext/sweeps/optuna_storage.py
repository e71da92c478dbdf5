"""Optuna's storages, pruners and trials, by the names of the configuration."""

from pathlib import Path
from typing import Any

import optuna
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from seqtext.errors import UserError

STUDY = "study.journal"
PRUNERS = {
    "median": {"_target_": "optuna.pruners.MedianPruner"},
    "asha": {"_target_": "optuna.pruners.SuccessiveHalvingPruner", "reduction_factor": 3},
    "hyperband": {"_target_": "optuna.pruners.HyperbandPruner"},
}


def build_storage(config: DictConfig) -> BaseStorage:
    """Where the study is kept: a file beside the runs, which any file system can share."""
    url = config.sweeper.storage
    if url is not None:
        return RDBStorage(url)
    return JournalStorage(JournalFileBackend(str(Path(config.sweep.dir).absolute() / STUDY)))


def storage_name(config: DictConfig) -> str:
    """Where the study is kept, in words."""
    return config.sweeper.storage or str(Path(config.sweep.dir) / STUDY)


def study_name(config: DictConfig) -> str:
    """The sweep's name, unless it has one of its own."""
    return config.sweeper.study_name or Path(config.sweep.dir).name


def build_pruner(chosen: str | DictConfig | None) -> optuna.pruners.BasePruner:
    """Raises:
    UserError: if there is no such pruner.
    """
    if chosen is None:
        return optuna.pruners.NopPruner()
    if isinstance(chosen, str):
        if chosen not in PRUNERS:
            known = ", ".join(PRUNERS)
            raise UserError(f"hydra.sweeper.pruner={chosen} is not possible: known are {known}.")
        chosen = OmegaConf.create(PRUNERS[chosen])
    try:
        pruner = instantiate(chosen, _execution_whitelist_=("optuna.pruners.*",))
    except HydraException as error:
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split())
        raise UserError(f"hydra.sweeper.pruner is not possible: {reason}") from error
    if not isinstance(pruner, optuna.pruners.BasePruner):
        raise UserError(
            f"hydra.sweeper.pruner is not possible: it must be one of {', '.join(PRUNERS)}, or "
            f"name a class in optuna.pruners by _target_."
        )
    return pruner


def load_trial(config: DictConfig, number: int) -> optuna.Trial:
    """A trial that another process asked for."""
    storage, name = build_storage(config), study_name(config)
    pruner = build_pruner(config.sweeper.pruner)
    study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
    study_id = storage.get_study_id_from_name(name)
    return optuna.Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id, number))


def build_sampler(config: Any, earlier: int) -> Any:
    """A sampler; after earlier trials with another seed, which would repeat them otherwise."""
    if config.get("seed") is not None:
        config = OmegaConf.merge(config, {"seed": config.seed + earlier})
    allowed = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")
    return instantiate(config, _execution_whitelist_=allowed)
