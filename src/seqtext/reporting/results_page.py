"""Write RESULTS.md, which compares each study's results with those of finished runs."""

import re
from pathlib import Path

from seqtext.display import count_noun, format_duration
from seqtext.errors import UserError
from seqtext.files import write_text
from seqtext.reporting.conclusions import summarize_significance
from seqtext.reporting.groups import RunGroup
from seqtext.reporting.markdown import escape_markdown, format_code_block, format_markdown_table
from seqtext.reporting.published_results import PublishedResult
from seqtext.reporting.report import DatasetSection, Report, format_notes, format_omissions
from seqtext.reporting.results_table import OURS, Cell, ResultsTable, Row

STUDIES = {"spam": 1, "amazon": 2, "tweets": 3, "imdb": 4, "clothing": 5}
METRICS = {  # compared metrics that do not reward constant predictions
    "spam": "f1",
    "amazon": "accuracy",
    "tweets": "f1",
    "imdb": "accuracy",
    "clothing": "weighted_f1",
}
RACE = "race"  # the experiment
TITLE = re.compile(rf"## (Study \d+: |(?P<race>All models on ))(?P<dataset>{'|'.join(STUDIES)})\b")
BEST_EXPERIMENT = "best"  # experiment=<data set>/best is ours, others are the studies'
PAGE_TITLE = "# Results\n"
PAGE_HEAD = f"""{PAGE_TITLE}
Scores reported by the five studies, and scores of their settings and of ours in this project.
Epochs and the order of rows were selected on the validation set; the test set was evaluated once.
± is the standard deviation over n runs with different seeds or folds. Published scores were
measured on other rows than ours, mostly in one run. Some commands reduce a study's setting
(smaller networks, one seed, other vectors) so that it runs on a machine with two CPU cores.
"""


def write_results(path: Path, report: Report) -> Path:
    """Write the file and return its path; its older sections stay where there are no new ones.

    Raises:
        UserError: if no run uses the rows of a study, or the file is another one.
    """
    known = [section for section in report.sections if section.study]
    if not known:
        raise UserError(
            f"results={path}: no run is on a data set of the studies ({', '.join(STUDIES)}), "
            "with all of its rows."
        )
    sections = _read_sections(path)
    for section in known:
        sections |= _format_sections(section)
    parts = [PAGE_HEAD, *(sections[title] for title in sorted(sections, key=_get_position))]
    if left_out := format_omissions(report):
        parts.append("\n".join(left_out))
    write_text(path, "\n".join(parts))
    return path


def _read_sections(path: Path) -> dict[str, str]:
    """Return the sections on data sets in the existing file, by their titles."""
    if not path.exists():
        return {}
    head, *sections = re.split("^(?=## )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if not head.startswith(PAGE_TITLE):
        raise UserError(f"results={path} exists, and is not such a page: choose another name.")
    by_title = {text.partition("\n")[0]: text.rstrip() + "\n" for text in sections}
    return {title: text for title, text in by_title.items() if TITLE.match(title)}


def _get_position(title: str) -> tuple[int, bool, str]:
    """Return the place of a section: in the order of the studies, each with its race after it."""
    found = TITLE.match(title)
    return (STUDIES[found["dataset"]], bool(found["race"]), title) if found else (0, False, title)


def _format_sections(section: DatasetSection) -> dict[str, str]:
    """Format the study and the race of a data set, by title: all of their settings differ."""
    race = [run for run in section.all_runs if run.choices.get("experiment") == RACE]
    study = [run for run in section.all_runs if run not in race]
    name = escape_markdown(section.dataset)
    texts = {}
    if study:
        part = DatasetSection(section.dataset, study, section.metric, section.ensembles)
        texts[f"## Study {STUDIES[section.study or '']}: {name}"] = _format_study(part)
    if race:
        part = DatasetSection(
            section.dataset, race, section.metric, section.ensembles, with_published=False
        )
        texts[f"## All models on {name}, with equal budgets"] = _format_race(part)
    return {title: f"{title}\n\n{text}" for title, text in texts.items()}


def _format_study(section: DatasetSection) -> str:
    return "\n".join(
        [
            escape_markdown(section.describe()),
            "",
            format_markdown_table(_build_summary_table(section)),
            escape_markdown(" ".join(summarize_significance(section.comparison))),
            "",
            f"{_format_runtimes(section)} Command lines:",
            "",
            format_code_block("\n".join(section.list_commands()), "bash"),
            "",
            "<details><summary>All rows</summary>",
            "",
            format_markdown_table(section.table),
            *format_notes(section),
            "</details>",
            "",
        ]
    )


def _format_race(section: DatasetSection) -> str:
    """Format the comparison of models with equal budgets (docs/race.md)."""
    return "\n".join(
        [
            escape_markdown(section.describe()),
            "",
            format_markdown_table(section.table),
            escape_markdown(" ".join(summarize_significance(section.comparison))),
            "",
            format_code_block("\n".join(section.list_commands()), "bash"),
            "",
            "<details><summary>Settings and notes</summary>",
            "",
            *format_notes(section),
            "</details>",
            "",
        ]
    )


def _build_summary_table(section: DatasetSection) -> ResultsTable:
    """Build a table of the best row of each source; ours are selected by validation."""
    rows: dict[str, Row] = {}
    own = section.table.rows[: len(section.groups)]
    if published := _find_best_published(section):
        label = f"published: {published.label.partition(': ')[2]}"
        (row,) = (row for row in section.table.rows if row.label == published.label)
        rows["published"] = row._replace(label=label, kind=OURS)
    for group, row in zip(section.groups, own, strict=True):
        label = row.label if group.is_baseline else f"{get_result_source(group)}: {row.label}"
        rows.setdefault(get_result_source(group), row._replace(label=label, kind=OURS))
    order = ("published", "reproduced", "our best", "ensemble", "tfidf")
    few = [rows[name] for name in order if name in rows]
    unmarked = [row._replace(cells=[Cell(cell.text) for cell in row.cells]) for row in few]
    return ResultsTable(section.table.columns, unmarked)


def get_result_source(group: RunGroup) -> str:
    """Return the source of a group's results: "ensemble", "tfidf", "our best" or "reproduced"."""
    if group.is_ensemble:
        return "ensemble"
    if group.is_baseline:
        return "tfidf"
    experiment = group.runs[0].choices.get("experiment", "")
    return "our best" if experiment.rpartition("/")[2] == BEST_EXPERIMENT else "reproduced"


def _find_best_published(section: DatasetSection) -> PublishedResult | None:
    """Return the study's best row, by the score that most of its rows have."""
    published = [other for other in section.published if other.study.startswith("study")]
    names = [name for other in published for name in other.scores]
    if not names:
        return None
    usual = max(names, key=names.count)
    return max(published, key=lambda other: other.scores.get(usual, 0.0))


def _format_runtimes(section: DatasetSection) -> str:
    totals: dict[str, list[float]] = {}
    for group in section.trained_groups:
        totals.setdefault(get_result_source(group), []).extend(group.values("seconds", "total"))
    totals_text = [
        f"{name} {format_duration(sum(s))} ({count_noun(len(s), 'run')})"
        for name, s in totals.items()
    ]
    return f"Time in all: {', '.join(totals_text)}."
