"""Callbacks and loggers are chosen on the command line; the owner may name any class."""

import csv
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.swa_utils import AveragedModel

from seqtext import load
from seqtext.callbacks.averaging import ExponentialMovingAverage, StochasticWeightAveraging
from seqtext.config.components import build_components, check_components
from seqtext.config.run_config import validate_config
from seqtext.config.trust import allow_any_class
from seqtext.errors import UserError
from seqtext.run_dir import RunDir
from seqtext.training.components import build_callbacks
from tests.conftest import invented_reviews, settings_of

OWN = '''
from pathlib import Path

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import DummyLogger


class MyCallback(Callback):
    """Writes the number of batches to a file, and keeps it in the checkpoint."""

    def __init__(self, path: str = "batches.txt", monitor: str = ""):
        self.path, self.monitor, self.batches = path, monitor, 0

    def on_train_batch_end(self, *arguments):
        self.batches += 1

    def on_train_end(self, trainer, model):
        Path(self.path).write_text(f"{self.batches} {self.monitor}")

    def state_dict(self):
        return {"batches": self.batches}

    def load_state_dict(self, state):
        self.batches = state["batches"]


class MyLogger(DummyLogger):
    def __init__(self, save_dir: str):
        super().__init__()
        self.save_dir_ = save_dir

    def log_hyperparams(self, params):
        Path(self.save_dir_, "settings.txt").write_text(str(params))

    def log_metrics(self, metrics, step=None):
        with Path(self.save_dir_, "metrics.txt").open("a") as file:
            print(*metrics, file=file)
'''


@pytest.fixture
def my_project(tmp_path, monkeypatch) -> None:
    (tmp_path / "my_project.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_project", raising=False)


