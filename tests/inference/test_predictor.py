"""Predictions from the checkpoint alone equal those saved by the run."""

import json
import logging
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from seqtext import load
from seqtext.checkpoints.files import METADATA_KEY, build_metadata, save_checkpoint
from seqtext.config.instantiate import build_from_config
from seqtext.embeddings.spelling import reads_spelling, set_tokens
from seqtext.errors import UserError
from seqtext.inference import load_model as loading
from seqtext.inference.predictor import Predictor
from seqtext.run_dir import RunDir
from seqtext.tokenizers.vocabulary import OpenVocabulary, Vocabulary
from seqtext.training.train import train_and_evaluate
from tests.conftest import BAD, GOOD, ROOT, SMALL, settings_of, vectors_text
from tests.inference.conftest import REVIEWS, trained

NO_UNITS = [option for option in SMALL if not option.startswith("model.")]
MODELS = {
    "text_cnn": ("model=text_cnn", "model.filters=4", "dataset.cleaning=[lower,drop_stopwords]"),
    "wide_and_deep": (
        "model=wide_and_deep",
        "model.units=4",
        "model.buckets=500",
        "threshold=tuned",
    ),
    "tfidf": ("model=tfidf", "threshold=0.3"),
    "glove": (
        *("model=lstm", "model.units=4", "embedding=glove", "embedding.dim=3"),
        *(
            "tokenizer.max_length=longest",
            "tokenizer.truncation_side=right",
            "trainer.precision=64-true",
        ),
    ),
    "fasttext": ("model=fasttext", "tokenizer.max_length=5"),
}
NETWORKS = sorted({p.stem for p in (ROOT / "conf" / "model").glob("[!_]*.yaml")} - {"tfidf"})


def saved(run: RunDir) -> tuple[list[str], pd.DataFrame]:
    """Return the texts of a run's test set, and the saved predictions."""
    table = pd.read_parquet(run.predictions("test"))
    return [REVIEWS[row][0] for row in table["row"]], table


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in ("fasttext", "glove") else n for n in MODELS],
)
def test_the_checkpoint_alone_says_what_the_run_said(name, tmp_path):
    overrides = list(MODELS[name])
    if name == "glove":
        vectors = dict(zip(GOOD + BAD, np.random.default_rng(0).normal(size=(12, 3)), strict=True))
        (tmp_path / "glove.6B.3d.txt").write_text(vectors_text(vectors))
        overrides.append(f"embedding.path={tmp_path / 'glove.6B.3d.txt'}")
    small = [option for option in NO_UNITS if name != "glove" or "embedding" not in option]
    done = trained(tmp_path, *overrides, small=tuple(small))
    texts, said = saved(done)
    alone = shutil.copy(done.best_checkpoint, tmp_path / "elsewhere.ckpt")
    shutil.rmtree(done.path)
    (tmp_path / "glove.6B.3d.txt").unlink(missing_ok=True)
    model = load(alone)
    wanted = said[["probability_negative", "probability_positive"]]
    np.testing.assert_allclose(model.predict_proba(texts), wanted, rtol=0, atol=1e-6)
    assert model.predict(texts).tolist() == said["prediction"].tolist()


OWN_NETWORKS = sorted({*NETWORKS} - {"pretrained"})  # whose files are in tests/models
DENSE = "gru model.layers=2 model.batch_norm=true model.head_units=[3,4] model.head_batch_norm=true"


