"""Compare finished runs: one table, tests of difference, figures; `python report.py --help`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.scripts import report

    report()