def run(train, small, *options) -> RunDir:
    status, _, error = train(*small, "name=own", *options)
    assert status == 0, error
    return RunDir(Path("outputs/own"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "typed",
    [
        ("callbacks=[early_stopping,ema]", "callbacks.ema.decay=0.9"),
        ("callbacks=swa", "callbacks.swa.start=0.3"),
    ],
)
def test_best_checkpoint_has_the_validated_mean(train, small, typed):
    folder = run(train, small, *typed, "optimizer.lr=0.01")
    best = torch.load(folder.best_checkpoint, weights_only=True)
    current, mean = best["current_model_state"], best["state_dict"]
    assert any((current[name] != mean[name]).any() for name in current)
    metrics = folder.read_metrics()
    curve = metrics["curves"]["val/loss"]
    assert metrics["val"]["loss"] == pytest.approx(curve[metrics["best_epoch"] - 1], abs=1e-5)


@pytest.mark.parametrize(
    "callback", [ExponentialMovingAverage(decay=0.75), StochasticWeightAveraging()], ids=type
)
def test_integers_are_copied_and_not_averaged(callback):
    model = torch.nn.BatchNorm1d(1)
    model.register_buffer("hashes", torch.tensor([1_762_885_521]), persistent=False)
    mean = AveragedModel(model, use_buffers=True, **callback._kwargs)
    mean.update_parameters(model)
    model.weight.data += 4
    model.hashes += 2
    mean.update_parameters(model)
    share = 0.25 if isinstance(callback, ExponentialMovingAverage) else 0.5
    assert mean.module.weight.item() == pytest.approx(1 + 4 * share)
    assert mean.module.hashes.item() == 1_762_885_523


@pytest.mark.parametrize("callback", ["ema", "swa"])
def test_scores_of_a_mean_are_those_of_its_checkpoint(train, small, callback):
    options = ["model=wide_and_deep", "model.units=4", "trainer.max_epochs=2"]
    folder = run(train, small, *options, f"callbacks={callback}")
    saved = pd.read_parquet(folder.predictions("test"))
    texts = [invented_reviews(240)[row][0] for row in saved["row"]]
    found = load(folder.path).predict_proba(texts)[:, 1]
    np.testing.assert_allclose(found, saved["probability_positive"], atol=1e-5)
    metrics = folder.read_metrics()
    assert metrics["score"] == pytest.approx(metrics["val"][metrics["monitor"][4:]], abs=1e-5)


@pytest.mark.slow
def test_monitors_log(train, small):
    folder = run(train, small, "callbacks=[lr_monitor,device_stats]", "trainer.log_every_n_steps=1")
    tags = EventAccumulator(str(folder.path)).Reload().Tags()["scalars"]
    assert "lr-Adam" in tags
    assert any(tag.startswith("DeviceStatsMonitor") for tag in tags)


@pytest.mark.parametrize(
    ("typed", "epochs", "patience"),
    [
        ((), 4, [2]),
        ((), 40, [10]),
        ((), -1, [2]),
        (("patience=null",), 40, []),
        (("callbacks=early_stopping",), 20, [5]),
        (("patience=3", "callbacks=lr_monitor"), 40, [3]),
        (("patience=3", "callbacks=[early_stopping,ema]"), 40, [3]),
        (("callbacks=early_stopping", "++callbacks.early_stopping.patience=5"), 4, [5]),
    ],
)
def test_patience(typed, epochs, patience):
    """One callback stops training, whether it is named or not."""
    settings = settings_of(*typed)
    callbacks = build_callbacks(settings, validate_config(settings)[0], epochs)
    stoppers = [c for c in callbacks if isinstance(c, EarlyStopping)]
    assert [(c.patience, c.monitor) for c in stoppers] == [(p, "val/macro_f1") for p in patience]


@pytest.mark.slow
@pytest.mark.usefixtures("my_project")
def test_it_joins_others_and_has_options(train, small):
    own = ["+callbacks.mine._target_=my_project.MyCallback", "+callbacks.mine.path=there.txt"]
    folder = run(train, small, "callbacks=[ema]", *own)
    assert Path("there.txt").exists()
    assert "current_model_state" in torch.load(folder.last_checkpoint, weights_only=True)


@pytest.mark.usefixtures("my_project")
def test_callback_of_ones_own(train, small, monkeypatch):
    """It runs; its stored run folder, as if from a stranger, does not even import its class."""
    folder = run(train, small, "+callbacks.mine._target_=my_project.MyCallback")
    assert Path("batches.txt").read_text() == "33 val/auroc"
    folder.metrics_path.unlink()
    monkeypatch.delitem(sys.modules, "my_project", raising=False)
    status, _, error = train(f"resume={folder.path}")
    assert status == 2
    assert "callbacks.mine._target_=my_project.MyCallback is not allowed" in error
    assert "my_project" not in sys.modules


@pytest.mark.slow
@pytest.mark.usefixtures("my_project")
def test_sweep_of_ones_own(train, small):
    own = ["+callbacks.mine._target_=my_project.MyCallback", "seed=0,1"]
    status, _, error = train("-m", *small, "name=sweep", *own)
    assert status == 0, error
    assert len(list(Path("outputs/sweep").glob("*/metrics.json"))) == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("callbacks=emma", "There is no callbacks=emma: did you mean ema?"),
        ("callbacks=[ema,lr_monitr]", "There is no callbacks=lr_monitr: did you mean lr_monitor?"),
        ("callbacks.ema.decay=0.9", "callbacks.ema is not chosen: add callbacks=ema"),
        ("callbacks.mine.decay=0.9", "A new name needs a class"),
        ("callbacks.mine._target_=pathlib.Path", "must be a subclass of Lightning's Callback"),
        ("callbacks.mine._target_=no_such.Thing", "cannot be found"),
        ("logger=tensorbord", "did you mean tensorboard?"),
        ("logger.mine._target_=pathlib.Path", "must be a subclass of Lightning's Logger"),
    ],
)
def test_mistakes(train, small, typed, said):
    status, _, error = train(*small, typed)
    assert status == 2
    assert said in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("callbacks=ema", "callbacks.ema.decy=1"), "did you mean callbacks.ema.decay?"),
        (("callbacks=ema", "callbacks.ema.decay=high"), "callbacks.ema.decay=high is not possible"),
        (("callbacks=swa", "callbacks.swa.start=2"), "callbacks.swa.start=2 is not possible"),
        (("callbacks=early_stopping", "patience=null"), "callbacks.early_stopping.patience is"),
        (("callbacks=lr_monitor", "logger=null"), "LearningRateMonitor"),
    ],
)
def test_options_of_callbacks_are_checked(train, small, typed, said):
    status, _, error = train(*small, *typed)
    assert status == 2
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize("target", ["os.system", "seqtext.callbacks.checkpoint.Checkpoint"])
def test_untrusted_classes(target):
    with pytest.raises(UserError, match="is not allowed in stored settings"):
        check_components("callbacks", {"mine": {"_target_": target}})


def test_untrusted_addresses():
    config = settings_of("logger=mlflow", "logger.mlflow.tracking_uri=http://far.example")["logger"]
    with pytest.raises(UserError, match=r"tracking_uri=http://far\.example is not allowed"):
        check_components("logger", config)
    with allow_any_class():
        check_components("logger", config)


def test_a_name_that_is_null_is_left_out():
    assert build_components("callbacks", {"ema": None}, {}) == []


