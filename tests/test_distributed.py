"""A run with several processes trains and scores as with one process."""

import signal
import subprocess
import sys

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from lightning.fabric.strategies.launchers.subprocess_script import _hydra_subprocess_cmd
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from seqtext.config.trainer import build_trainer
from seqtext.data.loaders import (
    BucketBatchSampler,
    BucketDataLoader,
    EncodedDataset,
    LengthSortedBatchSampler,
)
from seqtext.distributed import ProcessInfo, find_externally_launched
from seqtext.errors import UserError
from seqtext.losses import cross_entropy
from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.training.ddp import _find_failure, launch_workers
from seqtext.training.train import train_and_evaluate
from tests.conftest import ROOT, files_of_a_run, settings_of

ROWS, COUNT = 61, 4


@pytest.fixture
def texts() -> EncodedDataset:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, ROWS)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedDataset(rng.integers(2, 30, offsets[-1]), offsets, rng.integers(3, size=ROWS))


def batches_of(texts: EncodedDataset, process: ProcessInfo) -> list:
    sampler = BucketBatchSampler(np.arange(ROWS), texts.lengths, batch_size=10, seed=0)
    return list(BucketDataLoader(texts, sampler, process))


def test_shares_make_up_the_batch(texts):
    """The last batch has one text only: three of four processes contribute nothing."""
    whole = batches_of(texts, ProcessInfo())
    shares = [batches_of(texts, ProcessInfo(rank, COUNT)) for rank in range(COUNT)]
    assert 1 in [len(batch.rows) for batch in whole]
    for batch, *parts in zip(whole, *shares, strict=True):
        rows = np.concatenate([part.rows for part in parts if part.weight])
        assert sorted(rows) == sorted(batch.rows.tolist())
        assert sum(part.weight for part in parts) == pytest.approx(COUNT)


@pytest.mark.parametrize("class_weights", [None, torch.tensor([0.2, 1.0, 7.0])])
def test_the_mean_of_weighted_losses_is_that_of_the_batch(texts, class_weights):
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=(ROWS, 3)))
    shares = [batches_of(texts, ProcessInfo(rank, COUNT)) for rank in range(COUNT)]
    for batch, *parts in zip(batches_of(texts, ProcessInfo()), *shares, strict=True):
        losses = [p.weight * cross_entropy(logits[p.rows], p.labels, class_weights) for p in parts]
        wanted = cross_entropy(logits[batch.rows], batch.labels, class_weights)
        torch.testing.assert_close(sum(losses) / COUNT, wanted)


@pytest.mark.parametrize("rows", [61, 3])
def test_every_row_is_scored_by_one_process(texts, rows):
    samplers = [
        LengthSortedBatchSampler(np.arange(rows), texts.lengths, 10, ProcessInfo(rank, COUNT))
        for rank in range(COUNT)
    ]
    seen = np.concatenate([b for sampler in samplers for b in sampler.batches()])
    assert sorted(seen) == list(range(rows))


def assert_same(folder: RunDir, alone: RunDir) -> None:
    """Check equality up to rounding."""
    metrics, wanted = folder.read_metrics(), alone.read_metrics()
    for part in ("val", "test"):
        assert metrics[part] == pytest.approx(wanted[part], abs=1e-5)
        one, other = (pd.read_parquet(f.predictions(part)) for f in (folder, alone))
        pd.testing.assert_frame_equal(one, other, check_exact=False, atol=1e-5, rtol=0)
    for key in ("score", "best_epoch", "epochs", "parameters"):
        assert metrics[key] == pytest.approx(wanted[key], abs=1e-5)
    for name in ("best_checkpoint", "last_checkpoint"):
        one, other = (
            torch.load(getattr(f, name), weights_only=True)["state_dict"] for f in (folder, alone)
        )
        for key in other:
            torch.testing.assert_close(one[key], other[key], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_job_of_a_sweep_on_two_devices(train, small, tmp_path):
    """With batch norm over the whole batch, and class weights; batches of 18, the last of 10.

    Not with Adam: where a gradient is zero but for rounding, it makes whole steps of the rounding.
    """
    options = [
        "model.head_units=8",
        "model.head_batch_norm=true",
        "optimizer=sgd",
        "monitor=val/loss",
    ]
    options += ["sampling=class_weights", "class_weights=[1,3]", "dataset.batch_size=18"]
    alone = RunDir(tmp_path / "alone")
    train_and_evaluate(settings_of(*small, *options), alone)
    status, _, error = train("-m", *small, *options, "trainer=ddp", "split.fold=0")
    assert status == 0, error
    (metrics,) = (tmp_path / "outputs").glob("*/*/metrics.json")
    folder = RunDir(metrics.parent)
    assert_same(folder, alone)
    assert files_of_a_run(folder) == files_of_a_run(alone) | {"train.log"} | {
        f".hydra/{name}.yaml" for name in ("config", "hydra", "overrides")
    }
    events = [len(list(f.path.glob("events.out.*"))) for f in (folder, alone)]
    assert events[0] == events[1]
    assert (folder.path / "train.log").read_text().count("epoch 1/3") == 1
    assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_killed_on_two_devices(small, tmp_path, monkeypatch):
    """Killed within an epoch, saved at each step; batches of 19, the last with one text."""
    options = (*small, "dataset.batch_size=19", "monitor=val/loss")
    alone, folder = RunDir(tmp_path / "alone"), RunDir(tmp_path / "broken")
    train_and_evaluate(settings_of(*options), alone)
    settings = settings_of(*options, "trainer=ddp", "checkpoint_minutes=1e-9")
    settings["trainer"]["accelerator"] = "cpu"
    original = TextClassifier.training_step

    handlers = []

    def dying(self, batch, batch_idx):
        handlers.append(signal.getsignal(signal.SIGTERM))
        if self.global_step == 14:
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "training_step", dying)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(settings, folder)
    assert {*handlers} == {signal.default_int_handler}  # Lightning's would wait for the others
    assert folder.read_metrics() is None
    train_and_evaluate(settings, folder, resume=True)
    assert_same(folder, alone)


