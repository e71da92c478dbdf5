"""Build the report of all runs in folders, and format it as Markdown and data frames."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from seqtext.display import count_noun, format_duration, make_printable
from seqtext.errors import UserError
from seqtext.reporting.conclusions import summarize_significance
from seqtext.reporting.datasets import group_by_dataset
from seqtext.reporting.ensembles import build_ensembles
from seqtext.reporting.groups import (
    RunGroup,
    choose_main_metric,
    group_runs,
    sort_by_validation,
)
from seqtext.reporting.markdown import escape_markdown, format_code, format_markdown_table
from seqtext.reporting.pairwise import Comparison, compare_groups
from seqtext.reporting.provenance import describe_provenance
from seqtext.reporting.published_results import (
    PublishedResult,
    has_study_rows,
    load_published_results,
)
from seqtext.reporting.results_table import (
    ResultsTable,
    build_table,
    collect_footnotes,
)
from seqtext.reporting.runs import Run, UnfinishedRun, find_sweep_command, read_runs

FALLBACK_METRICS = ("macro_f1", "accuracy")  # main metrics, if the monitored one is unknown
ADDED_PREFIX = re.compile(r"(?<=[ '])\+\+(?=[\w./@]+=)")  # see `allow_unlisted_options`
VARIANCES = ("over_rows", "over_runs")  # fields of `PairwiseResult` that intervals show
PATH_OPTION = re.compile(r" (paths\.\w+=[^\s']+|'paths\.\w+=[^']*')")  # in a command line


class DatasetSection:
    """Section of a report on one data set: groups, table, tests.

    Args:
        dataset: title of the data set, see `group_by_dataset`
        metric: metric to sort by and to test, such as "accuracy"; None: the metric that most runs
            monitored
        ensembles: whether to add ensembles of the runs as groups, see `build_ensembles`
        with_published: whether to list published results

    Raises:
        UserError: if no run has the metric.
    """

    def __init__(
        self,
        dataset: str,
        runs: Sequence[Run],
        metric: str | None,
        ensembles: bool = False,
        with_published: bool = True,
    ):
        self.dataset, self.ensembles, self.with_published = dataset, ensembles, with_published
        self.all_runs = runs  # also repeated ones
        self.metric = _choose_metric(runs, metric)
        self.groups, self.repeated = group_runs(runs, self.metric)
        self.added_notes: list[str] = []
        if ensembles:
            added, self.added_notes = build_ensembles(self.groups, self.metric)
            self.groups = sort_by_validation([*self.groups, *added], self.metric)

    @cached_property
    def comparison(self) -> Comparison:
        """Return the tests of all pairs of groups."""
        return compare_groups(self.groups, self.metric)

    @property
    def study(self) -> str | None:
        """Return the name of the study's data set if runs of this section have its rows."""
        (first, *_) = self.runs
        return first.metrics["dataset"] if any(map(has_study_rows, self.runs)) else None

    @cached_property
    def published(self) -> list[PublishedResult]:
        """Return the published results on this data set."""
        return load_published_results(self.study) if self.study and self.with_published else []

    @cached_property
    def table(self) -> ResultsTable:
        """Return the table of groups and published results."""
        return build_table(self.groups, self.published, self.metric)

    @property
    def runs(self) -> list[Run]:
        """Return the runs of all groups except ensembles, without repeated runs."""
        return [run for group in self.trained_groups for run in group.runs]

    @property
    def trained_groups(self) -> list[RunGroup]:
        """Return the groups except ensembles."""
        return [group for group in self.groups if not group.is_ensemble]

    def describe(self) -> str:
        """Describe the table in one paragraph."""
        rows = sorted({run.rows("test") for run in self.runs})
        tested = f"{rows[0]:,} to {rows[-1]:,} test rows"
        if len(rows) == 1:
            tested = count_noun(rows[0], "test row")
        times = [time for group in self.trained_groups for time in group.values("seconds", "total")]
        total = f", {format_duration(sum(times))} in all" if times else ""
        text = (
            f"{count_noun(len(self.runs), 'run')}{total}; {tested}. Ordered by validation "
            f"{self.metric}: test scores are not used for selection. Mean ± standard deviation "
            "over n runs (seeds, folds); the best of each column is marked."
        )
        if self.repeated:
            repeats = count_noun(self.repeated, "run that repeats", "runs that repeat")
            text += f" Left out: {repeats} another's settings and seed."
        return text

    def collect_notes(self) -> list[str]:
        """Return the notes on published results and the warnings of runs."""
        notes = [*self.added_notes, *collect_footnotes(self.table)]
        if self.published:
            notes.append(
                "What others reported was measured on other rows than these, mostly in one run."
            )
        if self.published and not all(map(has_study_rows, self.runs)):
            notes.append("It cannot be compared with settings that use a part of the data only.")
        notes += self._collect_notes_of_runs()
        notes += describe_provenance(self.trained_groups)
        return notes

    def _collect_notes_of_runs(self) -> list[str]:
        """Return warnings and notes of the runs; one of several groups once, with their labels."""
        labels: dict[str, dict[str, None]] = defaultdict(dict)
        for group in self.trained_groups:
            for run in group.runs:
                for text in (*(run.metrics.get("warnings") or ()), run.metrics.get("notes")):
                    if text:
                        labels[make_printable(text)][group.label] = None
        most = len(self.trained_groups)
        return [
            f"{'all' if len(of) == most > 1 else ', '.join(of)}: {text}"
            for text, of in labels.items()
        ]

    def list_commands(self) -> list[str]:
        """Return the command lines of these runs, with that of a sweep once.

        Options `paths.*` are left out: they name folders of the machine. So is the ``++`` that
        the program itself puts before options.
        """
        commands = (find_sweep_command(run.path) or run.command for run in self.runs)
        without_paths = (PATH_OPTION.sub("", command) for command in commands)
        return list(dict.fromkeys(ADDED_PREFIX.sub("", command) for command in without_paths))


