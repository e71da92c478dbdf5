"""Ensembles of runs: the mean of probabilities, options, and what cannot be averaged."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone

from seqtext import load
from seqtext.checkpoints.files import load_checkpoint, save_checkpoint
from seqtext.errors import UserError
from seqtext.inference.ensemble import Ensemble, Member, load_predictor
from seqtext.inference.predict_options import PredictOptions
from seqtext.inference.predictor import Predictor, TextPredictor
from seqtext.reporting.run_files import average_predictions
from seqtext.reporting.runs import read_run
from seqtext.run_dir import RunDir
from tests.conftest import csv_of
from tests.inference.conftest import REVIEWS, trained

TEXTS = [text for text, _ in REVIEWS[:40]]


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A run of another model and tokenizer, with a threshold of its own."""
    folder = tmp_path_factory.mktemp("linear")
    done = trained(folder, "model=tfidf", "model.C=1", "threshold=0.3", small=())
    return RunDir(done.path.rename(folder / "it's [1], a"))


class Fixed(TextPredictor):
    """Returns the same logits for every call."""

    text_columns = ("text",)
    drop_labels = ()

    def __init__(self, logits, class_names, threshold=0.5):
        self.class_names, self.threshold, self.metric_options = class_names, threshold, {}
        self.logits = torch.from_numpy(np.array(logits))

    def predict_logits(self, texts):
        return self.logits

    def warn_of_unknown_texts(self, name=""):
        pass


def test_means_by_hand():
    """Probabilities 0.9 and 0.5, thresholds 0.2 and 0.5; the first counts three times."""
    first = Fixed([math.log(9), -1000.0], ["no", "yes"], 0.2)
    both = Ensemble([Member("a", first, 3), Member("b", Fixed([0.0, 0.0], ["no", "yes"]))])
    logits = both.predict_logits(pa.array(["", ""]))
    np.testing.assert_allclose(both.probabilities(logits)[:, 1], [0.8, 0.125], rtol=1e-12)
    assert both.threshold == pytest.approx(0.275)
    assert both.predict_classes(logits).tolist() == [1, 0]


def test_means_of_three_classes():
    members = [Fixed([np.log([0.6, 0.3, 0.1])], list("abc")), Fixed([[0.0, 0.0, 0.0]], list("abc"))]
    both = Ensemble([Member("", member) for member in members])
    shares = both.probabilities(both.predict_logits(pa.array([""])))
    wanted = [(0.6 + 1 / 3) / 2, (0.3 + 1 / 3) / 2, (0.1 + 1 / 3) / 2]
    np.testing.assert_allclose(shares, [wanted], rtol=1e-12)


def test_from_python(finished, linear):
    runs = [finished.path, str(linear.path)]
    both, members = load(runs), [load(run) for run in runs]
    wanted = (members[0].predict_proba(TEXTS) + members[1].predict_proba(TEXTS)) / 2
    np.testing.assert_allclose(both.predict_proba(TEXTS), wanted, rtol=1e-12)
    assert both.classes_.tolist() == ["negative", "positive"]
    assert both.predictor_.threshold == pytest.approx(0.4)
    named = np.where(wanted[:, 1] >= 0.4, "positive", "negative")
    assert both.predict(TEXTS).tolist() == named.tolist()
    assert both.score(TEXTS, named) == 1
    assert clone(both).run == runs
    with pytest.raises(UserError, match="takes one model"):
        both.explain(TEXTS)


def test_the_report_averages_what_the_runs_predict(finished, linear):
    """Both of them average probabilities and thresholds, of the same rows."""
    each = [read_run(done.path, []).predictions for done in (finished, linear)]
    mean = average_predictions([one for one in each if one])
    texts = [REVIEWS[row][0] for row in mean.rows]
    both = load([finished.path, linear.path])
    np.testing.assert_allclose(both.predict_proba(texts), mean.probabilities, rtol=1e-5)
    assert both.predictor_.threshold == pytest.approx(mean.threshold)
    named = [("negative", "positive")[number] for number in mean.predicted]
    assert both.predict(texts).tolist() == named


