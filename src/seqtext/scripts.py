"""The commands seqtext-train, seqtext-predict and seqtext-report; train.py … call them."""

import signal
import sys
from pathlib import Path


def train(conf: Path | None = None) -> None:
    """Train one model, or run a sweep, as the command line says.

    Args:
        conf: absolute path of the configuration folder; None: this package's
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.config.conf_dir import find_conf_dir
    from seqtext.error_handling import run_with_friendly_errors
    from seqtext.main import main

    run_with_friendly_errors(lambda: main(conf or find_conf_dir()))


def predict() -> None:
    """Use a trained model, as the command line says."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from seqtext.error_handling import run_with_friendly_errors
    from seqtext.inference.command import main

    run_with_friendly_errors(lambda: main(sys.argv[1:]))


def report() -> None:
    """Compare finished runs, as the command line says."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from seqtext.error_handling import run_with_friendly_errors
    from seqtext.reporting.command import main

    run_with_friendly_errors(lambda: main(sys.argv[1:]))
