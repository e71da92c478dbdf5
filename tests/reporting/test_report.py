"""report.py: its output files, and one-line error messages."""

import json
import re
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import pytest

from seqtext.reporting.groups import group_runs
from seqtext.reporting.published_results import STUDY_DATA
from seqtext.reporting.runs import read_runs
from tests.reporting.fake_runs import CHOSEN, ROWS, TRAINED, write_run

WHOLE = TRAINED + CHOSEN + ROWS
FILES = {"report.md", "report.csv", "report.tex", "report.html", "differences.csv"}


@pytest.fixture(autouse=True)
def small_studies(monkeypatch):
    """Give the studies' data sets the number of rows of the fake runs."""
    for name, study in STUDY_DATA.items():
        monkeypatch.setitem(STUDY_DATA, name, study._replace(sizes=(WHOLE,)))


@pytest.fixture
def report(script):
    """Return a function that calls report.py."""
    return partial(script, "report.py")


@pytest.fixture
def sweep(tmp_path):
    """A grid of two settings with two seeds, the reference, and a failed job."""
    folder = tmp_path / "imdb-grid"
    for seed in (0, 1):
        for units, batch in ((8, 16), (8, 32), (16, 16), (16, 32)):
            options = {"model.units": units, "dataset.batch_size": batch}
            quality = units / 8 + batch / 100
            write_run(folder / f"{units} {batch} {seed}", "gru", seed, quality, options)
    write_run(folder / "tfidf", "tfidf", quality=1.3)
    job = {"folder": "lost", "status": "failed", "reason": "loss is <nan>", "overrides": []}
    folders = "paths.data_dir=/d 'paths.output_dir=/my results' paths.cache_dir=/c"
    command = f"python train.py experiment=imdb/grid {folders} ++model.units=8 'seed=range(2)'"
    text = json.dumps({"name": "imdb-grid", "command": command, "jobs": [job]})
    (folder / "sweep.json").write_text(text)
    return folder


