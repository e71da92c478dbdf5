"""A complete run on generated reviews: its files, and their consistency."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from sklearn import metrics as sk
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqtext.checkpoints.files import METADATA_KEY, load_checkpoint
from seqtext.data.loaders import DeviceDataset
from seqtext.datasets.base import TextDataModule
from seqtext.layers.ops.extension import has_bf16_products, load_extension
from seqtext.layers.ops.rnn import RNNArgs
from seqtext.models.base import TextClassifier
from seqtext.models.rnn import GRU
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import RUN_FILES, files_of_a_run, settings_of, write_vectors
from tests.metrics.test_scores import calibration_error


def only_run(tmp_path) -> RunDir:
    (folder,) = (tmp_path / "outputs").iterdir()
    return RunDir(folder)


_finished: list[tuple[RunDir, str]] = []


@pytest.fixture
def finished(train, small, tmp_path) -> tuple[RunDir, str]:
    """Return the folder and the terminal output of a finished run, which is trained once."""
    if not _finished:
        status, output, error = train(*small)
        assert status == 0, error
        _finished.append((only_run(tmp_path), output))
    return _finished[0]


def test_run_folder(finished):
    folder, output = finished
    assert files_of_a_run(folder) == RUN_FILES
    assert folder.path.name.startswith("imdb-gru_units-8_dim-8_batch_size-16")
    epochs = re.findall(r"^epoch \d/3 .*val/loss [\d.]+  val/auroc [\d.]+", output, re.MULTILINE)
    assert len(epochs) == 3
    for shown in ("validation", "test", "auroc", "parameters", "training", folder.path.name):
        assert shown in output.replace("\n", "")


def test_what_is_told_of_a_run(finished):
    """At the end, in the log too: scores, class names, and the paths of files."""
    folder, output = finished
    log = (folder.path / "train.log").read_text()
    ending = f"All results are in {folder.path}\n"
    assert log.endswith(ending)
    assert output.endswith(ending)
    for text in (log, output):
        assert re.search(r"│ f1 \(positive\) +│ \d\.\d{4}", text)
        assert re.search(r"│ macro_f1 +│", text)
    metrics = folder.read_metrics()
    assert {"git_commit", "git_dirty", "versions", "hardware", "command"} == {
        *metrics["provenance"]
    }
    assert "model.units=8" in metrics["provenance"]["command"]
    assert metrics["tags"] == []
    assert metrics["notes"] is None
    for path in (folder.best_checkpoint, folder.last_checkpoint):
        assert load_checkpoint(path)[METADATA_KEY]["provenance"] == metrics["provenance"]
    assert metrics["class_names"] == ["negative", "positive"]


@pytest.mark.slow
def test_names_and_paths_as_they_are_typed(train, kaggle_dir, tmp_path):
    """A numeric name; relative paths that Hydra's grammar cannot parse; another folder."""
    (kaggle_dir / "IMDB Dataset.csv").rename(tmp_path / "отзывы (1).csv")
    table = ("dataset=table", "dataset.path=отзывы (1).csv", "dataset.text=review")
    table += ("dataset.label=sentiment", "model=tfidf", "paths.cache_dir=кэш")
    status, _, error = train(*table, "name=2024", "hydra.job.chdir=true")
    assert status == 0, error
    assert (tmp_path / "outputs" / "2024" / "metrics.json").exists()
    assert (tmp_path / "кэш" / "rows").is_dir()
    assert Path.cwd() == tmp_path


def test_a_profiler_shows_its_table(train, small):
    options = [option for option in small if not option.startswith("trainer.max_epochs")]
    status, output, error = train(*options, "debug=profiler")
    assert status == 0, error
    assert output.count("Profiler Report") == 1
    assert "run_training_epoch" in output
    assert "GPU available" not in output


def test_it_learns(finished):
    metrics = finished[0].read_metrics()
    assert metrics["test"]["auroc"] > 0.95
    assert metrics["score"] == pytest.approx(metrics["val"]["auroc"], abs=1e-6)


