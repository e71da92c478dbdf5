"""Metrics that some runs lack, that are null, or that a user added."""

import json

import pandas as pd
import pytest

from seqtext.errors import UserError
from seqtext.metrics import scores as metrics
from seqtext.reporting import bootstrap
from seqtext.reporting.conclusions import summarize_significance
from seqtext.reporting.pairwise import compare_groups
from seqtext.reporting.report import build_report, format_markdown
from seqtext.reporting.report_files import write_report
from tests.reporting.fake_runs import write_run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three settings; the last has two seeds."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    for number, (model, seed) in enumerate((("gru", 0), ("lstm", 0), ("rnn", 0), ("rnn", 1))):
        write_run(tmp_path / str(number), model, seed, quality=2 - number / 2, dataset="mine")
    return tmp_path


def change(run, **scores):
    """Set scores of both splits, or remove them for `...`."""
    content = json.loads((run / "metrics.json").read_text())
    for part in ("val", "test"):
        for name, value in scores.items():
            content[part].pop(name, None)
            if value is not ...:
                content[part][name] = value
    (run / "metrics.json").write_text(json.dumps(content))


@pytest.mark.parametrize("absent", [..., None, float("nan"), float("inf")])
def test_absent_values_are_dashes(folder, absent):
    change(folder / "0", accuracy=absent, f1=absent, auroc=absent)
    change(folder / "3", recall=absent)
    report = build_report([folder], "accuracy")
    (section,) = report.sections
    rows = {row.label: [cell.text for cell in row.cells] for row in section.table.rows}
    assert list(rows) == ["lstm", "rnn", "gru"]  # without a validation score: last
    assert rows["gru"][:2] == ["–", "–"]
    recall = rows["rnn"][section.table.columns.index("test recall")]
    assert recall.endswith(" (n = 1)")
    assert not any(cell.best for row in section.table.rows[2:] for cell in row.cells[:2])
    write_report(folder / "out", report)
    table = pd.read_csv(folder / "out" / "report.csv").set_index("label")
    assert pd.isna(table.loc["gru", "test/accuracy/mean"])
    assert "| gru | – | – | 1 |" in format_markdown(report)


def test_no_run_has_the_metric(folder):
    with pytest.raises(UserError, match=r"metric=beauty is not known of .*: known are loss, "):
        build_report([folder], "beauty")


def test_a_monitored_metric_that_no_run_has(folder):
    """A default metric replaces it; without any metric there is no report."""
    for number in range(4):
        path = folder / str(number) / "metrics.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"monitor": "val/gone"}))
    assert build_report([folder], None).sections[0].metric == "accuracy"
    for number in range(4):
        path = folder / str(number) / "metrics.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"val": {}, "test": {}}))
    with pytest.raises(UserError, match="has no scores"):
        build_report([folder], None)


def test_entries_that_no_score_needs_may_be_missing(folder):
    path = folder / "0" / "metrics.json"
    content = json.loads(path.read_text())
    for name in ("curves", "rows", "epochs", "threshold", "warnings", "fingerprints"):
        content.pop(name, None)
    path.write_text(json.dumps(content))
    report = build_report([folder], None)
    rows = {r.label: [c.text for c in r.cells] for s in report.sections for r in s.table.rows}
    assert "gru" in rows
    write_report(folder / "out", report)


def test_a_metric_that_predictions_do_not_give(folder):
    """A metric that only training computed: a table without tests, and a note."""
    for number in range(4):
        change(folder / str(number), custom=number / 4)
    report = build_report([folder], "custom")
    (section,) = report.sections
    assert [row.label for row in section.table.rows] == ["rnn", "lstm", "gru"]
    assert section.comparison.pairs == ()
    assert summarize_significance(section.comparison) == [
        "Not compared, as their predictions do not give custom: rnn, lstm, gru."
    ]
    write_report(folder / "out", report)


def test_a_metric_that_was_added_is_resampled_by_its_own_definition(folder, monkeypatch):
    """A metric without weights; here, accuracy under another name."""
    original = metrics.compute_metrics

    def scores(*args, **kwargs):
        return (found := original(*args, **kwargs)) | {"recall_new": found["accuracy"]}

    monkeypatch.setattr(metrics, "compute_metrics", scores)
    monkeypatch.setattr(bootstrap, "SLOW_RESAMPLES", 20)
    for number in range(4):
        path = folder / str(number) / "metrics.json"
        change(folder / str(number), recall_new=json.loads(path.read_text())["test"]["accuracy"])
    groups = build_report([folder], "accuracy").sections[0].groups
    new, known = compare_groups(groups, "recall_new"), compare_groups(groups, "accuracy")
    assert (new.resamples, known.resamples) == (20, 500)
    for slow, fast in zip(new.pairs, known.pairs, strict=True):
        assert slow.difference == pytest.approx(fast.difference)
        assert (slow.high - slow.low) == pytest.approx(fast.high - fast.low, rel=0.5)


def test_a_class_that_one_fold_lacks(folder):
    """A recall that some runs lack is the mean of the others, with their number."""
    change(folder / "2", specificity=None)
    groups = build_report([folder], "accuracy").sections[0].groups
    (rnn,) = (group for group in groups if group.label == "rnn")
    assert len(rnn.values("test", "specificity")) == 1
    assert rnn.std("test", "specificity") is None