def test_a_fit_trains_every_member(linear):
    """The same run twice is one model; the labels are turned."""
    labels = [int(label == "negative") for _, label in REVIEWS]
    twice = load([linear.path, linear.best_checkpoint])
    assert isinstance(twice.predictor_, Predictor)
    model = load([linear.path]).fit([text for text, _ in REVIEWS], labels)
    assert model.score([text for text, _ in REVIEWS], labels) > 0.9


def test_a_file_is_scored(predict, finished, linear):
    Path("more.csv").write_text(csv_of(REVIEWS[:40]))
    runs = f'run=[{finished.path}, "{linear.path}"]'  # quoted: its name has a comma
    status, _, error = predict(runs, "input=more.csv", "output=out.csv", "label=sentiment")
    assert status == 0, error
    wanted = load([finished.path, linear.path]).predict_proba([text for text, _ in REVIEWS[:40]])
    found = pd.read_csv("out.csv")
    np.testing.assert_allclose(found["probability_positive"], wanted[:, 1], rtol=1e-9)
    scores = json.loads(Path("out-scores/scores.json").read_text())
    assert (scores["rows"], scores["threshold"]) == (40, pytest.approx(0.4))
    assert scores["accuracy"] == (found["label"] == found["sentiment"]).mean()


def test_texts_without_known_words(predict, finished, linear, caplog):
    status, shown, error = predict(f'run=["{linear.path}",{finished.path}]', "superb", "zzz")
    assert status == 0, error
    assert shown.partition("\t")[0] == "positive"
    warnings = [r.getMessage() for r in caplog.records if "no word that" in r.getMessage()]
    assert len(warnings) == 2
    assert f"the model of {finished.path} knows" in warnings[1]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("a", ["a"]),
        ("a,b", ["a,b"]),
        ("[a]", ["a"]),
        ("[a, b/c ,3]", ["a", "b/c", "3"]),
        ("['a,b',\"c]\"]", ["a,b", "c]"]),
    ],
)
def test_lists_of_runs(text, runs):
    assert PredictOptions(run=text).runs == runs


def test_a_folder_with_brackets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("[a,b]").mkdir()
    assert PredictOptions(run="[a,b]").runs == ["[a,b]"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"run": "[]"}, r"run=\[\] must be a list of runs"),
        ({"run": "[a,b"}, r"run=\[a,b must be a list"),
        ({"run": "[a,[b]]"}, "must be a list"),
        ({"run": "[a,true]"}, "must be a list"),
        ({"run": "[~/a,b]"}, "special characters need quotes"),
        ({"run": "[a,b]", "explain": True}, "explain= takes one model: name one run, not 2"),
        ({"run": "[a,b,c]", "export": Path("x")}, "export= takes one model: name one run, not 3"),
    ],
)
def test_mistakes(options, words):
    with pytest.raises(UserError, match=words):
        PredictOptions(**options)


def test_other_classes_and_columns(finished, tmp_path):
    def change(name: str, **changes) -> Path:
        checkpoint = load_checkpoint(finished.best_checkpoint)
        checkpoint["seqtext"] |= changes
        save_checkpoint(tmp_path / name, checkpoint)
        return tmp_path / name

    turned = change("turned", class_names=["positive", "negative\x1b"])
    with pytest.raises(UserError) as caught:
        load_predictor([finished.path, turned])
    assert str(caught.value).startswith(f"{finished.path} has the classes negative, positive, and ")
    assert f"{turned} has positive, negative" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    spec = {"columns": ["title", "body"], "drop_labels": ["unsure"]}
    both = load_predictor([finished.path, change("columns", input_spec=spec)])
    assert both.drop_labels == ["unsure"]
    with pytest.raises(UserError, match=r"gru.*: review; .*columns: title, body\): set text="):
        _ = both.text_columns
    with pytest.raises(UserError, match=r"run=\[\] is empty"):
        load_predictor([])
