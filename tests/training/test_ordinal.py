"""target=ordinal: from the command line to checkpoints, predictions, reports and messages."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import metrics as sk

from seqtext import load
from seqtext.checkpoints.files import METADATA_KEY, load_checkpoint, save_checkpoint
from seqtext.metrics.scores import compute_probabilities
from seqtext.models.non_neural import TokenizedTexts
from seqtext.models.tfidf import TfIdf
from seqtext.run_dir import RunDir
from tests.conftest import ROOT, csv_of

STARS = ("1", "2", "3", "4")


def write_stars(path: Path, names: tuple[str, ...] = STARS, rows: int = 400) -> None:
    """Write texts whose share of good words grows with the number of stars."""
    rng = np.random.default_rng(0)
    good, bad = ([f"{kind}{n}" for n in range(12)] for kind in ("good", "bad"))
    made = []
    for number in range(rows):
        star = number % len(names)
        count = rng.binomial(8, (star + 0.5) / len(names))
        words = [*rng.choice(good, count), *rng.choice(bad, 8 - count), f"w{number}"]
        made.append((" ".join(rng.permutation(words)), names[star]))
    path.write_text(csv_of(made, ("text", "label")))


@pytest.fixture
def stars(tmp_path) -> list[str]:
    write_stars(tmp_path / "stars.csv")
    return [
        *("dataset=table", "dataset.path=stars.csv", "target=ordinal", "trainer=cpu"),
        *("model.units=8", "embedding.dim=8", "optimizer.lr=0.05", "trainer.max_epochs=2"),
        *("monitor=val/mae", "dataset.batch_size=16"),
    ]


def run(train, stars, *options, name: str = "run") -> RunDir:
    status, _, error = train(*stars, f"name={name}", *options)
    assert status == 0, error
    return RunDir(Path("outputs") / name)


@pytest.mark.parametrize("model", ["gru", pytest.param("tfidf", marks=pytest.mark.slow)])
def test_a_run(train, stars, script, model):
    if model == "tfidf":
        stars = [option for option in stars if option.startswith(("data", "target", "monitor"))]
    folder = run(train, stars, f"model={model}", "calibration=temperature")
    metrics = folder.read_metrics()
    table = pd.read_parquet(folder.predictions("test"))
    true, predicted = table["label"].astype(int), table["prediction"].astype(int)
    shares = table[[f"probability_{star}" for star in STARS]].to_numpy()
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(shares)))
    medians = 1 + (shares.cumsum(axis=1)[:, :-1] < 0.5).sum(axis=1)
    assert predicted.tolist() == medians.tolist()
    found = metrics["test"]
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(true, predicted))
    kappa = sk.cohen_kappa_score(true, predicted, weights="quadratic")
    assert found["quadratic_kappa"] == pytest.approx(kappa)
    assert found["loss"] == pytest.approx(sk.log_loss(true, shares), abs=1e-6)
    assert found["mae"] < 0.9  # of the best constant prediction: 1
    classifier = load(folder.path)
    texts = pd.read_csv("stars.csv")["text"].to_numpy()[table["row"].to_numpy()]
    np.testing.assert_allclose(classifier.predict_proba(texts), shares, atol=1e-5)
    assert (classifier.predict(texts) == predicted.astype(str)).all()
    status, _, error = script("predict.py", f"run={folder.path}", "explain=true", texts[0])
    assert status == 0, error
    status, _, error = script("report.py", "outputs", "metric=mae")
    assert status == 0, error
    report = Path("outputs/report/report.md").read_text()
    assert f"{found['mae']:.3f}" in report


@pytest.mark.parametrize("absent", [0, 1, 3])
def test_a_class_without_training_rows_has_no_probability(absent):
    labels = np.delete(np.arange(4), absent)[np.arange(60) % 3]
    texts = TokenizedTexts(
        np.full(60, 2), np.stack([labels, labels + 4], 1).ravel(), pa.array(list("abcdefgh"))
    )
    model = TfIdf(classes=4, analyzer="words", C=10.0)
    model.make_ordinal()
    model.fit(texts, labels)
    assert model.weights.shape[0] == 3
    shares = compute_probabilities(model.predict_logits(texts))
    assert shares[:, absent].max() < 1e-6
    assert shares.argmax(dim=1).tolist() == labels.tolist()
    copy = TfIdf(classes=4, analyzer="words", C=10.0)
    copy.make_ordinal()
    copy.load_state_dict(model.words, model.state_dict())
    assert copy.predict_logits(texts).tolist() == model.predict_logits(texts).tolist()


@pytest.mark.slow
def test_named_classes_have_the_order_of_dataset_classes(train, stars):
    write_stars(Path("stars.csv"), ("low", "middle", "high"), rows=240)
    folder = run(train, stars, "dataset.classes=[low,middle,high]")
    assert folder.read_metrics()["class_names"] == ["low", "middle", "high"]
    assert folder.read_metrics()["test"]["mae"] >= 0
    status, _, error = train(*stars, "dataset.classes=[low,middle,high]", "target=nominal")
    assert status != 0
    assert "val/mae" in error


def test_what_has_no_order_is_refused(train, small, stars):
    status, _, error = train(*small, "target=ordinal")
    assert status != 0
    assert "for more than two classes" in error
    write_stars(Path("stars.csv"), ("low", "middle", "high"), rows=60)
    status, _, error = train(*stars)
    assert status != 0
    assert "order of the classes high, low, middle" in error


@pytest.mark.slow
def test_a_killed_run_resumes_and_a_checkpoint_is_scored(train, stars, script):
    stars = [*stars, "scheduler=none"]  # a schedule would depend on the number of epochs
    whole = run(train, stars, name="whole")
    part = run(train, stars, "trainer.max_epochs=1", name="part")
    part.metrics_path.unlink()
    status, _, error = train(f"resume={part.path}", "trainer.max_epochs=2")
    assert status == 0, error
    assert part.read_metrics()["test"] == whole.read_metrics()["test"]
    status, _, error = train("mode=test", f"checkpoint={whole.path}", "name=scored")
    assert status == 0, error
    scored = json.loads(Path("outputs/scored/scores.json").read_text())
    assert scored["mae"] == pytest.approx(whole.read_metrics()["test"]["mae"])


@pytest.mark.slow
def test_numbers_have_their_metrics_without_target_too(train, stars):
    folder = run(train, stars, "target=nominal")
    table = pd.read_parquet(folder.predictions("test"))
    shares = table[[f"probability_{star}" for star in STARS]].to_numpy()
    assert table["prediction"].astype(int).tolist() == (1 + shares.argmax(axis=1)).tolist()
    assert folder.read_metrics()["test"]["mae"] > 0


@pytest.mark.slow
def test_a_checkpoint_with_another_target_is_refused(train, stars, script):
    folder = run(train, stars)
    checkpoint = load_checkpoint(folder.best_checkpoint)
    for target, words in (("nominal", "output.weight"), ("odd", "target must be")):
        checkpoint[METADATA_KEY]["config"]["target"] = target
        save_checkpoint(folder.best_checkpoint, checkpoint)
        status, _, error = script("predict.py", f"run={folder.path}", "a text")
        assert status != 0
        assert words in error


@pytest.mark.slow
def test_the_commands_of_the_docs(train, stars, script):
    page = (ROOT / "docs" / "probabilities.md").read_text()
    commands = re.findall(r"^python (train|predict).py (.*)$", page, re.MULTILINE)
    assert len(commands) == 5
    pd.read_csv("stars.csv").rename(columns={"text": "Review Text", "label": "stars"}).to_csv(
        "more.csv", index=False
    )
    small = ("model.units=8", "embedding.dim=8", "trainer.max_epochs=1", "trainer=cpu")
    for number, (name, typed) in enumerate(commands):
        arguments = shlex.split(typed.replace("outputs/clothing-gru", "outputs/run-0"))
        if name == "train":
            shown = [a for a in arguments if not a.startswith(("dataset=", "name="))]
            own = [*stars[:2], *(() if "model=tfidf" in shown else small)]
            status, _, error = train(*own, *shown, f"name=run-{number}")
        else:
            more = ["text=Review Text"] if "input=more.csv" in arguments else []
            status, _, error = script("predict.py", *arguments, *more)
        assert status == 0, error
    assert "in_set_4" in Path("sets.csv").read_text()