def test_scores_equal_scikit_learn_on_the_saved_predictions(finished):
    folder = finished[0]
    for part in ("val", "test"):
        table = pd.read_parquet(folder.predictions(part))
        assert list(table) == [
            "row",
            "label",
            "prediction",
            "probability_negative",
            "probability_positive",
        ]
        truth, probability = table["label"] == "positive", table["probability_positive"]
        shares = table[["probability_negative", "probability_positive"]].to_numpy()
        predicted = table["prediction"] == "positive"
        precisions, recalls, _ = sk.precision_recall_curve(truth, probability)
        assert (predicted == (probability > 0.5)).all()
        wanted = {
            "loss": sk.log_loss(truth, probability),
            "accuracy": sk.accuracy_score(truth, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
            "precision": sk.precision_score(truth, predicted),
            "recall": sk.recall_score(truth, predicted),
            "specificity": sk.recall_score(truth, predicted, pos_label=False),
            "f1": sk.f1_score(truth, predicted),
            "macro_f1": sk.f1_score(truth, predicted, average="macro"),
            "auroc": sk.roc_auc_score(truth, probability),
            "average_precision": sk.average_precision_score(truth, probability),
            "recall_at_precision_98": recalls[precisions >= 0.98].max(),
            "mcc": sk.matthews_corrcoef(truth, predicted),
            "brier": sk.brier_score_loss(truth, probability),
            "ece": calibration_error(truth.to_numpy().astype(int), shares),
        }
        assert folder.read_metrics()[part] == pytest.approx(wanted, abs=1e-5)


def test_predictions_belong_to_the_rows_of_the_source(finished, reviews):
    rows = []
    for part in ("val", "test"):
        table = pd.read_parquet(finished[0].predictions(part))
        assert [reviews[row][1] for row in table["row"]] == table["label"].tolist()
        rows += table["row"].tolist()
    assert len(rows) == len(set(rows)) == 20 + 48


def test_checkpoints_are_plain_and_complete(finished):
    folder = finished[0]
    for path in (folder.best_checkpoint, folder.last_checkpoint):
        content = torch.load(path, weights_only=True)["seqtext"]
        assert content["class_names"] == ["negative", "positive"]
        steps = ["strip_html", "keep_letters", "drop_single_letters", "lower"]
        assert content["cleaning"] == {"steps": steps, "stopwords": None}
        assert {"wonderful", "dreadful"} < set(content["tokenizer"]["tokens"])
        assert content["config"]["model"]["units"] == 8


def test_best_checkpoint_gives_the_saved_predictions(finished, small):
    """The model of the checkpoint gives the predictions of the run."""
    from seqtext.embeddings.random import RandomEmbedding
    from seqtext.models.rnn import GRU

    checkpoint = load_checkpoint(finished[0].best_checkpoint)
    content = checkpoint["seqtext"]
    options = {k: v for k, v in content["config"]["model"].items() if k != "_target_"}
    model = GRU(RandomEmbedding(len(content["tokenizer"]["tokens"]) + 2, dim=8), **options)
    model.load_state_dict(checkpoint["state_dict"])
    data = _data(settings_of(*small))
    with torch.inference_mode():
        outputs = [(b.rows, model.eval()(b.ids, b.lengths)) for b in data.test_dataloader()]
    rows, logits = (torch.cat(column) for column in zip(*outputs, strict=True))
    saved = pd.read_parquet(finished[0].predictions("test")).set_index("row")
    wanted = saved.loc[rows.tolist(), "probability_positive"].to_numpy()
    np.testing.assert_allclose(logits.double().sigmoid(), wanted, atol=1e-6)


def _data(settings: dict) -> TextDataModule:
    from seqtext.config.instantiate import build_from_config

    data = build_from_config("dataset", settings["dataset"], cache=settings["paths"]["cache_dir"])
    data.setup()
    return data


def test_tensorboard(finished):
    events = EventAccumulator(str(finished[0].path), size_guidance={"tensors": 0}).Reload()
    scalars = events.Tags()["scalars"]
    for part in ("train", "val"):
        for name in finished[0].read_metrics()["val"]:
            assert [e.step for e in events.Scalars(f"{part}/{name}")] == [0, 1, 2]
    assert {"train/learning_rate", "train/samples_per_second"} < set(scalars)
    assert "hp_metric" not in scalars
    assert events.Scalars("verdict/test/auroc")[0].value == pytest.approx(
        finished[0].read_metrics()["test"]["auroc"]
    )
    assert set(events.Tags()["images"]) == {
        *("data/class_shares", "data/distinctive_words", "data/text_lengths"),
        "test/confusion_matrix",
        "test/roc",
        "test/precision_recall",
    }
    plugins = events.summary_metadata
    assert any("mistakes" in tag for tag in plugins)
    start = plugins["_hparams_/session_start_info"].plugin_data.content
    assert b"model.units" in start
    assert b"optimizer.lr" in start


def test_curves(finished):
    """metrics.json has the values per epoch that TensorBoard shows."""
    curves = finished[0].read_metrics()["curves"]
    events = EventAccumulator(str(finished[0].path)).Reload()
    for name in ("train/loss", "val/loss", "train/auroc", "val/auroc", "train/learning_rate"):
        logged = [event.value for event in events.Scalars(name)]
        assert len(logged) == 3
        assert curves[name] == pytest.approx(logged, rel=1e-5)
    assert "train/samples_per_second" not in curves


def test_tuned_threshold(small, tmp_path, capfd):
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(
        settings_of(*small, "threshold=tuned", "trainer.max_epochs=1", "optimizer.lr=1e-3"), folder
    )
    metrics = folder.read_metrics()
    tuned, plain = metrics["val"], metrics["at_0.5"]["val"]
    assert tuned["f1"] > plain["f1"]
    assert metrics["at_0.5"]["test"].keys() == metrics["test"].keys()
    for row in pd.read_parquet(folder.predictions("test")).to_dict("records"):
        is_positive = row["probability_positive"] >= metrics["threshold"]
        assert row["prediction"] == ("positive" if is_positive else "negative")
    assert (
        load_checkpoint(folder.best_checkpoint)["seqtext"]["threshold"]
        == metrics["threshold"]
        != 0.5
    )
    assert "test at 0.5" in capfd.readouterr().out


def test_same_seed_same_numbers(small, tmp_path, monkeypatch):
    scores = []
    for name, seed in (("a", 1), ("c", 2), ("b", 1)):
        if name == "b":  # the batches made as they are on a GPU
            monkeypatch.setattr(
                "seqtext.datasets.batch_loaders.to_device_if_it_fits", DeviceDataset
            )
        folder = RunDir(tmp_path / name)
        train_and_evaluate(settings_of(*small, "trainer.max_epochs=1", f"seed={seed}"), folder)
        scores.append(folder.read_metrics()["test"])
    assert scores[0] == scores[2] != scores[1]


def test_test_part_is_read_once_after_training(small, tmp_path, monkeypatch):
    read, original = [], TextDataModule.test_dataloader
    monkeypatch.setattr(
        TextDataModule, "test_dataloader", lambda self: read.append(self) or original(self)
    )
    steps = []
    step = TextClassifier.training_step
    monkeypatch.setattr(
        TextClassifier, "training_step", lambda *a: steps.append(len(read)) or step(*a)
    )
    train_and_evaluate(settings_of(*small), RunDir(tmp_path / "run"))
    assert len(read) == 1
    assert set(steps) == {0}


def test_early_stopping_keeps_the_best_epoch(small, tmp_path, monkeypatch):
    """Training stops `patience` epochs after the best, whose weights are tested."""
    aurocs = iter([0.6, 0.9, 0.7, 0.8, 0.99])

    def scripted(model: TextClassifier) -> None:
        model._epoch_outputs["val"].clear()
        model.log_dict({"val/loss": 1.0, "val/auroc": next(aurocs)})

    monkeypatch.setattr(TextClassifier, "on_validation_epoch_end", scripted)
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*small, "trainer.max_epochs=9", "patience=2"), folder)
    metrics = folder.read_metrics()
    assert metrics["epochs"] == 4
    assert metrics["best_epoch"] == 2
    assert load_checkpoint(folder.best_checkpoint)["epoch"] == 1


