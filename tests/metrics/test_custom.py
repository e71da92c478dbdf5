"""Metrics of torchmetrics: values, directions, and their way from the command line to predict."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torchmetrics import Metric

from seqtext.config.metrics import build_custom_metrics
from seqtext.errors import UserError
from seqtext.metrics.custom import CustomMetrics, check_metrics
from seqtext.metrics.definitions import get_metric_mode
from seqtext.metrics.predictions import Predictions
from seqtext.reporting.bootstrap import build_scorer, has_score
from seqtext.reporting.run_files import LoadedPredictions

KAPPA = {"kappa": {"_target_": "torchmetrics.CohenKappa"}}
OPTION = "+metrics.kappa._target_=torchmetrics.CohenKappa"


def predictions_of(classes: int, config: dict, threshold: float = 0.5) -> Predictions:
    rng = np.random.default_rng(0)
    shape = (50,) if classes == 2 else (50, classes)
    labels, logits = rng.integers(classes, size=50), torch.from_numpy(rng.normal(size=shape))
    names, custom = [f"class {n}" for n in range(classes)], build_custom_metrics(config, classes)
    return Predictions(np.arange(50), labels, logits, names, threshold, custom)


@pytest.mark.parametrize(("classes", "threshold"), [(2, 0.5), (2, 0.7), (4, 0.5)])
def test_kappa_is_that_of_sklearn(classes, threshold):
    predictions = predictions_of(classes, KAPPA, threshold)
    wanted = cohen_kappa_score(predictions.labels, predictions.predicted)
    assert predictions.compute_metrics()["kappa"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_reach_metrics_that_read_them(classes):
    config = {"area": {"_target_": "torchmetrics.AUROC"}}
    scores = predictions_of(classes, config).compute_metrics()
    assert scores["area"] == pytest.approx(scores["auroc"], abs=1e-6)


def test_a_metric_of_several_classes_takes_two_as_well():
    config = {"area": {"_target_": "torchmetrics.classification.MulticlassAUROC"}}
    assert "area" in predictions_of(2, config).compute_metrics()


def test_directions():
    config = KAPPA | {"error": {"_target_": "torchmetrics.CalibrationError", "n_bins": 5}}
    assert build_custom_metrics(config, 2).modes == {"kappa": "max", "error": "min"}


@pytest.mark.parametrize(
    ("options", "classes", "message"),
    [
        ("CohenKappa", 2, "metrics.kappa is not possible: it must name a class"),
        ({"_target_": "os.getcwd"}, 2, "metrics.kappa._target_=os.getcwd is not allowed"),
        ({"_target_": "torchmetrics.Kappa"}, 2, "torchmetrics.Kappa cannot be found"),
        (
            {"_target_": "torchmetrics.CohenKappa", "weight": 1},
            2,
            "no option metrics.kappa.weight: did you mean metrics.kappa.weights",
        ),
        (
            {"_target_": "torchmetrics.CohenKappa", "weights": "cubic"},
            2,
            "metrics.kappa: .*weight.*cubic",
        ),
        ({"_target_": "torchmetrics.ConfusionMatrix"}, 2, "kappa cannot be computed for 2"),
        (
            {"_target_": "torchmetrics.classification.BinaryCohenKappa"},
            3,
            "kappa cannot be computed for 3 classes",
        ),
    ],
)
def test_unusable_metrics_are_refused(options, classes, message):
    with pytest.raises(UserError, match=message):
        build_custom_metrics({"kappa": options}, classes)


class Undefined(Metric):
    higher_is_better = None

    def update(self, preds, target):
        self.count = len(target)

    def compute(self):
        return torch.tensor(torch.nan)


def test_undefined_values_are_left_out():
    metrics = CustomMetrics({"none": Undefined()}, frozenset(), 2)
    check_metrics(metrics)
    found = Predictions(
        np.arange(2), np.array([0, 1]), torch.zeros(2), ["a", "b"], custom=metrics
    ).compute_metrics()
    assert "none" not in found
    assert "accuracy" in found


def read_run(folder: Path) -> tuple[Path, dict]:
    (path,) = folder.glob("outputs/*/metrics.json")
    return path.parent, json.loads(path.read_text())


@pytest.mark.slow
def test_from_the_command_line_to_the_report(train, script, small, tmp_path, kaggle_dir):
    options = [*small, OPTION, "monitor=val/kappa"]
    status, output, error = train(*options)
    assert status == 0, error
    run, metrics = read_run(tmp_path)
    assert "kappa" in output
    assert "val/kappa" in output
    assert metrics["test"]["kappa"] == pytest.approx(metrics["test"]["mcc"], abs=0.1)
    assert metrics["score"] == pytest.approx(max(metrics["curves"]["val/kappa"]), rel=1e-5)
    assert metrics["metric_modes"] == {"kappa": "max"}
    files = kaggle_dir / "IMDB Dataset.csv"
    status, output, error = script(
        "predict.py", f"run={run}", f"input={files}", "label=sentiment", "text=review"
    )
    assert status == 0, error
    assert "kappa" in output
    status, _, error = train(*options, "seed=1")
    status, output, error = script("report.py", "outputs", "metric=kappa", "output=report")
    assert status == 0, error
    assert "kappa" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.slow
def test_lower_is_better(train, small, tmp_path):
    status, _, error = train(*small, "metrics=calibration_error", "monitor=val/calibration_error")
    assert status == 0, error
    _, metrics = read_run(tmp_path)
    curve = metrics["curves"]["val/calibration_error"]
    assert metrics["score"] == pytest.approx(min(curve), rel=1e-5)
    assert get_metric_mode("val/calibration_error") == "min"


@pytest.mark.slow
def test_tfidf_has_it_too(train, small, tmp_path):
    kept = [option for option in small if not option.startswith("model.")]
    chosen = "metrics=[kappa,calibration_error]"
    status, _, error = train(*kept, "model=tfidf", chosen, "monitor=val/kappa")
    assert status == 0, error
    scores = read_run(tmp_path)[1]["test"]
    assert scores["kappa"] > 0.5
    assert 0 < scores["calibration_error"] < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["+metrics.f1._target_=torchmetrics.CohenKappa"], "metrics.f1 is computed already"),
        (
            ["+metrics.matrix._target_=torchmetrics.ConfusionMatrix", "monitor=val/matrix"],
            "does not say whether a higher value is better",
        ),
    ],
)
def test_one_sentence_for_what_is_wrong(train, small, options, message):
    status, _, error = train(*small, *options)
    assert status == 2
    assert message in error
    assert "Traceback" not in error


def test_bootstrap_of_the_report():
    predictions = predictions_of(2, KAPPA)
    loaded = LoadedPredictions(
        predictions.rows,
        predictions.labels,
        predictions.predicted,
        predictions.probabilities,
        ("a", "b"),
        custom=KAPPA,
    )
    weights = np.stack([np.ones(50), np.r_[np.full(25, 2), np.zeros(25)]])
    scores = build_scorer(loaded, "kappa")(weights)
    half = cohen_kappa_score(predictions.labels[:25], predictions.predicted[:25])
    assert scores[0] == pytest.approx(predictions.compute_metrics()["kappa"], abs=1e-6)
    assert scores[1] == pytest.approx(half, abs=1e-6)
    assert has_score(loaded, "kappa")


def test_a_report_does_not_import_what_a_run_folder_names():
    predictions = predictions_of(2, KAPPA)
    columns = (predictions.rows, predictions.labels, predictions.predicted)
    custom = {"kappa": {"_target_": "this_package.Kappa"}}
    loaded = LoadedPredictions(*columns, predictions.probabilities, ("a", "b"), custom=custom)
    assert not has_score(loaded, "kappa")
