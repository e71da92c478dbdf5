"""Temperature and prediction sets come from the validation part, and reach every prediction."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar

from seqtext import load
from seqtext.checkpoints.files import METADATA_KEY, load_checkpoint, save_checkpoint
from seqtext.losses import cross_entropy
from seqtext.metrics.predictions import Predictions
from seqtext.run_dir import RunDir
from seqtext.training.calibration import TEMPERATURES, find_temperature
from tests.conftest import SMALL


def build_predictions(logits: torch.Tensor, labels: torch.Tensor) -> Predictions:
    names = [f"c{n}" for n in range(2 if logits.ndim == 1 else logits.shape[1])]
    return Predictions(np.arange(len(labels)), labels.numpy(), logits, names)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
def test_the_temperature_of_calibrated_logits(classes, factor):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
    shown = logits[:, 1] - logits[:, 0] if classes == 2 else logits
    found = find_temperature(build_predictions(factor * shown, labels))
    assert found == pytest.approx(factor, rel=0.06)
    best = minimize_scalar(
        lambda t: float(cross_entropy(factor * shown.double() / t, labels)),
        bounds=TEMPERATURES,
        options={"xatol": 1e-6},
    )
    assert found == pytest.approx(best.x, rel=0.01)


def test_separable_rows_do_not_give_certainty():
    labels = torch.tensor([0, 1] * 4)
    found = build_predictions(labels * 2.0 - 1, labels)
    shares = found.with_temperature(find_temperature(found)).probabilities
    assert shares.max() == pytest.approx(9 / 10, abs=1e-3)


UNCERTAIN = ("model.pooling=max", "model.head_dropout=0.5", "model.variational_dropout=0.5")


@pytest.fixture
def calibrated(train, small) -> RunDir:
    own = "name=run", "calibration=temperature", "threshold=tuned"
    status, _, error = train(*small, *UNCERTAIN, *own)
    assert status == 0, error
    return RunDir(Path("outputs/run"))


def test_a_run(calibrated, train, small, script):
    status, _, error = train(*small, *UNCERTAIN, "name=plain", "threshold=tuned")
    assert status == 0, error
    plain, own = RunDir(Path("outputs/plain")).read_metrics(), calibrated.read_metrics()
    temperature = own["temperature"]
    assert temperature != 1
    assert "temperature" not in plain
    assert own["val"]["loss"] < plain["val"]["loss"]
    assert own["val"]["auroc"] == plain["val"]["auroc"]
    tables = [
        pd.read_parquet(Path(f"outputs/{n}/predictions/test.parquet")) for n in ("plain", "run")
    ]
    logits = [np.log(t["probability_positive"] / t["probability_negative"]) for t in tables]
    np.testing.assert_allclose(logits[0] / temperature, logits[1], atol=1e-4)
    assert (tables[0]["prediction"] == tables[1]["prediction"]).all()
    # the same probabilities in predict.py and Python
    texts = pd.read_csv(next(Path().rglob("IMDB Dataset.csv")))["review"].to_numpy()
    texts = texts[tables[1]["row"].to_numpy()]
    shares = load(calibrated.path).predict_proba(texts)[:, 1]
    np.testing.assert_allclose(shares, tables[1]["probability_positive"], atol=1e-5)
    status, _, error = script("predict.py", f"run={calibrated.path}", "explain=true", texts[0])
    assert status == 0, error
    status, _, error = train("mode=test", "checkpoint=outputs/run", "name=scored")
    assert status == 0, error
    scored = json.loads(Path("outputs/scored/scores.json").read_text())
    assert scored["loss"] == pytest.approx(own["test"]["loss"], abs=1e-6)


def test_sets_of_predict(calibrated, script, predict_file_of_test):
    source, labels = predict_file_of_test
    status, out, error = script(
        *("predict.py", f"run={calibrated.path}", f"input={source}", "output=sets.csv"),
        *("label=sentiment", "text=review", "coverage=0.8"),
    )
    assert status == 0, error
    table = pd.read_csv("sets.csv")
    sets = table[["in_set_negative", "in_set_positive"]].to_numpy()
    assert sets.any(axis=1).all()
    predicted = (table["predicted_label"] if "predicted_label" in table else table["label"]).eq(
        "positive"
    )
    assert sets[np.arange(len(sets)), predicted.astype(int)].all()
    covered = sets[np.arange(len(sets)), labels].mean()
    scores = json.loads(Path("sets-scores/scores.json").read_text())["prediction_sets"]
    assert scores["coverage"] == pytest.approx(covered)
    for number, name in enumerate(("negative", "positive")):
        of_class = sets[labels == number, number].mean()
        assert scores["coverage_by_class"][name] == pytest.approx(of_class)
    assert scores["mean_size"] == pytest.approx(sets.sum(axis=1).mean())
    assert f"{covered:.1%} of the sets contain the true class (coverage=0.8)" in " ".join(
        out.split()
    )
    status, out, error = script("predict.py", f"run={calibrated.path}", "coverage=0.9", "wonderful")
    assert status == 0, error
    assert out.split("\t")[2] in ("positive", "negative", "negative, positive")


@pytest.fixture
def predict_file_of_test(calibrated) -> tuple[Path, np.ndarray]:
    """Return a file with the rows of the test part, and their class numbers."""
    table = pd.read_parquet(calibrated.predictions("test"))
    rows = pd.read_csv(next(Path().rglob("IMDB Dataset.csv"))).iloc[table["row"]]
    rows.to_csv("test.csv", index=False)
    return Path("test.csv"), rows["sentiment"].eq("positive").to_numpy().astype(int)


def test_messages(calibrated, script):
    for options, words in (
        (["coverage=1", "a"], "coverage=1"),
        (["coverage=often", "a"], "coverage=often must be a number"),
        (["coverage=0.9", "explain=true", "a"], "cannot be combined"),
        (["coverage=0.9", "export=x"], "can only be combined"),
        (["coverage=0.999", "a"], "needs at least 999 validation rows"),
    ):
        status, _, error = script("predict.py", f"run={calibrated.path}", *options)
        assert status != 0
        assert words in error


def test_one_model_only_and_one_that_has_no_scores(calibrated, script):
    status, _, error = script("predict.py", "run=[outputs/run,outputs/run]", "coverage=0.9", "a")
    assert status != 0
    assert "coverage= takes one model" in error
    checkpoint = load_checkpoint(calibrated.best_checkpoint)
    del checkpoint[METADATA_KEY]["conformal_scores"]
    save_checkpoint(calibrated.best_checkpoint, checkpoint)
    status, _, error = script("predict.py", f"run={calibrated.path}", "coverage=0.9", "a")
    assert status != 0
    assert "Train it again" in error
    for name, value, words in (
        ("temperature", 0.0, "temperature must be a positive number"),
        ("conformal_scores", torch.tensor([float("nan")]), "conformal_scores"),
        ("conformal_scores", torch.zeros(2, 2), "conformal_scores must be"),
    ):
        changed = checkpoint | {METADATA_KEY: checkpoint[METADATA_KEY] | {name: value}}
        save_checkpoint(calibrated.best_checkpoint, changed)
        status, _, error = script("predict.py", f"run={calibrated.path}", "a")
        assert status != 0
        assert words in error


def test_options(train):
    status, _, error = train(*SMALL, "calibration=isotonic")
    assert status != 0
    assert "calibration=isotonic" in error
