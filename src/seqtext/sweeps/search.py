"""Hydra's Optuna sweeper, that can go on, prune and cross-validate; see conf/hydra/sweeper."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Search(Sweeper):
    """What Hydra makes; Optuna is imported with it, and not before."""

    def __init__(self, **options: Any):
        from seqtext.sweeps.study import StudySweeper

        self.sweeper = StudySweeper(**options)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher."""
        self.sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Search."""
        self.sweeper.sweep(arguments)
