"""Compare finished runs: one table, tests of difference, figures; `python report.py --help`."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.error_handling import run_with_friendly_errors
    from seqtext.reporting.command import main

    run_with_friendly_errors(lambda: main(sys.argv[1:]))
