"""Compare finished runs: one table, tests of difference, figures; `python report.py --help`."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.entry_point import told_simply
    from seqtext.reporting.command import main

    told_simply(lambda: main(sys.argv[1:]))