@pytest.mark.parametrize("classes", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", [*OWN_NETWORKS, f"{DENSE} model.pooling=attention"])
def test_every_model_comes_back(options, classes, tmp_path):
    settings = settings_of(*f"model={options}".split(), "embedding.dim=6")
    words = GOOD + BAD
    table = build_from_config("embedding", settings["embedding"], vocabulary_size=len(words) + 2)
    network = build_from_config("model", settings["model"], embedding=table, classes=classes).eval()
    metadata = build_metadata(
        settings,
        {"tokens": words, "max_length": None},
        class_names=list("abc"[:classes]),
        cleaning={"steps": ["lower"], "stopwords": None},
        data="",
        input_spec={"columns": ["text"], "drop_labels": []},
    )
    state = {METADATA_KEY: metadata, "state_dict": network.state_dict()}
    save_checkpoint(tmp_path / "some.ckpt", state)
    ids = torch.tensor([[2, 3, 4, 1], [5, 0, 0, 0]])
    if reads_spelling(network):
        set_tokens(network, OpenVocabulary(Vocabulary(words), ["zzz"]))
        ids[0, 3] = len(words) + 2
    with torch.inference_mode():
        wanted = network(ids, torch.tensor([4, 1]))
    texts = pa.array([f"{' '.join(words[:3])} zzz", words[3].upper()])
    logits = Predictor.from_run(tmp_path / "some.ckpt").predict_logits(texts)
    torch.testing.assert_close(logits, wanted, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_a_table_of_three_classes_and_two_columns(tmp_path, predict):
    words = {"bad": "dull", "fine": "decent", "great": "superb"}
    rows = [(f"no. {i}", f"a {words[label]} film", label) for i in range(60) for label in words]
    table = pd.DataFrame(rows, columns=["head", "body", "mood"])
    table.to_csv(tmp_path / "moods.csv", index=False)
    own = (f"dataset.path={tmp_path / 'moods.csv'}", "dataset.text=[head,body]")
    options = ("dataset=table", *own, "dataset.label=mood", "monitor=val/loss")
    small = tuple(option for option in SMALL if "monitor" not in option)
    done = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(f"paths.cache_dir={tmp_path / 'cache'}", *small, *options), done)
    status, _, error = predict(f"run={done.path}", "input=moods.csv", "output=out.parquet")
    assert status == 0, error
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert list(out) == [*table, "label", *(f"probability_{name}" for name in words)]
    said = pd.read_parquet(done.predictions("test"))
    for name in words:
        column = f"probability_{name}"
        np.testing.assert_allclose(out.loc[said["row"], column], said[column], atol=1e-6)
    assert out.loc[said["row"], "label"].tolist() == said["prediction"].tolist()


@pytest.fixture(scope="module")
def model(finished):
    return load(finished.path)


def test_scikit_learn(model, finished):
    from sklearn.base import clone, is_classifier
    from sklearn.metrics import RocCurveDisplay, log_loss
    from sklearn.utils.validation import check_is_fitted

    texts, said = saved(finished)
    check_is_fitted(model)
    assert is_classifier(model)
    assert model.classes_.tolist() == ["negative", "positive"]
    shares = model.predict_proba(pd.Series(texts, index=range(7, 7 + len(texts))))
    assert (shares.shape, shares.dtype) == ((len(texts), 2), np.float64)
    metrics = finished.read_metrics()["test"]
    assert model.score(texts, said["label"]) == pytest.approx(metrics["accuracy"])
    curve = RocCurveDisplay.from_estimator(model, texts, said["label"])
    assert curve.roc_auc == pytest.approx(metrics["auroc"], abs=1e-6)
    assert log_loss(said["label"], shares) == pytest.approx(metrics["loss"], abs=1e-5)
    again = clone(model).load()
    np.testing.assert_array_equal(again.predict_proba(texts), shares)


def test_texts_of_all_kinds(model):
    """Empty texts, null, and texts without a known word are one unknown word, in any order."""
    long = " ".join(["wonderful", "dreadful"] * 5000)
    texts = ["wonderful", "", None, "zzz qqq", long, "dreadful"]
    shares = model.predict_proba(texts)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares[1], shares[2], rtol=0)
    np.testing.assert_allclose(shares[1], model.predict_proba(["zzz"])[0], atol=1e-6)
    assert shares[0, 1] > 0.5 > shares[5, 1]
    np.testing.assert_allclose(model.predict_proba(texts[::-1]), shares[::-1], atol=1e-6)
    cut = " ".join(["wonderful", "dreadful"] * 200)  # the last 400 words count
    np.testing.assert_allclose(model.predict_proba([cut])[0], shares[4], atol=1e-6)


