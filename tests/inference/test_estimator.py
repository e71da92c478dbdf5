"""scikit-learn's tools retrain the model, and leave no files."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict

from seqtext import load
from seqtext.errors import UserError
from seqtext.inference.estimator import TrainedClassifier
from tests.inference.conftest import REVIEWS, trained

TEXTS, LABELS = (np.array(column) for column in zip(*REVIEWS, strict=True))


def test_cross_validation_trains_on_its_rows(finished, tmp_path, monkeypatch):
    """Swapped labels are learned; the trained model would predict nearly all of them wrong."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    turned = (LABELS == "negative").astype(int)
    model = load(finished.path)
    found = cross_val_predict(model, pd.DataFrame({"text": TEXTS}), turned, cv=2)
    assert found.dtype == turned.dtype
    assert (found == turned).mean() > 0.8
    assert not list((tmp_path / "temporary").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert model.classes_.tolist() == ["negative", "positive"]  # clones were trained


def test_the_linear_model(tmp_path):
    done = trained(tmp_path, "model=tfidf", "threshold=tuned", small=())
    model = TrainedClassifier(done.path).fit(TEXTS, LABELS)
    assert model.score(TEXTS, LABELS) > 0.9
    assert model.classes_.tolist() == ["negative", "positive"]


@pytest.mark.slow
def test_a_fit_is_repeatable(finished):
    one, other = (clone(load(finished.path)).fit(list(TEXTS), LABELS) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(TEXTS), other.predict_proba(TEXTS))


def test_wrong_rows_are_told(finished):
    model = TrainedClassifier(finished.path)
    with pytest.raises(NotFittedError):
        model.predict(["a"])
    for texts, labels, words in (
        (TEXTS, LABELS[:-1], "240 texts and 239 labels"),
        (TEXTS, ["a"] * 240, "two or more classes"),
        (TEXTS, [None, 1] * 120, "all of one type"),
        (TEXTS, [float("nan"), 1.0] * 120, "missing"),
        (TEXTS, np.zeros((240, 2)), "one class for each text"),
        (TEXTS, None, "one class for each text"),
        (range(240), LABELS, "list of strings"),
    ):
        with pytest.raises(UserError, match=words):
            model.fit(texts, labels)


def test_forms_of_texts(finished):
    model, texts = load(finished.path), list(TEXTS[:3])
    wanted = model.predict_proba(texts)
    for form in (
        pd.Series(texts, index=[7, 8, 9]),
        pd.Series(texts, dtype="category"),
        pd.DataFrame({"any": texts}, index=[7, 8, 9]),
        np.array(texts),
        np.array(texts, object)[:, None],
        pa.array(texts),
        pa.chunked_array([texts[:1], texts[1:]]),
        tuple(texts),
    ):
        np.testing.assert_array_equal(model.predict_proba(form), wanted)
    for wrong in (
        pd.DataFrame({"a": texts, "b": texts}),
        pd.DataFrame({"a": [1, 2]}),
        *([b"bytes"], [1, 2], ["a", 1], [["a"]], ["\ud800"]),
        *(np.zeros((2, 2)), "one text", 3, {"a": "b"}, {"a", "b"}),
    ):
        with pytest.raises(UserError, match="Texts"):
            model.predict(wrong)
    with pytest.raises(UserError, match=r"number 2, counted from 0, is of type int"):
        model.predict_proba(["a", None, 3])
