"""Run a configuration composed by Hydra: a new run, a resumed run, or a job of a sweep."""

import gc
import logging
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from seqtext.best_run import compose_run_config
from seqtext.config.stored_settings import (
    has_interpolations,
)
from seqtext.config.trust import set_own_folders, trust_command_line
from seqtext.errors import OptionError, UserError, UserErrorExit
from seqtext.files import write_text
from seqtext.lightning_messages import silence_lightning
from seqtext.run_dir import RunDir, RunDirInUse
from seqtext.run_names import validate_resume_dir
from seqtext.speedups import freeze_garbage
from seqtext.sweeps.job import JobResult, format_error_reason
from seqtext.sweeps.optuna_pruning import TrialPruned, build_pruning_callbacks
from seqtext.training.describe_data import describe_data
from seqtext.training.pretrain import pretrain
from seqtext.training.resume import get_stored_config_path, load_resume_config
from seqtext.training.train import train_and_evaluate

MODES = ("train", "describe", "test")


def run_hydra_job(config: DictConfig) -> float | JobResult | None:
    """Train and evaluate, or describe the data; return the best validation score.

    Raises:
        UserError: if a setting or a file is invalid; in a single run, as the cause of
            `UserErrorExit`.
    """
    hydra = HydraConfig.get()
    own = [s.path for s in hydra.runtime.config_sources if s.provider == "command-line"]
    with chdir(hydra.runtime.cwd):  # hydra.job.chdir would move all relative paths
        set_own_folders([Path(folder) for folder in own])
        return _run_hydra_job(config)


def _run_hydra_job(config: DictConfig) -> float | JobResult | None:
    silence_lightning()
    hydra = HydraConfig.get()
    is_resumed = config.resume is not None
    run_dir = RunDir(validate_resume_dir(config.resume) if is_resumed else hydra.runtime.output_dir)
    if hydra.mode == RunMode.MULTIRUN and config.mode == "train":
        return run_sweep_job(config, run_dir)
    try:
        with trust_command_line(config, hydra.overrides.task):
            return _run_mode(config, list(hydra.overrides.task), run_dir)
    except (UserError, OSError) as error:
        if not is_resumed:
            run_dir.delete_if_never_started()
        if hydra.mode == RunMode.RUN:
            raise UserErrorExit from error
        raise


def _run_mode(config: DictConfig, overrides: list[str], run_dir: RunDir) -> float | None:
    if config.mode not in MODES:
        raise OptionError("mode", config.mode, f"one of {', '.join(MODES)}")
    if config.mode == "test":
        from seqtext.inference.checkpoint_evaluation import evaluate_checkpoint

        evaluate_checkpoint(config, overrides, run_dir)
        return None
    is_resumed = config.resume is not None
    if is_resumed:
        settings = load_resume_config(run_dir, overrides, config)
    else:
        settings = compose_run_config(config, overrides, log_best=True)
    if config.mode == "describe":
        describe_data(settings, run_dir)
        return None
    _save_effective_config(config, settings, run_dir)
    run = pretrain if settings.get("task") == "lm" else train_and_evaluate
    return run(settings, run_dir, resume=is_resumed)


def run_sweep_job(config: DictConfig, run_dir: RunDir) -> float | JobResult:
    """Run a job of a sweep, or resume it if it was killed, and record its result in its folder.

    Returns:
        The best validation score; or, if another process uses the folder, a failed `JobResult`:
        an exception would be logged in that process's log.

    Raises:
        Exception: the error of a failed job.
    """
    logging.captureWarnings(True)  # to the job's log; the sweep prints to the terminal
    start_time = time.perf_counter()
    try:
        overrides = list(HydraConfig.get().overrides.task)
        with trust_command_line(config, overrides):
            settings = compose_run_config(config, overrides, log_best=True)
            if settings.get("task") == "lm":
                raise UserError("task=lm is not possible in a sweep: pretrain one model at a time.")
            _save_effective_config(config, settings, run_dir)
            pruning = build_pruning_callbacks(config.monitor)
            return train_and_evaluate(settings, run_dir, resume=True, extra_callbacks=pruning)
    except RunDirInUse as error:
        return JobResult("failed", reason=str(error))
    except TrialPruned as pruned:
        seconds = time.perf_counter() - start_time
        result = JobResult(
            "pruned", pruned.score, seconds=seconds, fingerprints=pruned.fingerprints
        )
        result.write(run_dir.path)
        return pruned.score
    except Exception as error:
        seconds = time.perf_counter() - start_time
        JobResult("failed", reason=format_error_reason(error), seconds=seconds).write(run_dir.path)
        raise
    finally:
        gc.collect()  # a Trainer and its model refer to each other
        freeze_garbage()


def _save_effective_config(config: DictConfig, settings: dict[str, Any], run_dir: RunDir) -> None:
    """Store the resolved settings in place of Hydra's copy.

    Hydra's copy lacks the settings of the best run (``from_best=``) and has unresolved
    interpolations such as ``${oc.env:HOME}``, whose value may differ when the run is resumed.
    """
    if config.resume is None and (config.from_best is not None or has_interpolations(config)):
        write_text(get_stored_config_path(run_dir), OmegaConf.to_yaml(OmegaConf.create(settings)))