def test_no_texts(model):
    assert model.predict_proba([]).shape == (0, 2)
    assert model.predict([]).tolist() == []


@pytest.mark.parametrize("texts", ["one text", [1, 2], [["a"]], ["a", 3], 7])
def test_what_is_no_list_of_texts(model, texts):
    with pytest.raises(UserError, match="list"):
        model.predict_proba(texts)


def test_many_texts_come_back_in_order(model):
    texts = [REVIEWS[i % 240][0] for i in range(5000)]  # several chunks, many batches
    shares = model.predict_proba(texts)
    np.testing.assert_allclose(shares[:240], shares[480:720], atol=1e-6)
    np.testing.assert_allclose(shares[240:300], model.predict_proba(texts[:60]), atol=1e-6)


def test_a_threshold_decides(finished):
    loaded_model = Predictor.from_run(finished.path).loaded_model
    logits = torch.tensor([-1.0, 0.5, 3.0])
    strict = Predictor(loaded_model._replace(threshold=0.9))
    assert strict.predict_classes(logits).tolist() == [0, 0, 1]
    assert Predictor(loaded_model).predict_classes(logits).tolist() == [0, 1, 1]
    assert len(strict.predict_logits(pa.array(["a"]))) == 1


def test_an_unfinished_run_is_told(finished, tmp_path, caplog):
    best = RunDir(tmp_path).best_checkpoint
    best.parent.mkdir()
    shutil.copy(finished.best_checkpoint, best)
    for path, told in (finished.path, []), (best, []), (tmp_path, [str(tmp_path)]):
        caplog.clear()
        load(path)
        said = [record.getMessage() for record in caplog.records if record.name == loading.__name__]
        assert said == [f"{name} has not finished: its best epoch so far is used." for name in told]


def test_a_sweep_gives_its_best_run(finished, tmp_path, caplog):
    for name, score in (("a", 0.5), ("b", 0.9), ("c", 0.7)):
        folder = tmp_path / "sweep" / name
        folder.mkdir(parents=True)
        metrics = {**finished.read_metrics(), "score": score}
        metrics["settings"] = {**metrics["settings"], "seed": len(name) + int(score * 10)}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    best = RunDir(tmp_path / "sweep" / "b").best_checkpoint
    best.parent.mkdir()
    shutil.copy(finished.best_checkpoint, best)  # the others have none
    with caplog.at_level(logging.INFO, loading.__name__):
        assert load(tmp_path / "sweep").classes_.tolist() == ["negative", "positive"]
    assert f"those of {tmp_path / 'sweep' / 'b'}." in caplog.text
    with pytest.raises(UserError, match=r"run=.*no run in this folder has finished"):
        load(tmp_path / "sweep" / "b" / "checkpoints")
    with pytest.raises(UserError, match="no such file or folder"):
        load(tmp_path / "none")


@pytest.mark.slow
def test_texts_without_a_known_word_are_counted(tmp_path, caplog):
    for name, option in (("gru", "model=gru"), ("tfidf", "model=tfidf")):
        small = SMALL if name == "gru" else NO_UNITS
        predictor = Predictor.from_run(trained(tmp_path / name, option, small=small).path)
        caplog.clear()
        predictor.warn_of_unknown_texts()
        assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
        predictor.predict_logits(pa.array(["a wonderful film", "这部电影", "", "film"]))
        predictor.predict_logits(pa.array([], pa.string()))
        predictor.warn_of_unknown_texts()
        assert "2 of 4 texts (50.0 %) have no word that the model knows" in caplog.text