def figures(page: str) -> list[go.Figure]:
    """Return the figures of a page, each validated by Plotly."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return [go.Figure(json.loads(text)) for text in found]


def test_the_report_of_a_sweep(report, sweep):
    status, output, error = report(sweep)
    assert status == 0, error
    written = {line.rpartition("/")[2] for line in output.split()}
    assert written == FILES == {path.name for path in (sweep / "report").iterdir()}
    page = (sweep / "report" / "report.html").read_text()
    for text in (
        "gru units=16 batch_size=32",
        "study 4: gru, 32 units, batch 64",
        "not significant",
    ):
        assert text in page
    assert "loss is &lt;nan&gt;" in page
    assert "experiment=imdb/grid model.units=8 &#39;seed=range(2)&#39;" in page
    kinds = [{trace.type for trace in figure.data} for figure in figures(page)]
    dots, bars, map_ = {"scatter"}, {"bar"}, {"heatmap"}
    assert kinds == [map_, dots, dots, map_, dots, bars, dots, dots]
    markdown = (sweep / "report" / "report.md").read_text()
    assert "- `" in markdown
    assert "failed, loss is &lt;nan&gt;" in markdown
    assert len(pd.read_csv(sweep / "report" / "differences.csv")) == 5 * 4 / 2
    table = pd.read_csv(sweep / "report" / "report.csv")
    assert table.query("kind == 'ours'")["n"].tolist() == [2] * 4


def test_the_page_needs_no_network(report, sweep):
    report(sweep)
    page = (sweep / "report" / "report.html").read_text()
    own = re.sub(r"<script>/\*\*.*?</script>", "", page, flags=re.DOTALL)  # Plotly's own text
    assert not re.search(r'(?:src|href)="(?!#)', own)
    assert "@import" not in own
    assert "Plotly.newPlot" in own
    assert "plotly.js v" in page


def test_a_report_again_is_the_same(report, sweep):
    """The report's own folder in the sweep's folder is ignored."""
    report(sweep)
    before = {path.name: path.read_bytes() for path in (sweep / "report").iterdir()}
    report(sweep)
    assert before == {path.name: path.read_bytes() for path in (sweep / "report").iterdir()}


@pytest.mark.slow
def test_many_runs_of_many_classes_and_sets(report, tmp_path):
    for number in range(42):
        options = {"model.units": number, "optimizer.lr": 0.1 / (number + 1)}
        classes, rows = ("1", "2", "3"), range(30)
        folder = tmp_path / "clothing" / str(number)
        write_run(folder, "lstm", 0, 1, options, classes, rows, "clothing")
    write_run(tmp_path / "mine" / "a", dataset="mine", monitor="val/loss")
    status, _, error = report(
        tmp_path / "clothing", tmp_path / "mine", f"output={tmp_path / 'out'}"
    )
    assert status == 0, error
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<section id=") == 2
    assert len(pd.read_csv(tmp_path / "out" / "report.csv").query("kind == 'ours'")) == 43
    assert all(figure.layout.height < 1500 for figure in figures(page))


@pytest.mark.parametrize("name", ["base.csv", "notes"])
def test_output_that_is_a_file(report, sweep, name):
    if name == "notes":
        (sweep / name).write_text("mine")
    status, _, error = report(sweep, f"output={sweep / name}")
    assert status == 2
    assert f"{name} is not possible: it must be a folder" in error
    assert not (sweep / name).is_dir()


def test_another_metric(report, sweep):
    assert report(sweep, "metric=auroc")[0] == 0
    assert set(pd.read_csv(sweep / "report" / "differences.csv")["metric"]) == {"auroc"}
    assert "Up and left is better" in (sweep / "report" / "report.html").read_text()
    assert report(sweep, "metric=loss")[0] == 0
    assert "Down and left is better" in (sweep / "report" / "report.html").read_text()
    status, _, error = report(sweep, "metric=beauty")
    assert status == 2
    assert "metric=beauty is not known" in error
    assert len(error.splitlines()) == 1


def test_one_run_has_no_verdict(report, tmp_path):
    write_run(tmp_path / "alone", "gru")
    assert report(tmp_path / "alone", f"output={tmp_path}")[0] == 0
    assert '<div class="verdict">' not in (tmp_path / "report.html").read_text()


def test_the_terminal_gets_printable_texts(report, tmp_path):
    folder = tmp_path / "a\x1b]0;title\x07\u202e"
    write_run(folder / "good")
    write_run(folder / "bad")
    (folder / "bad" / "metrics.json").write_text("{")
    status, output, error = report(folder)
    assert status == 0
    assert error.startswith("Left out: ")
    assert len(output.splitlines()) == len(FILES)
    for text in (output, error):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_mistakes_are_told_in_one_sentence(report, tmp_path):
    status, _, error = report(tmp_path / "nowhere")
    assert status == 2
    assert error == f"{tmp_path / 'nowhere'}: there is no such folder.\n"
    assert report("--help")[0] == 0


def test_results_of_the_studies(report, sweep, tmp_path):
    best = {"experiment": "imdb/best"}
    write_run(tmp_path / "best", "wide_and_deep", quality=3.0, choices=best)
    write_run(tmp_path / "spam", "lstm", dataset="spam", monitor="val/f1")
    write_run(tmp_path / "mine", dataset="mine")
    for units, name in ((4, "one"), (8, "two")):
        options = {"label": name, "model.units": units}
        write_run(tmp_path / name, "gru", options=options, choices={"experiment": "race"})
    status, output, error = report(tmp_path, f"results={tmp_path / 'RESULTS.md'}")
    assert status == 0, error
    assert output.strip().endswith("RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    heads = re.findall("^## .*", text, re.MULTILINE)
    title = "## All models on imdb, with equal budgets"
    assert heads == ["## Study 1: spam", "## Study 4: imdb", title, "## Without a result"]
    short = text[text.index("## Study 4") :].split("\n\n")[2]
    rows = [line.split("|")[1].strip() for line in short.splitlines()[2:]]
    assert [row.partition(":")[0].strip("*") for row in rows] == [
        "published", "reproduced", "our best", "tfidf",
    ]  # fmt: skip
    assert rows[0] == "published: gru, 32 units, batch 64"
    assert "python train.py experiment=imdb/grid model.units=8 'seed=range(2)'\n" in text
    race = text[text.index(title) :]
    race = race[: race.index("</details>")]
    assert re.findall(r"^\| \*?\*?(\w+)", race, re.MULTILINE) in (["one", "two"], ["two", "one"])
    assert "two" not in text[: text.index(race)].partition("## Study 4")[2], "it has its own table"
    assert not (tmp_path / "report").exists()


def test_other_sections_of_the_results_stay(report, tmp_path):
    page = tmp_path / "RESULTS.md"
    every = tmp_path / "all"
    race = {"experiment": "race"}
    write_run(every / "race", "gru", choices=race)
    write_run(every / "study", "gru")
    write_run(every / "spam", "lstm", dataset="spam", monitor="val/f1")
    assert report(every, f"results={page}")[0] == 0
    whole = page.read_text()
    status, _, error = report(every / "race", f"results={page}")
    assert (status, error) == (0, "")
    assert page.read_text() == whole
    write_run(tmp_path / "new", "gru", dataset="spam", monitor="val/f1", quality=3.0)
    assert report(tmp_path / "new", f"results={page}")[0] == 0
    changed = page.read_text()
    assert changed != whole
    others = [text.partition("## Study 4: imdb")[2] for text in (changed, whole)]
    assert others[0] == others[1] != ""


def test_results_do_not_replace_other_files(report, tmp_path):
    write_run(tmp_path / "spam", "lstm", dataset="spam", monitor="val/f1")
    (tmp_path / "notes.md").write_text("# Notes\n")
    status, _, error = report(tmp_path, f"results={tmp_path / 'notes.md'}")
    assert status == 2
    assert "choose another name" in error
    assert (tmp_path / "notes.md").read_text() == "# Notes\n"


def test_results_need_a_study(report, tmp_path):
    write_run(tmp_path / "mine", dataset="mine")
    status, _, error = report(tmp_path, f"results={tmp_path / 'RESULTS.md'}")
    assert status == 2
    assert "no run is on a data set of the studies" in error


@pytest.mark.slow
def test_trained_runs(train, small, report, tmp_path):
    """Two seeds and the reference, from training."""
    for arguments in (["-m", "seed=0,1", "trainer.max_epochs=2"], ["model=tfidf"]):
        options = [o for o in small if not (o.startswith("model.") and "model=tfidf" in arguments)]
        status, _, error = train(*options, *arguments)
        assert status == 0, error
    groups, _ = group_runs(read_runs([tmp_path / "outputs"]).runs, "auroc")
    assert {group.label: len(group.runs) for group in groups} == {"gru": 2, "tfidf": 1}
    assert {len(run.metrics["curves"]["val/loss"]) for g in groups for run in g.runs} == {1, 2}
    status, _, error = report(tmp_path / "outputs", f"output={tmp_path / 'out'}")
    assert status == 0, error
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    tested = pd.read_csv(tmp_path / "out" / "differences.csv")
    assert len(tested) == 1
