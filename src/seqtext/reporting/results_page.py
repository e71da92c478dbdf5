"""Write RESULTS.md, which compares each study's results with those of finished runs."""

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
BEST_EXPERIMENT = "best"  # experiment=<data set>/best is ours, others are the studies'
PAGE_HEAD = """# Results

Scores reported by the five studies, and scores of their settings and of ours in this project.
Epochs and the order of rows were selected on the validation set; the test set was evaluated once.
± is the standard deviation over n runs with different seeds or folds. Published scores were
measured on other rows than ours, mostly in one run. Some commands reduce a study's setting
(smaller networks, one seed, other vectors) so that it runs on a machine with two CPU cores.
"""


def write_results(path: Path, report: Report) -> Path:
    """Write the file and return its path.

    Raises:
        UserError: if no run uses the rows of a study.
    """
    known = [section for section in report.sections if section.study]
    if not known:
        raise UserError(
            f"results={path}: no run is on a data set of the studies ({', '.join(STUDIES)}), "
            "with all of its rows."
        )
    known.sort(key=_get_study_number)
    parts = [PAGE_HEAD, *map(_format_study, known)]
    if left_out := format_omissions(report):
        parts.append("\n".join(left_out))
    write_text(path, "\n".join(parts))
    return path


def _get_study_number(section: DatasetSection) -> int:
    return STUDIES[section.study or ""]


def _format_study(whole: DatasetSection) -> str:
    section, race = _split_off_race(whole)
    return "\n".join(
        [
            f"## Study {_get_study_number(section)}: {escape_markdown(section.dataset)}",
            "",
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
            *(_format_race(race) if race else []),
        ]
    )


def _split_off_race(section: DatasetSection) -> tuple[DatasetSection, DatasetSection | None]:
    """Separate the runs of ``experiment=race``: their settings and the study's differ in all."""
    runs = [run for run in section.runs if run.choices.get("experiment") != RACE]
    race = [run for run in section.runs if run.choices.get("experiment") == RACE]
    if not runs or not race:
        return section, None
    study = DatasetSection(section.dataset, runs, section.metric, section.ensembles)
    return study, DatasetSection(
        section.dataset, race, section.metric, section.ensembles, with_published=False
    )


def _format_race(section: DatasetSection) -> list[str]:
    """Format the comparison of models with equal budgets (docs/race.md)."""
    return [
        f"### All models on {escape_markdown(section.dataset)}, with equal budgets",
        "",
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
