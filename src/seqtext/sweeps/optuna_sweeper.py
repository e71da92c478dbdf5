"""Hydra's Optuna sweeper, extended by resuming, pruning and cross-validation."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, OmegaConf

from seqtext.errors import OptionError, UserError, build_unknown_option_error
from seqtext.validation import PositiveInt, validate

OPTION_GROUP = "hydra.sweeper"
OPTION_TYPES = {
    "n_trials": PositiveInt,
    "n_jobs": PositiveInt | None,
    "folds": Annotated[int, Ge(2)] | None,
    "max_failure_rate": Annotated[float, Interval(ge=0, le=1)],
    "study_name": str | None,
    "storage": str | None,
    "custom_search_space": str | None,
    "direction": Literal["minimize", "maximize"] | None,
    "params": dict | None,
    "pruner": dict | str | None,
    "sampler": dict,
}


class OptunaSweeper(Sweeper):
    """Sweeper that Hydra instantiates; Optuna is imported only by `setup`."""

    def __init__(self, **options: Any):
        self.options = options

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Create the launcher.

        Raises:
            UserError: if an option is unknown or invalid.
        """
        _check(self.options)
        from seqtext.sweeps.optuna_study import StudySweeper

        self.sweeper = StudySweeper(**self.options)
        self.sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Run the search."""
        self.sweeper.sweep(arguments)


def _check(options: Mapping[str, Any]) -> None:
    if isinstance(sampler := options.get("sampler"), str):
        raise UserError(
            f"{OPTION_GROUP}.sampler={sampler} is not possible: the sampler is chosen by "
            f"hydra/sweeper/sampler={sampler}."
        )
    for name in options:
        if name not in OPTION_TYPES:
            raise build_unknown_option_error(name, OPTION_TYPES, OPTION_GROUP)
    try:
        validate(OPTION_TYPES, {name: _to_plain_value(value) for name, value in options.items()})
    except OptionError as error:
        raise error.within(OPTION_GROUP) from error


def _to_plain_value(value: Any) -> Any:
    is_node = isinstance(value, DictConfig | ListConfig)
    return OmegaConf.to_container(value) if is_node else value
