"""Run many jobs under one name: resumable grids and searches."""

from hydra.core.plugins import Plugins

from seqtext.sweeps.grid import GridSweeper
from seqtext.sweeps.optuna_sweeper import OptunaSweeper
from seqtext.sweeps.race_sweeper import RaceSweeper


def register() -> None:
    """Register the sweepers of conf/hydra/sweeper with Hydra."""
    for plugin in (GridSweeper, OptunaSweeper, RaceSweeper):
        Plugins.instance().register(plugin)