def test_diverging_training_says_so(train, small, monkeypatch):
    status, _, error = train(*small, "optimizer.lr=1e39", "trainer.gradient_clip_val=null")
    assert status == 2
    assert "diverged" in error


def test_metrics_are_written_last(small, tmp_path, monkeypatch):
    folder = RunDir(tmp_path / "run")

    def look(metrics):
        assert folder.predictions("test").exists()
        assert not folder.metrics_path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "write_metrics", look)
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(settings_of(*small), folder)
    assert folder.read_metrics() is None


def test_two_runs_never_share_a_folder(train, small, tmp_path):
    target = f"hydra.run.dir={tmp_path / 'mine'}"
    assert train(*small, "trainer.max_epochs=1", target)[0] == 0
    files = [tmp_path / "mine" / name for name in ("metrics.json", ".hydra/config.yaml")]
    before = [file.read_bytes() for file in files]
    status, _, error = train(*small, "model.units=9", target)
    assert status == 2
    assert "already holds a run" in error
    assert [file.read_bytes() for file in files] == before


def test_folder_in_use_is_refused(tmp_path):
    from seqtext.errors import UserError

    (tmp_path / "run").mkdir()
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(UserError, match="in use by another process"),
    ):
        RunDir(tmp_path / "run").lock(resume=True)


