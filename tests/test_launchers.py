"""Sweeps with the launchers of conf/hydra/launcher, from the command line."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import joblib
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from seqtext.display import count_noun
from seqtext.run_dir import RunDir
from tests.conftest import ROOT, RUN_FILES, files_of_a_run

NAME = "swept"


def sweep(small: list[str], tmp_path: Path, *arguments: str, **environment: str | None):
    """Start a sweep with the same name in a new process."""
    command = [sys.executable, str(ROOT / "train.py"), "-m", f"name={NAME}", *small, *arguments]
    merged = os.environ | environment
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env={name: value for name, value in merged.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Return the exit status and the output."""
    said, _ = process.communicate(timeout=150)
    return process.returncode, said


def jobs_in(tmp_path: Path) -> list[RunDir]:
    """Return the finished jobs."""
    paths = (tmp_path / "outputs" / NAME).glob("*/metrics.json")
    return [RunDir(path.parent) for path in sorted(paths)]


JOBS = ("model.units=8,9", "trainer.max_epochs=1")


@pytest.mark.slow
def test_joblib(small, tmp_path):
    """Two processes with half of the cores each run all jobs."""
    threads = {"OMP_NUM_THREADS": None, "MKL_NUM_THREADS": None, "OPENBLAS_NUM_THREADS": None}
    options = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    status, said = ended(sweep(small, tmp_path, *options, *JOBS, **threads))
    assert status == 0, said
    jobs = jobs_in(tmp_path)
    assert len(jobs) == 2
    for job in jobs:
        assert files_of_a_run(job) == RUN_FILES
        share = max(1, joblib.cpu_count() // 2)
        assert count_noun(share, "CPU thread") in (job.path / "train.log").read_text()


@pytest.mark.cluster
def test_submitit_local(small, tmp_path):
    status, said = ended(sweep(small, tmp_path, "hydra/launcher=submitit_local", *JOBS))
    assert status == 0, said
    assert [files_of_a_run(job) for job in jobs_in(tmp_path)] == [RUN_FILES] * 2


def test_slurm_takes_all_options(tmp_path):
    """Without Slurm, check the options and the script for sbatch."""
    from submitit.slurm.slurm import SlurmExecutor, _make_sbatch_string

    overrides = ["hydra/launcher=submitit_slurm", "hydra.launcher.gpus_per_node=1"]
    with initialize_config_dir(str(ROOT / "conf")):
        config = compose("config", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    options = OmegaConf.to_container(config.hydra.launcher)
    for other in ("_target_", "submitit_folder", "max_num_timeout"):
        del options[other]
    options |= {"time": options.pop("timeout_min"), "job_name": options.pop("name")}
    options |= {"ntasks_per_node": options.pop("tasks_per_node")}
    options |= {"mem": f"{options.pop('mem_gb')}GB"}
    options.pop("array_parallelism")
    assert options.keys() <= SlurmExecutor._valid_parameters() | {"time", "job_name"}
    script = _make_sbatch_string(command="train", folder=tmp_path, **options)
    for line in ("gpus-per-node=1", "cpus-per-task=2", "mem=8GB", "time=1440"):
        assert f"#SBATCH --{line}\n" in script


@pytest.fixture
def two_nodes(monkeypatch):
    """Start a Ray cluster of two nodes with one CPU each; yield it and the second node."""
    for name, value in RAY.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        yield cluster, cluster.add_node(**node)
    finally:
        cluster.shutdown()


RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # which means: everything at 127.0.0.1
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@pytest.mark.cluster
def test_ray_loses_a_node(small, tmp_path, two_nodes):
    """Finished jobs are kept; the same command runs the rest."""
    cluster, node = two_nodes
    options = ("hydra/launcher=ray", f"hydra.launcher.ray.init.address={cluster.address}")
    options += ("hydra.launcher.ray.remote.max_retries=0", "model.units=8,9,10,11")
    options += ("trainer.max_epochs=15", "patience=null")
    first = sweep(small, tmp_path, *options)
    try:
        deadline = time.monotonic() + 100
        while not jobs_in(tmp_path) and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)
        status, said = ended(first)
    finally:
        with suppress(ProcessLookupError):
            first.kill()
    finished = {job.path: _identity(job) for job in jobs_in(tmp_path)}
    assert status == 1, said
    assert 0 < len(finished) < 4
    status, said = ended(sweep(small, tmp_path, *options))
    assert status == 0, said
    jobs = {job.path: job for job in jobs_in(tmp_path)}
    assert len(jobs) == 4
    assert {path: _identity(jobs[path]) for path in finished} == finished
    assert all(files_of_a_run(job) == RUN_FILES for job in jobs.values())


def _identity(job: RunDir) -> tuple[int, int]:
    status = job.metrics_path.stat()
    return status.st_ino, status.st_mtime_ns