def _choose_metric(runs: Sequence[Run], wanted: str | None) -> str:
    """Return the requested metric, or the one that most runs monitored, if any run has it."""
    known = list(
        dict.fromkeys(name for run in runs for p in ("test", "val") for name in run.metrics[p])
    )
    if not known:
        raise UserError(f"{runs[0].path} has no scores: there is nothing to compare.")
    if wanted and wanted not in known:
        raise UserError(
            f"metric={wanted} is not known of {runs[0].path}: known are {', '.join(known)}."
        )
    candidates = (wanted or choose_main_metric(runs), *FALLBACK_METRICS)
    return next((metric for metric in candidates if metric in known), known[0])


@dataclass(frozen=True)
class Report:
    """Sections by data set, jobs without a result, and a sentence for each damaged file."""

    title: str
    sections: Sequence[DatasetSection]
    unfinished: Sequence[UnfinishedRun]
    damaged: Sequence[str]

    def summarize(self) -> str:
        """Count runs, jobs and damaged files."""
        parts = [count_noun(sum(len(section.runs) for section in self.sections), "run")]
        parts += [f"{len(self.unfinished):,} without a result"] if self.unfinished else []
        parts += [count_noun(len(self.damaged), "damaged file")] if self.damaged else []
        return ", ".join(parts)


def build_report(
    folders: Sequence[Path],
    metric: str | None,
    usual: Mapping[str, str] | None = None,
    tag: str | None = None,
    ensembles: bool = False,
) -> Report:
    """Read all runs in folders, and build a section for each data set.

    Args:
        metric: metric of all sections
        usual: metrics by data set, if `metric` is None
        tag: tag of the runs to read; None: all runs
        ensembles: see `DatasetSection`

    Raises:
        UserError: see `read_runs` and `DatasetSection`.
    """
    runs, unfinished, damaged = read_runs(folders, tag)
    metrics = usual or {}
    sections = []
    for title, own in group_by_dataset(runs).items():
        is_study = any(map(has_study_rows, own))
        chosen = metric or (metrics.get(own[0].metrics["dataset"]) if is_study else None)
        sections.append(DatasetSection(title, own, chosen, ensembles))
    used = [run for section in sections for run in section.runs]
    damaged = [*damaged, *(run.damage for run in used if run.damage)]
    title = format_title(folders) + (f" (tag {tag})" if tag else "")
    return Report(title, sections, unfinished, damaged)


def format_markdown(report: Report) -> str:
    """Format the report as Markdown."""
    lines = [f"# {escape_markdown(report.title)}", ""]
    for section in report.sections:
        conclusions = [escape_markdown(" ".join(summarize_significance(section.comparison))), ""]
        lines += [f"## {escape_markdown(section.dataset)}", ""]
        lines += [escape_markdown(section.describe()), ""]
        lines += [format_markdown_table(section.table), *(conclusions if conclusions[0] else [])]
        lines += format_notes(section)
    lines += format_omissions(report)
    return "\n".join(lines).rstrip() + "\n"


def format_notes(section: DatasetSection) -> list[str]:
    """Format a section's notes as lines of Markdown."""
    notes = [f"- {escape_markdown(note)}" for note in section.collect_notes()]
    return ["Notes:", "", *notes, ""] if notes else []


def format_omissions(report: Report) -> list[str]:
    """Format jobs without a result and damaged files as lines of Markdown."""
    lines = []
    if report.unfinished:
        lines += ["## Without a result", ""]
        lines += [
            f"- {format_code(job.name)}: {job.status}, {escape_markdown(job.reason)}"
            for job in report.unfinished
        ]
        lines.append("")
    if report.damaged:
        lines += ["## Damaged files", "", "They were left out.", ""]
        lines += [f"- {escape_markdown(sentence)}" for sentence in report.damaged]
        lines.append("")
    return lines


def pairs_to_dataframe(section: DatasetSection) -> pd.DataFrame:
    """Return all pairs of groups, with the columns of `PairwiseResult`."""
    labels = [group.label for group in section.groups]
    rows = [
        {
            "dataset": section.dataset,
            "metric": section.metric,
            **{name: v for name, v in pair._asdict().items() if name not in VARIANCES},
            "first": labels[pair.first],
            "second": labels[pair.second],
            "verdict": pair.verdict,
        }
        for pair in section.comparison.pairs
    ]
    return pd.DataFrame(rows)


def format_title(folders: Sequence[Path]) -> str:
    """Return the names of the folders, or the first name and the number of more than three."""
    names = [folder.resolve().name or str(folder.resolve()) for folder in folders]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"