@pytest.mark.slow
def test_torchrun_on_two_devices(small, tmp_path):
    """Two processes of torchrun, connected by gloo, have the scores of one process."""
    options = (*small, "dataset.batch_size=19", "monitor=val/loss")
    alone, folder = RunDir(tmp_path / "alone"), RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*options), alone)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command += [str(ROOT / "train.py"), *options, "trainer.accelerator=cpu", "trainer.devices=2"]
    subprocess.run([*command, f"hydra.run.dir={folder.path}"], cwd=tmp_path, check=True)
    assert_same(folder, alone)
    assert len({len(list(f.path.glob("events.out.*"))) for f in (folder, alone)}) == 1
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("started", "options", "words"),
    [
        (2, {"devices": 1}, "trainer.devices=1 is not possible: it must be 2"),
        (8, {"devices": 2, "num_nodes": 2}, "it must be 4: so many"),
        (1, {"devices": 1, "num_nodes": 2}, "trainer.num_nodes=2"),
    ],
)
def test_devices_must_be_the_processes_that_were_started(monkeypatch, started, options, words):
    launched = ProcessInfo(0, started) if started > 1 else None
    monkeypatch.setattr("seqtext.config.trainer.find_externally_launched", lambda: launched)
    with pytest.raises(UserError, match=words):
        build_trainer({"accelerator": "cpu", **options})


@pytest.mark.parametrize(
    ("variables", "process"),
    [
        ({}, None),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "job"}, None),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_JOB_NAME": "job"}, (3, 4)),
        ({"TORCHELASTIC_RUN_ID": "a", "RANK": "1", "WORLD_SIZE": "2"}, (1, 2)),
    ],
)
def test_processes_of_torchrun_and_slurm_are_found(monkeypatch, variables, process):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_externally_launched() == process


def test_lightnings_launcher_of_scripts_starts_the_whole_sweep_again(monkeypatch):
    """Why workers are launched here: a worker of one job would run the sweep."""
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "model=gru,lstm"])
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        config = compose("config", ["hydra.run.dir=run"], return_hydra_config=True)
    config.hydra.runtime.cwd = "."
    monkeypatch.setattr(HydraConfig.instance(), "cfg", config)
    command, _ = _hydra_subprocess_cmd(local_rank=1)
    assert command[2:4] == ["-m", "model=gru,lstm"]


def test_lightnings_launcher_of_functions_returns_no_predictions():
    """Why workers are launched here: test scores need every row's outputs."""
    trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_spawn", logger=False, barebones=True
    )
    with pytest.raises(MisconfigurationException, match="return_predictions"):
        trainer.predict_loop.return_predictions = True


def test_a_process_that_does_not_start_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with (
        pytest.raises(UserError, match="Process 2 of 2 ended with status 1"),
        launch_workers(2, {}, "run"),
    ):
        pytest.fail("began without it")


@pytest.mark.parametrize(
    ("status", "words"),
    [(-9, "killed by SIGKILL (often for lack of memory)"), (-63, "signal 63"), (3, "status 3")],
)
def test_how_a_process_ended(status, words):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    process.returncode = status
    assert words in _find_failure([process])


@pytest.mark.parametrize("devices", [0, [], [-1], "two", 1.5])
def test_impossible_devices(devices):
    with pytest.raises(UserError, match=r"trainer\.devices"):
        build_trainer({"accelerator": "cpu", "devices": devices})
