"""All runs of some folders in one report, as Markdown, CSV, LaTeX and a page."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from seqtext.display import count_noun
from seqtext.files import write_text
from seqtext.options import UserError
from seqtext.report.compare import Comparison, compare, verdict
from seqtext.report.groups import by_dataset, groups_of, main_metric
from seqtext.report.references import Reference, references
from seqtext.report.runs import Run, Unfinished, read_runs, sweep_command
from seqtext.report.table import Table, duration, faults, frame, latex, markdown, table


class Section:
    """What there is to say of one data set's runs.

    Args:
        metric: that orders and is tested, such as "accuracy"; None: what most runs monitored

    Raises:
        UserError: if the runs have no such metric.
    """

    def __init__(self, dataset: str, runs: Sequence[Run], metric: str | None):
        self.dataset, self.metric = dataset, metric or main_metric(runs)
        self.groups, self.repeated = groups_of(runs, self.metric)
        for run in runs:
            known = run.metrics["test"]
            if self.metric not in known:
                raise UserError(
                    f"--metric {self.metric} is not known of {run.path}: known are "
                    f"{', '.join(known)}."
                )

    @cached_property
    def comparison(self) -> Comparison:
        """Of all pairs."""
        return compare(self.groups, self.metric)

    @cached_property
    def others(self) -> list[Reference]:
        """What others reported."""
        return references(self.dataset)

    @cached_property
    def table(self) -> Table:
        """Groups and references."""
        return table(self.groups, self.others, self.metric)

    @property
    def runs(self) -> list[Run]:
        """Those that count."""
        return [run for group in self.groups for run in group.runs]

    def about(self) -> str:
        """How to read the table."""
        rows = sorted({run.rows("test") for run in self.runs})
        tested = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,}"
        total = duration(sum(run.metrics["seconds"]["total"] for run in self.runs))
        said = (
            f"{count_noun(len(self.runs), 'run')}, {total} in all; {tested} test rows. Ordered by "
            f"validation {self.metric}: the test part chooses nothing. Mean ± standard deviation "
            "over n runs (seeds, folds); the best of each column is marked."
        )
        if self.repeated:
            repeats = count_noun(self.repeated, "run that repeats", "runs that repeat")
            said += f" {repeats} another's settings and seed left out."
        return said

    def commands(self) -> list[str]:
        """What starts these runs again: a sweep's command line once, the others one by one."""
        return list(dict.fromkeys(sweep_command(run.path) or run.command for run in self.runs))


def sections_of(
    folders: Sequence[Path], metric: str | None, usual: Mapping[str, str] | None = None
) -> tuple[list[Section], list[Unfinished]]:
    """A section per data set, and the jobs without a result.

    Args:
        metric: of all sections
        usual: by data set, where `metric` is None

    Raises:
        UserError: see `read_runs` and `Section`.
    """
    runs, unfinished = read_runs(folders)
    metrics = usual or {}
    sections = [
        Section(name, own, metric or metrics.get(name)) for name, own in by_dataset(runs).items()
    ]
    return sections, unfinished


def write_report(
    output: Path, title: str, sections: Sequence[Section], unfinished: Sequence[Unfinished]
) -> list[Path]:
    """Write report.md, .csv, .tex, .html and differences.csv into a folder; gives their paths."""
    from seqtext.report.page import page

    files = {
        "report.md": _markdown(title, sections, unfinished),
        "report.csv": pd.concat([frame(s.dataset, s.groups, s.others) for s in sections]).to_csv(
            index=False
        ),
        "differences.csv": pd.concat([pairs(s) for s in sections]).to_csv(index=False),
        "report.tex": "\n\n".join(latex(s.table, f"{s.dataset}: {s.about()}") for s in sections)
        + "\n",
        "report.html": page(title, sections, unfinished),
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(output / name, text)
    return [output / name for name in files]


def _markdown(title: str, sections: Sequence[Section], unfinished: Sequence[Unfinished]) -> str:
    lines = [f"# {title}", ""]
    for section in sections:
        said = " ".join(verdict(section.comparison))
        lines += [f"## {section.dataset}", "", section.about(), ""]
        lines += [markdown(section.table), said, "", *notes(section)]
    if unfinished:
        lines += ["## Without a result", ""]
        lines += [f"- `{job.name}`: {job.status}, {job.reason}" for job in unfinished]
    return "\n".join(lines).rstrip() + "\n"


def notes(section: Section) -> list[str]:
    """Lines of Markdown: what was wrong with the reported numbers."""
    said = [f"- {note}" for note in faults(section.table)]
    return ["What others reported, and how:", "", *said, ""] if said else []


def pairs(section: Section) -> pd.DataFrame:
    """Every pair of groups in numbers: difference, interval, p values; see `Pair`."""
    labels = [group.label for group in section.groups]
    rows = [
        {
            "dataset": section.dataset,
            "metric": section.metric,
            **pair._asdict(),
            "first": labels[pair.first],
            "second": labels[pair.second],
            "noise": pair.is_noise,
        }
        for pair in section.comparison.pairs
    ]
    return pd.DataFrame(rows)


def title_of(folders: Sequence[Path]) -> str:
    """The names of the folders, as long as they are few."""
    names = [folder.resolve().name for folder in folders]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"