@pytest.mark.slow
def test_sweep(train, small, tmp_path):
    where = f"paths.cache_dir={tmp_path / 'cache'}"
    status, _, error = train(
        "-m", *small, where, "trainer.max_epochs=1", "model=gru,lstm,rnn", "model.pooling=last,max"
    )
    assert status == 0, error
    (sweep,) = (tmp_path / "outputs").iterdir()
    jobs = sorted(p.parent for p in sweep.glob("*/metrics.json"))
    assert len(jobs) == 6
    settings = [json.loads((job / "metrics.json").read_text())["settings"] for job in jobs]
    assert len({(s["model"]["_target_"], s["model"]["pooling"]) for s in settings}) == 6
    assert sum("pooling-max" in job.name for job in jobs) == 3
    kinds = sorted(p.name for p in (tmp_path / "cache").iterdir())
    assert kinds == ["ids", "pictures", "rows", "tokens"]
    for kind in kinds:  # prepared once per sweep
        assert len([p for p in (tmp_path / "cache" / kind).iterdir() if p.is_dir()]) == 1


@pytest.mark.parametrize(
    "precision", ["bf16-mixed", pytest.param("64-true", marks=pytest.mark.slow)]
)
def test_other_precisions(small, tmp_path, precision, monkeypatch):
    """On a CPU, the compiled recurrence trains in each of them."""
    folder, calls, run = RunDir(tmp_path / "run"), [], RNNArgs.run

    def record(options, tensors, is_backward):
        if is_backward:
            calls.append((tensors["x"].dtype, options["bf16"]))
        run(options, tensors, is_backward)

    monkeypatch.setattr(RNNArgs, "run", record)
    train_and_evaluate(settings_of(*small, f"trainer.precision={precision}"), folder)
    assert folder.read_metrics()["test"]["auroc"] > 0.9
    if load_extension():
        dtype = torch.float64 if precision == "64-true" else torch.float32
        use_bf16 = precision == "bf16-mixed" and has_bf16_products()
        assert {*calls} == {(dtype, int(use_bf16))}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["trainer.gradient_clip_val=null"], marks=pytest.mark.slow),
        pytest.param(["trainer.gradient_clip_algorithm=value"], marks=pytest.mark.slow),
        ["trainer.gradient_clip_algorithm=tensor_norm"],
        ["+trainer.accumulate_grad_batches=2", "+trainer.limit_train_batches=4"],
    ],
    ids=str,
)
def test_other_trainer_options(small, tmp_path, options, caplog):
    caplog.set_level("INFO")
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*small, *options), folder)
    assert folder.read_metrics()["epochs"] >= 1
    shown = [float(x) for x in re.findall(r"train loss ([\d.]+)", caplog.text)]
    assert shown == pytest.approx(folder.read_metrics()["curves"]["train/loss"], abs=0.05)


def test_a_refused_run_takes_nothing_from_another_process(tmp_path):
    (tmp_path / ".hydra").mkdir()
    with FileLock(tmp_path / ".lock"):
        RunDir(tmp_path).delete_if_never_started()
        assert (tmp_path / ".hydra").exists()
        assert (tmp_path / ".lock").exists()
    RunDir(tmp_path).delete_if_never_started()
    assert not tmp_path.exists()


