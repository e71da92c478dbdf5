"""Many runs under one name: which there are, which are still to do, how each of them ended."""

from hydra.core.plugins import Plugins

from seqtext.sweeps.grid import GridSweeper
from seqtext.sweeps.optuna_sweeper import OptunaSweeper


def register() -> None:
    """Let Hydra know the sweepers of conf/hydra/sweeper."""
    for plugin in (GridSweeper, OptunaSweeper):
        Plugins.instance().register(plugin)
