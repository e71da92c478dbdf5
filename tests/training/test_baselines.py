"""Runs are compared with the class shares of the training part and with tfidf."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from seqtext.config.run_config import build_datamodule, validate_config
from seqtext.training import baselines
from seqtext.training.baselines import compute_baselines
from tests.conftest import csv_of, invented_reviews, settings_of


def prepare(small, *options):
    settings = settings_of(*small, *options)
    run_config, split = validate_config(settings)
    return build_datamodule(settings, run_config, split), run_config


def test_majority_class(tmp_path, small):
    rows = [*invented_reviews(90), *((t, "negative") for t, _ in invented_reviews(60, seed=4))]
    (tmp_path / "skewed").mkdir()
    (tmp_path / "skewed" / "IMDB Dataset.csv").write_text(csv_of(rows))
    options = (f"dataset.dir={tmp_path / 'skewed'}", "baseline=false")
    data, run_config = prepare(small, *options)
    found = compute_baselines(data, run_config, 0.0)
    assert [*found] == ["majority"]
    majority = found["majority"]
    assert majority["class"] == "negative"
    labels = data.labels[data.dataset.parts["test"]]
    share = 1 - data.labels[data.dataset.parts["train"]].mean()
    assert majority["test"]["accuracy"] == pytest.approx(1 - labels.mean())
    assert majority["test"]["auroc"] == 0.5
    loss = -np.where(labels == 0, math.log(share), math.log(1 - share)).mean()
    assert majority["test"]["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("option", "seconds", "expected"),
    [("auto", 1e-6, 0), ("auto", 1e6, 1), ("true", 1e-6, 1), ("false", 1e6, 0)],
)
def test_when_tfidf_is_fitted(small, tmp_path, option, seconds, expected):
    data, run_config = prepare(small, f"baseline={option}", f"paths.cache_dir={tmp_path / 'own'}")
    found = compute_baselines(data, run_config, seconds)
    assert ("tfidf" in found) == expected
    assert "tfidf" not in compute_baselines(data, run_config, seconds, with_tfidf=False)


def test_tfidf_has_the_threshold_of_the_run(small, tmp_path):
    options = ("baseline=true", f"paths.cache_dir={tmp_path / 'own'}", "monitor=val/auroc")
    half, low, tuned = (
        compute_baselines(*prepare(small, *options, f"threshold={threshold}"), 0.0)["tfidf"]["test"]
        for threshold in (0.5, 0.001, "tuned")
    )
    assert low["recall"] == 1
    assert low["recall"] > half["recall"] or half["recall"] == 1
    assert low["specificity"] < half["specificity"]
    assert tuned["f1"] > low["f1"]


def test_balanced_batches_have_no_tfidf(small, caplog):
    data, run_config = prepare(small, "baseline=true", "sampling=balanced_batches")
    assert [*compute_baselines(data, run_config, 0.0)] == ["majority"]
    assert "baseline=true is not possible with sampling=balanced_batches" in caplog.text


def test_tfidf_is_fitted_once(small, tmp_path, monkeypatch):
    options = (f"paths.cache_dir={tmp_path / 'own'}", "monitor=val/macro_f1")
    data, run_config = prepare(small, *options)
    first = compute_baselines(data, run_config, 1e6)["tfidf"]
    monkeypatch.setattr(baselines, "fit_model", None)
    data, run_config = prepare(small, *options, "tokenizer.vocab_size=50", "tokenizer.max_length=3")
    assert compute_baselines(data, run_config, 1e-6)["tfidf"] == first, "although auto has no time"
    for other in (
        "split.seed=1",
        "monitor=val/f1",
        "dataset.cleaning=[lower]",
    ):
        data, run_config = prepare(small, *options, other)
        assert "tfidf" not in compute_baselines(data, run_config, 1e-6), other


@pytest.mark.slow
def test_scores_are_those_of_a_run(train, small):
    """The comparison is printed, and in metrics.json."""
    without_model = [o for o in small if not o.startswith("model.")]
    status, _, error = train(*without_model, "model=tfidf", "name=tfidf", "monitor=val/macro_f1")
    assert status == 0, error
    status, output, error = train(*small, "baseline=true", "name=gru", "monitor=val/macro_f1")
    assert status == 0, error
    gru, tfidf = (
        json.loads(Path(f"outputs/{name}/metrics.json").read_text()) for name in ("gru", "tfidf")
    )
    assert gru["baselines"]["tfidf"]["test"] == pytest.approx(tfidf["test"])
    assert "tfidf" not in tfidf["baselines"]
    assert "Test macro_f1: majority class (" in output
    assert "Test macro_f1: majority class (" in Path("outputs/gru/train.log").read_text()


def test_words_of_repeated_texts_count_each_time(tmp_path, small):
    rows = [row for row in invented_reviews(60) for _ in range(2)]
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "IMDB Dataset.csv").write_text(csv_of(rows))
    data, _ = prepare(small, f"dataset.dir={tmp_path / 'twice'}")
    parts = [data.dataset.parts[part] for part in ("train", "val", "test")]
    expected = sum(
        int(lengths.sum()) for part in parts for lengths, _ in data.corpus.iter_rows(part)
    )
    assert baselines._count_words(data) == expected
