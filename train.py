"""Train one model on one data set, or sweep over many (-m); `python train.py --help` says how."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = Path(__file__).absolute().parent / "conf"
NAMED_IN_LOGGING = ("seqtext.display.PrintableFormatter",)  # by conf/hydra/*_logging


def main(config: "DictConfig") -> float | None:
    """One run; the value is its best validation score, for searches."""
    from seqtext.imports import fast_imports

    with fast_imports():
        from seqtext.main import launch  # torch takes seconds, and --help needs none
    return launch(config)


def start() -> None:
    """The command line to Hydra."""
    import hydra

    from seqtext.sweeps import register
    from seqtext.sweeps.implied_overrides import add_implied_overrides

    register()
    sys.argv[1:] = add_implied_overrides(sys.argv[1:], CONF)
    decorate = hydra.main(
        config_path="conf", config_name="config", execution_whitelist=NAMED_IN_LOGGING
    )
    run = decorate(main)
    if "TORCHELASTIC_RUN_ID" in os.environ or "SLURM_PROCID" in os.environ:
        run_among_others(run)
    else:
        run()


def run_among_others(run: Callable[[], None]) -> None:
    """Call `run`, or its part in one of the other processes that torchrun or srun has started."""
    from seqtext.imports import fast_imports

    with fast_imports():
        from seqtext.distributed import find_launched_process
        from seqtext.training.ddp import run_launched_process
        from seqtext.training.fit import fit_rank
    process = find_launched_process()
    if process is None:
        run()
    else:
        run_launched_process(process, run, fit_rank)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.entry_point import run_with_friendly_errors

    run_with_friendly_errors(start)
