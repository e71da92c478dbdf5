"""Train one model on one data set, or sweep over many (-m); `python train.py --help` says how."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from seqtext.cli import importing, told_simply
from seqtext.sweeps import register
from seqtext.sweeps.command import completed

CONF = Path(__file__).absolute().parent / "conf"
NAMED_IN_LOGGING = ("seqtext.display.PrintableFormatter",)  # by conf/hydra/*_logging


@hydra.main(config_path="conf", config_name="config", execution_whitelist=NAMED_IN_LOGGING)
def main(config: DictConfig) -> float | None:
    """One run; the value is its best validation score, for searches."""
    with importing():
        from seqtext.launch import launch  # torch takes seconds, and --help needs none
    return launch(config)


def start() -> None:
    """The command line to Hydra."""
    register()
    sys.argv[1:] = completed(sys.argv[1:], CONF)
    main()


if __name__ == "__main__":
    told_simply(start)
