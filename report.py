"""Compare finished runs: one table, tests of difference, figures; `python report.py --help`."""

import argparse
import signal
import sys
from pathlib import Path

EXAMPLES = """examples:
  python report.py outputs/imdb-grid                   into outputs/imdb-grid/report/
  python report.py outputs/* --metric accuracy --output report
  python report.py outputs/* --results RESULTS.md      the five studies, theirs and ours

Runs that differ in nothing but seed or fold are one row: mean ± standard deviation, n. The
validation score orders the rows. Data sets of one name with other files are tables of their own.
Failed, pruned and unfinished jobs are listed with their reasons, damaged files are left out.
With --results, runs of experiment=<data set>/best are "ours, best", model=tfidf is "tfidf", all
others are "ours, faithful"; the command lines that made them are told.
"""


def arguments() -> argparse.Namespace:
    """What stands on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, help="of runs, sweeps, or many of them")
    parser.add_argument("--metric", help="that orders and is tested; default: the monitored one")
    parser.add_argument("--output", type=Path, help="folder; default: <first folder>/report")
    parser.add_argument("--results", type=Path, help="write this file instead: theirs and ours")
    return parser.parse_args()


def main() -> None:
    """Read, write, say where."""
    from seqtext.display import print_line
    from seqtext.imports import importing

    given = arguments()
    with importing():
        from seqtext.reporting.report import build_report, write_report
        from seqtext.reporting.results_page import METRICS, write_results
    report = build_report(given.folders, given.metric, METRICS if given.results else None)
    for sentence in report.damaged:
        print_line(f"Left out: {sentence}", sys.stderr)
    if given.results:
        written = [write_results(given.results, report)]
    else:
        written = write_report(given.output or given.folders[0] / "report", report)
    for path in written:
        print_line(str(path))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.entry_point import told_simply

    told_simply(main)
