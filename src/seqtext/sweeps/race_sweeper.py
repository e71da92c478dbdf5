"""Hydra's entry to races, see `seqtext.sweeps.race`."""

from typing import Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig


class RaceSweeper(BasicSweeper):
    """Runs the entries of `race.entries` with equal budgets.

    Each entry's settings are searched at random, and its trials compared by their validation
    scores. The best settings are then trained with other seeds; only these runs are in the report.
    The same command continues a race.
    """

    def __init__(self, params: Any = None):
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> None:
        """Run the race."""
        from seqtext.sweeps.race import run_race  # imports the report
        from seqtext.sweeps.sweep import SweepRunner

        config = cast(DictConfig, self.config)  # set by `setup`
        context = cast(HydraContext, self.hydra_context)
        run_race(config, SweepRunner(config, context, cast(Launcher, self.launcher)), arguments)
