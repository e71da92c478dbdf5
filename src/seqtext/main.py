"""Run train.py's command line with Hydra, in the first process of a run."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

NAMED_IN_LOGGING = ("seqtext.display.PrintableFormatter",)  # classes named in conf/hydra/*_logging


def main(conf: Path) -> None:
    """Compose the configuration of the command line, then train or, with -m, run a sweep.

    Args:
        conf: absolute path of the configuration folder

    Raises:
        UserError: if the command line is invalid.
    """
    sys.argv[1:] = read_arguments(conf)
    run_with_hydra(conf, run_job)


def read_arguments(conf: Path) -> list[str]:
    """Return the arguments of this process, and the overrides that they imply.

    Raises:
        UserError: if an argument is invalid.
    """
    from seqtext.env_file import load_env_file
    from seqtext.sweeps import register
    from seqtext.sweeps.implied_overrides import add_implied_overrides

    load_env_file()
    register()
    return add_implied_overrides(sys.argv[1:], conf)


def run_with_hydra(conf: Path, job: Callable[["DictConfig"], Any]) -> None:
    """Call `job` with the configuration of this process's arguments, or take part in its run."""
    import hydra

    decorate = hydra.main(
        config_path=str(conf), config_name="config", execution_whitelist=NAMED_IN_LOGGING
    )
    run = decorate(job)
    if "TORCHELASTIC_RUN_ID" in os.environ or "SLURM_PROCID" in os.environ:
        run_with_external_launcher(run)
    else:
        run()


def run_job(config: "DictConfig") -> Any:
    """Run one Hydra job; return its best validation score, for searches."""
    from seqtext.fast_imports import fast_imports

    with fast_imports():
        from seqtext.hydra_job import run_hydra_job  # imports torch; --help does not
    return run_hydra_job(config)


def run_with_external_launcher(run: Callable[[], None]) -> None:
    """Call `run`, or take part in it as one of the other processes of torchrun or srun."""
    from seqtext.fast_imports import fast_imports

    with fast_imports():
        from seqtext.distributed import find_externally_launched
        from seqtext.training.ddp import run_externally_launched
        from seqtext.training.train import fit_in_process
    process = find_externally_launched()
    if process is None:
        run()
    else:
        run_externally_launched(process, run, fit_in_process)