def read_csv(folder: RunDir) -> list[dict[str, str]]:
    with (folder.path / "csv" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_csv(train, small):
    folder = run(train, small, "logger=csv")
    rows, metrics = read_csv(folder), folder.read_metrics()
    assert [row["epoch"] for row in rows if row["val/loss"]] == ["0", "1", "2"]
    assert float(rows[-1]["score/test/auroc"]) == metrics["test"]["auroc"]
    settings = yaml.safe_load((folder.path / "csv" / "hparams.yaml").read_text())
    assert settings["model.units"] == 8
    assert not list(folder.path.glob("events*"))


@pytest.mark.slow
def test_several_loggers(train, small):
    folder = run(train, small, "logger=[tensorboard,csv]")
    events = EventAccumulator(str(folder.path)).Reload()
    assert "test/roc" in events.Tags()["images"]
    assert read_csv(folder)


def test_no_logger(train, small):
    folder = run(train, small, "logger=null")
    assert folder.read_metrics()["score"]
    assert not list(folder.path.glob("events*"))


@pytest.mark.slow
def test_baseline_logs(train, kaggle_dir, shared_cache):
    options = [f"dataset.dir={kaggle_dir}", f"paths.cache_dir={shared_cache}", "model=tfidf"]
    folder = run(train, options, "logger=csv")
    assert read_csv(folder)[0]["val/accuracy"]


@pytest.mark.usefixtures("my_project")
def test_logger_of_ones_own(train, small):
    folder = run(train, small, "logger=null", "+logger.mine._target_=my_project.MyLogger")
    assert "'model.units': 8" in (folder.path / "settings.txt").read_text()
    assert "score/test/auroc" in (folder.path / "metrics.txt").read_text()


def test_package_that_a_callback_misses(train, small, monkeypatch):
    def refuse(*args, **kwargs):
        raise ModuleNotFoundError("`DeviceStatsMonitor` cannot log as `psutil` is not installed.")

    monkeypatch.setattr("lightning.pytorch.callbacks.DeviceStatsMonitor.setup", refuse)
    status, _, error = train(*small, "callbacks=device_stats", "logger=csv")
    assert (status, error) == (2, "`DeviceStatsMonitor` cannot log as `psutil` is not installed.\n")


def test_max_steps_alone_ends_a_run(train, small):
    options = [option for option in small if not option.startswith("trainer.max_epochs=")]
    folder = run(train, options, "trainer.max_steps=40", "patience=null")
    assert folder.read_metrics()["epochs"] == 4  # of 11 steps


@pytest.mark.parametrize(("logger", "install"), [("mlflow", "mlflow-skinny"), ("wandb", "wandb")])
def test_missing_package(train, small, logger, install, monkeypatch):
    monkeypatch.setattr("seqtext.loggers.packages.find_spec", lambda name: None)
    status, _, error = train(*small, f"logger={logger}", "name=none")
    assert status == 2
    assert error.strip() == f"logger={logger} needs a package: pip install {install}"
    assert not Path("outputs/none").exists()


@pytest.mark.slow
def test_mlflow(train, small):
    folder = run(train, small, "logger=mlflow", "tags=[paper]", "notes=a, b")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{Path('outputs/mlflow.db').absolute()}")
    found = client.get_run((folder.path / "mlflow_run_id").read_text())
    assert found.data.metrics["score/test/auroc"] == folder.read_metrics()["test"]["auroc"]
    assert found.data.params["model.units"] == "8"
    assert found.data.tags["paper"] == "true"
    assert found.data.tags["mlflow.note.content"] == "a, b"
    assert client.list_artifacts(found.info.run_id, "figures/test")
    assert "MLFLOW_TRACKING_URI" not in os.environ, "it would be that of all later runs"


@pytest.mark.slow
def test_mlflow_database_of_another(train, small, tmp_path):
    """Its experiments say where files are stored, or even sent to."""
    Path("outputs").mkdir()
    from mlflow.tracking import MlflowClient

    database = f"sqlite:///{Path('outputs/mlflow.db').absolute()}"
    client = MlflowClient(database)
    client.create_experiment("seqtext", artifact_location=(tmp_path / "elsewhere").as_uri())
    status, _, error = train(*small, "logger=mlflow")
    assert status == 2
    assert error.splitlines()[-1].startswith("mlflow.db stores the files of runs in file:///")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
def test_wandb(train, small, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    options = ("logger=wandb", "logger.wandb.offline=true", "tags=[paper]", "notes=a, b")
    folder = run(train, small, *options)
    (record,) = folder.path.glob("wandb/offline-run-*/*.wandb")
    until = time.monotonic() + 60
    while b"a, b" not in record.read_bytes() and time.monotonic() < until:
        time.sleep(0.1)  # a service of wandb writes the file
    assert b"paper" in record.read_bytes()
    assert b"a, b" in record.read_bytes()


def test_only_an_interrupted_row_is_repeated(tmp_path):
    """The CSV file of an interrupted run is continued."""
    from seqtext.loggers.csv import RunCSVLogger

    first = RunCSVLogger(tmp_path)
    for step in (10, 20, 30):
        first.log_metrics({"a": step}, step)
    second = RunCSVLogger(tmp_path)
    second.log_metrics({"a": 21, "b": 1}, 20)
    second.log_metrics({"score": 1})
    rows = read_csv(RunDir(tmp_path))
    assert [(row["step"], row["a"]) for row in rows] == [("10", "10"), ("20", "21"), ("20", "")]


def test_object_in_an_option_may_be_named_where_it_is_exported():
    """``torch.nn.ReLU`` is defined in another module, ``torch.nn.modules.activation``."""
    config = {
        "mine": {
            "_target_": "tests.test_own_components.WithObject",
            "function": {"_target_": "torch.nn.ReLU"},
        }
    }
    with allow_any_class():
        (built,) = build_components("callbacks", config, {})
    assert isinstance(built.function, torch.nn.ReLU)


class WithObject(Callback):
    def __init__(self, function):
        self.function = function
