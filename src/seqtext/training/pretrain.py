"""Train a language model on a data set's texts, for ``model.init_from=`` of a later run."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import lightning as L

from seqtext.callbacks.checkpoint import BestAndLastCheckpoint
from seqtext.callbacks.progress_bar import ProgressBar, is_quiet, log_to_files
from seqtext.config.fingerprints import collect_fingerprints
from seqtext.config.instantiate import build_lr_schedule, build_optimizer_factory
from seqtext.config.run_config import (
    DEFAULT_LOSS,
    RunConfig,
    build_checked_datamodule,
    build_model,
    is_non_neural,
    validate_config,
)
from seqtext.config.trainer import build_trainer, count_devices, resolve_max_epochs
from seqtext.data.split import Split
from seqtext.datasets.language_model_data import LanguageModelData
from seqtext.display import build_console, count_noun
from seqtext.distributed import StopOnTerminate
from seqtext.errors import UserError
from seqtext.files import read_json, write_json
from seqtext.loggers.base import RunLoggers
from seqtext.models.language_model import LanguageModel
from seqtext.run_dir import LANGUAGE_MODEL_FILE, RunDir
from seqtext.training.batch_checks import check_batches
from seqtext.training.components import build_callbacks, get_trainer_loggers, open_loggers
from seqtext.training.gpu_assignment import pin_gpu_if_shared
from seqtext.training.initial_weights import load_initial_weights
from seqtext.training.provenance import collect_provenance, describe_devices, start_git_query
from seqtext.training.resume import collect_run_metadata, fit_or_resume, lock_run

log = logging.getLogger(__name__)

MONITOR = "val/loss"
WITHOUT_EFFECT: dict[str, Any] = {  # options with their defaults
    "loss": DEFAULT_LOSS,
    "objectives": None,
    "calibration": "none",
    "target": "nominal",
    "sampling": "none",
    "threshold": 0.5,
    "baseline": "auto",
}


def pretrain(settings: dict[str, Any], run_dir: RunDir, resume: bool = False) -> float:
    """Train a language model; keep the epoch with the lowest validation loss.

    The training part and the unlabelled texts are learned from; the test part is not read.

    Args:
        settings: plain values with the structure of conf/config.yaml; `monitor` and `metrics` have
            no effect
        run_dir: folder for all results
        resume: whether to continue from the last checkpoint of `run_dir`, if there is one

    Returns:
        The validation loss per token, in nats.

    Raises:
        UserError: if a setting is invalid.
    """
    pin_gpu_if_shared()
    for option, default in WITHOUT_EFFECT.items():
        if (settings.get(option) or default) != default:
            raise UserError(f"{option} has no effect with task=lm: leave it out.")
    settings = settings | {"monitor": MONITOR}
    options, split = validate_config(settings)
    if is_non_neural(settings):
        raise UserError("task=lm needs a recurrent network, such as model=lstm.")
    if count_devices(settings["trainer"].get("devices", 1)) > 1:
        raise UserError("task=lm trains on one device: set trainer.devices=1.")
    result_path = run_dir.path / LANGUAGE_MODEL_FILE
    with lock_run(run_dir, resume):
        if result_path.exists():
            log.info("%s is finished already.", run_dir.path)
        else:
            if not run_dir.last_checkpoint.exists():
                run_dir.remove_events()
            with open_loggers(settings, run_dir) as loggers:
                write_json(result_path, _pretrain(settings, options, split, run_dir, loggers))
    result = read_json(result_path)
    _print_summary(result, run_dir.path)
    return float(result["val"]["loss"])


def _pretrain(
    settings: dict[str, Any],
    options: RunConfig,
    split: Split,
    run_dir: RunDir,
    loggers: RunLoggers,
) -> dict[str, Any]:
    """Run `pretrain` in a locked folder; return the content of language_model.json."""
    start_time = time.perf_counter()
    data, _ = build_checked_datamodule(settings, options, split)
    start_git_query()
    data.setup()
    unlabelled = data.load_unlabelled()
    L.seed_everything(options.seed, verbose=False)
    classifier = build_model(settings, options, data)
    if not run_dir.last_checkpoint.exists():
        load_initial_weights(classifier, data)
    texts = LanguageModelData(data)
    model = LanguageModel(classifier, texts.count_ids())
    optimizer = build_optimizer_factory(settings["optimizer"])
    model.configure_training(optimizer, build_lr_schedule(settings["scheduler"], optimizer))
    fingerprints = collect_fingerprints(data, classifier)
    if unlabelled is not None:
        fingerprints["unlabelled"] = unlabelled.digest
    metadata = collect_run_metadata(settings, data, data.tokenizer.state_dict(), fingerprints)
    checkpoints = BestAndLastCheckpoint(
        run_dir.best_checkpoint,
        run_dir.last_checkpoint,
        MONITOR,
        options.checkpoint_minutes,
        metadata,
    )
    progress = ProgressBar(MONITOR)
    batches = len(texts.train_dataloader())
    trainer_options, max_epochs = resolve_max_epochs(settings["trainer"], batches)
    of_run = build_callbacks(settings, options, max_epochs)
    callbacks = [progress, *of_run, checkpoints, StopOnTerminate()]
    trainer = build_trainer(trainer_options, get_trainer_loggers(loggers), callbacks)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    log.info(
        "Language model: %s of the training part%s, %s of %s tokens, %s.",
        count_noun(len(data.dataset.parts["train"]), "text"),
        f" and {texts.unlabelled_texts:,} unlabelled" if texts.unlabelled_texts else "",
        f"{len(texts.texts.ids):,}",
        f"{len(data.vocabulary):,} different",
        count_noun(parameters, "parameter"),
    )
    log.info("%s", describe_devices(trainer))
    check_batches(trainer, data)
    fit_or_resume(trainer, model, texts, run_dir, checkpoints)  # type: ignore[arg-type]
    loss = float(checkpoints.best_score)  # type: ignore[arg-type]  # set by the first epoch
    perplexities = checkpoints.curves["val/perplexity"]
    return {
        "task": "lm",
        "dataset": data.name,
        "model": classifier.name,
        "val": {"loss": loss, "perplexity": math.exp(min(loss, 700))},
        "epochs": checkpoints.epochs,
        "best_epoch": 1 + min(range(len(perplexities)), key=lambda n: perplexities[n] or math.inf),
        "texts": {
            "training": len(data.dataset.parts["train"]),
            "unlabelled": texts.unlabelled_texts,
            "tokens": len(texts.texts.ids),
        },
        "vocabulary_size": len(data.vocabulary),
        "parameters": parameters,
        "seconds": {
            "training": progress.seconds,
            "total": progress.earlier_seconds + time.perf_counter() - start_time,
        },
        "curves": checkpoints.curves,
        "source": data.source,
        "fingerprints": fingerprints,
        "settings": settings,
        "provenance": collect_provenance(),
        "warnings": data.warnings,
    }


def _print_summary(result: dict[str, Any], folder: Path) -> None:
    scores, seconds = result["val"], result["seconds"]
    text = (
        f"Language model of {result['dataset']}: validation perplexity {scores['perplexity']:.1f} "
        f"({scores['loss']:.4f} nats per token) in epoch {result['best_epoch']} of "
        f"{result['epochs']}; {seconds['total']:.0f} s, {seconds['training']:.0f} s of it "
        f"training.\nmodel.init_from={folder} starts a classifier from it."
    )
    if not is_quiet():
        build_console(soft_wrap=True).print(text, markup=False, highlight=False)
    log_to_files(text)
