"""Build Optuna's storages, pruners, samplers, trials and search spaces from configuration."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import optuna
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from seqtext.config.unlisted_options import strip_unlisted_prefix
from seqtext.errors import UserError, format_reason

Numeric = FloatDistribution | IntDistribution

STUDY_FILE = "study.journal"
PRUNERS: dict[str, dict[str, Any]] = {
    "median": {"_target_": "optuna.pruners.MedianPruner"},
    "asha": {"_target_": "optuna.pruners.SuccessiveHalvingPruner", "reduction_factor": 3},
    "hyperband": {"_target_": "optuna.pruners.HyperbandPruner"},
}


def build_storage(config: DictConfig) -> BaseStorage:
    """Build the storage of the study: a journal file beside the runs, which processes share."""
    url = config.sweeper.storage
    if url is not None:
        return RDBStorage(url)
    return JournalStorage(JournalFileBackend(str(Path(config.sweep.dir).absolute() / STUDY_FILE)))


def get_storage_name(config: DictConfig) -> str:
    """Return the address of the study's storage, for messages."""
    return config.sweeper.storage or str(Path(config.sweep.dir) / STUDY_FILE)


def get_study_name(config: DictConfig) -> str:
    """Return the name of the study; by default, that of the sweep."""
    return config.sweeper.study_name or Path(config.sweep.dir).name


def build_pruner(chosen: str | DictConfig | None) -> optuna.pruners.BasePruner:
    """Build a pruner from its name or configuration.

    Raises:
        UserError: if the pruner is unknown or invalid.
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
        reason = format_reason(error.__cause__ or error)
        raise UserError(f"hydra.sweeper.pruner is not possible: {reason}.") from error
    if not isinstance(pruner, optuna.pruners.BasePruner):
        raise UserError(
            f"hydra.sweeper.pruner is not possible: it must be one of {', '.join(PRUNERS)}, or "
            f"name a class in optuna.pruners by _target_."
        )
    require_packages(pruner)
    return pruner


def require_packages(component: Any) -> None:
    """Check that the packages of a sampler or pruner, which Optuna imports late, are installed.

    Raises:
        UserError: if one is missing.
    """
    module = sys.modules[type(component).__module__]
    for imported in [value for value in vars(module).values() if isinstance(value, ModuleType)]:
        package = imported.__name__.partition(".")[0]
        if find_spec(package) is None:
            name = type(component).__name__
            raise UserError(f"{name} needs the package {package}: run pip install {package} first.")


def load_trial(config: DictConfig, number: int) -> optuna.Trial:
    """Load a trial that another process has created."""
    storage, name = build_storage(config), get_study_name(config)
    pruner = build_pruner(config.sweeper.pruner)
    study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
    study_id = storage.get_study_id_from_name(name)
    return optuna.Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id, number))


def build_sampler(config: Any, earlier: int) -> Any:
    """Build a sampler; the number of earlier trials changes its seed, to avoid repetitions.

    The seed of a grid is kept: it determines the order of the points, by which the study knows
    which ones are done.
    """
    if config.get("seed") is not None and not config.get("_partial_"):
        config = OmegaConf.merge(config, {"seed": config.seed + earlier})
    allowed = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")
    sampler = instantiate(config, _execution_whitelist_=allowed)
    require_packages(sampler)
    return sampler


def build_search_space(
    overrides: Sequence[Override],
) -> tuple[dict[str, BaseDistribution], dict[str, str], list[str]]:
    """Return swept options as Optuna distributions, fixed options, and deleted options.

    Raises:
        UserError: if an override cannot be sampled.
    """
    space: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    deleted: list[str] = []
    for override in overrides:
        if override.is_delete():
            deleted.append(str(override.input_line))
            continue
        with raise_as_user_error(f"{override.input_line} cannot be searched"):
            value = create_optuna_distribution_from_override(override)
            _require_finite_bounds(value)
        is_swept = isinstance(value, BaseDistribution)
        name = strip_unlisted_prefix(override.get_key_element())
        (space if is_swept else fixed)[name] = value
    return space, fixed, deleted


@contextmanager
def raise_as_user_error(what: str) -> Iterator[None]:
    """Convert Optuna's errors in the context to a sentence that starts with `what`."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__:
            cause = cause.__cause__
        raise UserError(f"{what}: {format_reason(cause)}.") from error


def _require_finite_bounds(value: Any) -> None:
    if isinstance(value, FloatDistribution) and not math.isfinite(value.high - value.low):
        raise ValueError("its two ends must be finite")


def get_bounds(distribution: BaseDistribution) -> tuple[Any, Any]:
    """Return the first and last value of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0], distribution.choices[-1]
    numeric = cast(Numeric, distribution)
    return numeric.low, numeric.high


def are_compatible(old: BaseDistribution, new: BaseDistribution) -> bool:
    """Return whether a study can contain both distributions, such as two ranges."""
    if CategoricalDistribution in (type(old), type(new)):
        return old == new
    return type(old) is type(new) and cast(Numeric, old).log == cast(Numeric, new).log
