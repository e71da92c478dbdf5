"""Ensembles in reports: means by hand, selection by validation, rows, notes and costs."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from seqtext.reporting import ensembles
from seqtext.reporting.ensembles import build_ensembles, select_members
from seqtext.reporting.groups import group_runs
from seqtext.reporting.report import build_report
from seqtext.reporting.results_page import get_result_source
from seqtext.reporting.results_table import compute_prediction_time
from seqtext.reporting.run_files import LoadedPredictions, average_predictions
from seqtext.reporting.runs import read_runs
from tests.reporting.fake_runs import write_run

LABELS = np.array([1, 1, 0, 0])


def of_class_one(*shares: float, threshold: float = 0.5) -> LoadedPredictions:
    """Return predictions of four rows of the classes 1, 1, 0, 0."""
    ones = np.array(shares)
    predicted = (ones >= threshold).astype(int)
    columns = np.arange(4), LABELS, predicted, np.stack([1 - ones, ones], axis=1)
    return LoadedPredictions(*columns, ("no", "yes"), threshold)


def test_means_by_hand():
    one = of_class_one(0.9, 0.1, 0.5, 0.0)
    other = replace(of_class_one(0.1, 0.3, 0.5, 0.6, threshold=0.3), custom={"mine": {}})
    mean = average_predictions([one, other])
    assert mean.probabilities[:, 1] == pytest.approx([0.5, 0.2, 0.5, 0.3])
    assert (mean.threshold, mean.custom) == (pytest.approx(0.4), {"mine": {}})
    assert mean.predicted.tolist() == [1, 0, 1, 0]
    weighted = average_predictions([one, other], [3, 1])
    assert weighted.probabilities[:, 1] == pytest.approx([0.7, 0.15, 0.5, 0.15])
    assert weighted.threshold == pytest.approx(0.45)


def test_the_mean_of_three_classes():
    shares = np.array([[0.5, 0.3, 0.2]]), np.array([[0.1, 0.3, 0.6]])
    each = [
        LoadedPredictions(np.arange(1), np.ones(1, int), np.zeros(1, int), share, tuple("abc"))
        for share in shares
    ]
    mean = average_predictions(each)
    assert mean.probabilities[0] == pytest.approx([0.3, 0.3, 0.4])
    assert mean.predicted.tolist() == [2]


GOOD = of_class_one(0.9, 0.4, 0.2, 0.2)  # one error
COMPLEMENT = of_class_one(0.4, 0.9, 0.2, 0.6)  # two errors; none together with GOOD
WRONG = of_class_one(0.1, 0.1, 0.9, 0.9)
PERFECT = of_class_one(0.9, 0.9, 0.1, 0.1)


@pytest.mark.parametrize(
    ("predictions", "metric", "members"),
    [
        ([WRONG, COMPLEMENT, GOOD], "accuracy", [2, 1]),
        ([WRONG, PERFECT, GOOD], "accuracy", [1]),
        ([WRONG, COMPLEMENT, GOOD], "loss", [2]),
        ([WRONG, GOOD, of_class_one(0.5, 0.9, 0.2, 0.2)], "loss", [2, 1]),
        ([GOOD, PERFECT], "auroc", [1]),  # GOOD has this score too, and a higher loss
        ([GOOD, GOOD], "accuracy", [0]),
        ([GOOD], "accuracy", [0]),
    ],
)
def test_selection_by_hand(predictions, metric, members):
    assert select_members(predictions, metric) == members


def test_selection_goes_through_a_step_without_gain():
    """One error alone, two errors of the first two, none of all three."""
    each = [of_class_one(0.05, 0.9, 0.1, 0.1), of_class_one(0.9, 0.05, 0.1, 0.1)]
    each.append(of_class_one(0.9, 0.9, 0.95, 0.95))
    for other in each[1:]:
        assert (average_predictions([each[0], other]).predicted != LABELS).sum() >= 2
    assert select_members(each, "accuracy") == [0, 1, 2]


def test_a_maximum_of_members(monkeypatch):
    monkeypatch.setattr(ensembles, "MAX_MEMBERS", 1)
    assert select_members([WRONG, COMPLEMENT, GOOD], "accuracy") == [2]


@pytest.fixture
def runs(tmp_path):
    """Three seeds of two models, and the reference."""
    for model, quality in (("gru", 1.0), ("lstm", 0.8)):
        for seed in range(3):
            write_run(tmp_path / "runs" / f"{model} {seed}", model, seed, quality)
    write_run(tmp_path / "runs" / "tfidf", "tfidf", quality=0.9)
    return tmp_path / "runs"


def ensembles_of(folder):
    return build_ensembles(group_runs(read_runs([folder]).runs, "accuracy")[0], "accuracy")


def test_rows_and_costs(runs):
    found, notes = ensembles_of(runs)
    assert [group.label for group in found[:2]] == [
        "gru (mean of 3 seeds)",
        "lstm (mean of 3 seeds)",
    ]
    assert re.fullmatch(r"mean of [2-7] of 7 runs", found[2].label)
    (groups, _) = group_runs(read_runs([runs]).runs, "accuracy")
    gru = next(group for group in groups if group.label == "gru")
    mean = np.mean([one.probabilities for one in gru.predictions], axis=0)
    np.testing.assert_allclose(found[0].predictions[0].probabilities, mean, rtol=1e-12)
    right = mean.argmax(axis=1) == gru.predictions[0].labels
    assert found[0].mean("test", "accuracy") == right.mean()
    assert found[0].mean("seconds", "total") == pytest.approx(3 * gru.mean("seconds", "total"))
    assert compute_prediction_time(found[0]) is None, "these runs do not know it"
    assert found[0].mean("parameters") == sum(run.metrics["parameters"] for run in gru.runs)
    assert {get_result_source(group) for group in found} == {"ensemble"}
    assert found[0].mean("test", "accuracy") > gru.mean("test", "accuracy")
    assert notes[0].startswith("Ensembles average the probabilities")
    assert "(Caruana et al., 2004)" in notes[1]
    assert f"predict.py 'run=['\"'\"'{runs}/" in notes[1]  # quoted: names have spaces


def test_every_known_time_is_summed(runs):
    groups, _ = group_runs(read_runs([runs]).runs, "accuracy")
    for run in (run for group in groups for run in group.runs):
        run.metrics["seconds"] |= {"test": 2.0, "features": 10.0}
    for group in build_ensembles(groups, "accuracy")[0]:
        count = len(group.runs[0].members)
        assert group.mean("seconds", "test") == 2 * count
        assert group.mean("seconds", "features") == 10 * count


def test_the_test_part_selects_nothing(runs, tmp_path):
    """The same runs with other test rows, on which good models are bad, have the same members."""
    found, _ = ensembles_of(runs)
    for folder in runs.iterdir():
        table = pd.read_parquet(folder / "predictions" / "test.parquet")
        names = {"negative": "positive", "positive": "negative"}
        columns = {f"probability_{one}": f"probability_{other}" for one, other in names.items()}
        turned = table.rename(columns=columns)[table.columns]
        turned["prediction"] = table["prediction"].map(names)
        turned.to_parquet(folder / "predictions" / "test.parquet")
    again, _ = ensembles_of(runs)
    assert [g.label for g in again] == [g.label for g in found]
    assert [[r.path for r in g.members] for g in again] == [
        [r.path for r in g.members] for g in found
    ]
    assert again[2].mean("test", "accuracy") == pytest.approx(1 - found[2].mean("test", "accuracy"))


def test_runs_that_cannot_be_averaged(tmp_path):
    for fold in range(2):
        options = {"split.fold": fold, "split.folds": 2}
        rows = range(100 * fold, 100 * fold + 100)
        write_run(tmp_path / f"fold {fold}", "gru", 0, 1.0, options, rows=rows)
    for seed in range(2):
        write_run(tmp_path / f"lost {seed}", "lstm", seed)
    (tmp_path / "lost 1" / "predictions" / "val.parquet").unlink()
    found, notes = ensembles_of(tmp_path)
    labels = "(gru folds=2, lstm folds=null|lstm folds=null, gru folds=2)"
    assert re.match(f"No mean over the seeds of {labels}: .* or no predictions", notes[0])
    assert (found, len(notes)) == ([], 1)


def test_seeds_that_predict_the_same(tmp_path):
    for seed in range(2):
        write_run(tmp_path / f"{seed}", "tfidf", seed)
    same = (tmp_path / "0" / "predictions").iterdir()
    for file in same:
        (tmp_path / "1" / "predictions" / file.name).write_bytes(file.read_bytes())
    assert ensembles_of(tmp_path) == ([], [])


def test_one_run_may_be_best_alone(tmp_path):
    write_run(tmp_path / "good", "gru", quality=9.0)
    write_run(tmp_path / "bad", "lstm", quality=-2.0)
    wanted = "No mean of several runs has a better validation accuracy than gru alone."
    assert ensembles_of(tmp_path) == ([], [wanted])


def test_a_report_with_ensembles(script, runs, tmp_path):
    report = partial(script, "report.py")
    status, _, error = report(runs, "ensembles=true", f"output={tmp_path / 'out'}")
    assert status == 0, error
    table = pd.read_csv(tmp_path / "out" / "report.csv")
    assert table["kind"].tolist().count("ensemble") == 3
    assert set(table.query("kind == 'ensemble'")["n"]) == {1}
    seeds = table.query("label == 'gru (mean of 3 seeds)'")["members"].item()
    assert seeds == ",".join(str(runs / f"gru {seed}") for seed in range(3))
    assert table["val/accuracy/mean"].dropna().is_monotonic_decreasing
    tested = pd.read_csv(tmp_path / "out" / "differences.csv")
    assert len(tested) == 6 * 5 / 2
    for suffix in ("md", "tex", "html"):
        text = (tmp_path / "out" / f"report.{suffix}").read_text()
        assert "gru (mean of 3 seeds)" in text
        assert "7 runs, " in text
    assert "\n| gru (mean of 3 seeds) |" in (tmp_path / "out" / "report.md").read_text()
    with_them, without = (build_report([runs], None, None, None, each) for each in (True, False))
    assert with_them.sections[0].describe() == without.sections[0].describe()
    assert with_them.sections[0].list_commands() == without.sections[0].list_commands()
    assert not any(group.is_ensemble for group in without.sections[0].groups)