@pytest.mark.slow
def test_an_experiment_takes_overrides(train, small, tmp_path):
    path = write_vectors(tmp_path / "v.txt", "film 1 2 3\nplot 4 5 6\n")
    vectors = [f"embedding.path={path}", "embedding.dim=3"]
    options = [o for o in small if not o.startswith(("embedding.", "monitor="))]
    status, output, error = train("experiment=imdb/best", *options, *vectors, "model.buckets=500")
    assert status == 0, error
    assert "wide_and_deep on imdb" in output
    (folder,) = tmp_path.glob("outputs/imdb-wide_and_deep_experiment-imdb-best_*")
    assert RunDir(folder).read_metrics()["test"]["auroc"] > 0.9


ABSENT = """part,text,label
{train}val,a good film,good
val,a bad film,bad
val,another bad film,bad
test,a bad plot,bad
test,a rare plot,rare
"""


@pytest.fixture
def table_without_classes(tmp_path) -> tuple[str, ...]:
    """Options for a table whose validation and test set each lack a class."""
    lines = [f"train,a {c} film number {n} {c},{c}\n" for n in range(9) for c in ABSENT_CLASSES]
    (tmp_path / "a.csv").write_text(ABSENT.format(train="".join(lines)))
    path = f"dataset.path={tmp_path / 'a.csv'}"
    return (
        "dataset=table",
        path,
        "dataset.part=part",
        "model=tfidf",
        f"paths.cache_dir={tmp_path}/cache",
    )


ABSENT_CLASSES = ("bad", "good", "rare")


@pytest.mark.slow
def test_a_class_without_rows_has_no_recall(train, table_without_classes, tmp_path):
    """In metrics.json, terminal and TensorBoard; with a warning, also in reports."""
    status, output, error = train(*table_without_classes, "monitor=val/recall_good", "name=a")
    assert status == 0, error
    folder = RunDir(tmp_path / "outputs" / "a")
    metrics = folder.read_metrics()
    assert "recall_rare" not in metrics["val"]
    assert "recall_good" not in metrics["test"]
    assert "NaN" not in folder.metrics_path.read_text()
    assert metrics["test"]["auroc"] == metrics["val"]["auroc"] == 1
    assert "val/recall_rare" not in metrics["curves"]
    rows = [line.split() for line in output.splitlines() if "│ recall_" in line]
    assert [[row[1], row[3], row[5]] for row in rows] == [
        ["recall_bad", "1.0000", "1.0000"],
        ["recall_good", "1.0000", "–"],
        ["recall_rare", "–", "1.0000"],
    ]
    events = EventAccumulator(str(folder.path)).Reload()
    assert "val/recall_rare" not in events.Tags()["scalars"]
    assert "verdict/val/recall_good" in events.Tags()["scalars"]
    said = ["The validation part has no row of 'rare'", "The test part has no row of 'good'"]
    assert [w[: len(s)] for w, s in zip(metrics["warnings"], said, strict=True)] == said
    status, output, error = train(f"resume={folder.path}")
    assert status == 0, error
    assert all(f"Warning: {sentence}" in output for sentence in said)


def test_what_the_validation_part_cannot_tell_is_refused(train, table_without_classes):
    status, _, error = train(*table_without_classes, "monitor=val/recall_rare")
    assert status == 2
    assert "monitor=val/recall_rare is not possible: the validation part has no row of" in error


def test_a_constant_classifier_is_told(train, small, tmp_path, monkeypatch):
    original = GRU.forward
    monkeypatch.setattr(GRU, "forward", lambda *args: 0.01 * original(*args) + 0.1)
    status, output, error = train(*small, "trainer.max_epochs=1", "name=a")
    assert status == 0, error
    folder = RunDir(tmp_path / "outputs" / "a")
    said = "The model predicts 'positive' for all 48 rows of the test part."
    assert said in folder.read_metrics()["warnings"]
    assert f"Warning: {said}" in output
    assert said in (folder.path / "train.log").read_text()
