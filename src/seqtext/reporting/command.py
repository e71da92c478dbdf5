"""The console command report: parse its options and write the report."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from seqtext.command_line import HELP_FLAGS, format_help, option, parse_args, positional
from seqtext.display import print_line
from seqtext.errors import UserError
from seqtext.fast_imports import fast_imports

REPORT_SUFFIXES = (".md", ".csv", ".tex", ".html")  # of the files in the folder of a report


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Compare finished runs: a table, significance tests, figures; every option is <word>=<value>.

    Raises:
        UserError: if no folder is given, or `output` is a file.
    """

    NOTES: ClassVar[str] = (
        "Runs that differ only in seed or fold are one row: mean ± standard deviation, n. Rows are "
        "sorted by validation score. Data sets with the same name but other files have separate "
        "tables. Failed, pruned and unfinished jobs are listed with their reasons, damaged files "
        'are left out. With results=, runs of experiment=<data set>/best are "our best", '
        'model=tfidf is "tfidf", all others are "reproduced", each with the command lines '
        "that started them; sections of data sets that the folders do not have stay in the file."
    )
    EXAMPLES: ClassVar[str] = """
python report.py outputs/imdb-grid                             (into outputs/imdb-grid/report)
python report.py outputs/* metric=accuracy output=report
python report.py outputs/* tag=paper                           (runs with tags=[paper])
python report.py outputs/* ensembles=true                      (and means of probabilities)
python report.py outputs/* results=RESULTS.md                  (published results and ours)
"""

    folders: tuple[Path, ...] = positional("folders of runs, of sweeps, or of many of them")
    metric: str | None = option("metric to sort by and to test; default: the monitored one")
    tag: str | None = option("compare only the runs with this tag; train.py tags=[paper] sets it")
    output: Path | None = option("folder to write to; default: <first folder>/report")
    results: Path | None = option("write this Markdown file instead: published results beside ours")

    ensembles: bool = option(
        "true: also rows for means of probabilities: over the seeds of each setting, and over the "
        "runs, of any models, that are best together by validation score (at most 20); only of "
        "runs with the same validation and test rows",
        False,
    )

    plugins: tuple[str, ...] = option(
        "packages whose metrics the runs may use, if they have metrics of one's own, as in "
        "plugins=my_project: they are imported, so name only packages that you trust",
        (),
    )

    def __post_init__(self):
        if not self.folders:
            raise UserError("Name a folder of runs, as in outputs/imdb-grid; --help shows more.")
        output = self.output
        if output and not output.is_dir() and (output.exists() or output.suffix in REPORT_SUFFIXES):
            raise UserError(
                f"output={output} is not possible: it must be a folder, to which report.md, .csv, "
                f".tex and .html are written."
            )


def main(arguments: Sequence[str]) -> None:
    """Write the report and print the paths of its files.

    Raises:
        UserError: if an option or a folder cannot be used.
    """
    if HELP_FLAGS & {*arguments}:
        print(format_help(ReportOptions), end="")
        return
    options = parse_args(ReportOptions, arguments)
    with fast_imports():
        from seqtext.config.trust import allow_packages
        from seqtext.reporting.report import build_report
        from seqtext.reporting.report_files import write_report
        from seqtext.reporting.results_page import METRICS, write_results
    with allow_packages(options.plugins):
        report = build_report(
            list(options.folders),
            options.metric,
            METRICS if options.results else None,
            options.tag,
            options.ensembles,
        )
        for sentence in report.damaged:
            print_line(f"Left out: {sentence}", sys.stderr)
        if options.results:
            written = [write_results(options.results, report)]
        else:
            written = write_report(options.output or options.folders[0] / "report", report)
        for path in written:
            print_line(str(path))
