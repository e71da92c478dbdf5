"""One training run: data, model, callbacks, trainer, best checkpoint, test, results."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from seqtext.callbacks.checkpoint import BestAndLastCheckpoint
from seqtext.callbacks.progress_bar import ProgressBar, print_summary
from seqtext.config.fingerprints import collect_fingerprints
from seqtext.config.instantiate import resolve_target
from seqtext.config.run_config import (
    RunConfig,
    build_checked_datamodule,
    build_model,
    is_non_neural,
    validate_config,
)
from seqtext.config.trainer import build_trainer, count_devices, resolve_max_epochs
from seqtext.data.split import PARTS, Split
from seqtext.datasets.base import TextDataModule
from seqtext.distributed import ProcessInfo, StopOnTerminate
from seqtext.errors import UserError
from seqtext.loggers.base import RunLoggers
from seqtext.metrics.definitions import are_numbers
from seqtext.metrics.result_warnings import PART_NAMES, find_warnings
from seqtext.metrics_file import SUMMARY_ENTRIES
from seqtext.models.tfidf import TfIdf
from seqtext.run_dir import RunDir
from seqtext.training.baselines import compute_baselines
from seqtext.training.batch_checks import check_batches
from seqtext.training.calibration import calibrate
from seqtext.training.components import build_callbacks, get_trainer_loggers, open_loggers
from seqtext.training.ddp import launch_workers
from seqtext.training.describe_data import draw_data_figures
from seqtext.training.distillation import prepare_teacher
from seqtext.training.evaluation import predict_parts
from seqtext.training.fit_non_neural import fit_baseline
from seqtext.training.gpu_assignment import pin_gpu_if_shared
from seqtext.training.initial_weights import load_initial_weights
from seqtext.training.memory import read_peak_memory, reset_peak_memory
from seqtext.training.model_summary import format_model_summary
from seqtext.training.provenance import collect_provenance, describe_devices, start_git_query
from seqtext.training.result import TrainResult
from seqtext.training.resume import (
    check_size,
    collect_run_metadata,
    fit_or_resume,
    load_best_weights,
    lock_run,
)

log = logging.getLogger(__name__)

MAX_NAMED = 10  # classes in a message


def train_and_evaluate(
    settings: dict[str, Any],
    run_dir: RunDir,
    resume: bool = False,
    extra_callbacks: Sequence[Callback] = (),
) -> float:
    """Train, select the best epoch on the validation part, test it once, write the results.

    Args:
        settings: plain values with the structure of conf/config.yaml
        run_dir: folder for all results
        resume: whether to continue from the last checkpoint of `run_dir`, if there is one
        extra_callbacks: additional Lightning callbacks for neural models

    Returns:
        The monitored validation score of the best epoch.

    Raises:
        UserError: if a setting is invalid.
    """
    pin_gpu_if_shared()
    options, split = validate_config(settings)
    with lock_run(run_dir, resume):
        metrics = run_dir.read_metrics(required=SUMMARY_ENTRIES)
        if metrics is None:
            if not run_dir.last_checkpoint.exists():
                run_dir.remove_events()
            with open_loggers(settings, run_dir) as loggers:
                metrics = _train_and_evaluate(
                    settings, options, split, run_dir, loggers, extra_callbacks
                )
        else:
            log.info("%s is finished already.", run_dir.path)
    print_summary(metrics, run_dir.path, has_epochs=not is_non_neural(settings))
    return metrics["score"]


def _train_and_evaluate(
    settings: dict[str, Any],
    options: RunConfig,
    split: Split,
    run_dir: RunDir,
    loggers: RunLoggers,
    extra_callbacks: Sequence[Callback],
) -> dict[str, Any]:
    """Run `train_and_evaluate` in a locked folder; return the content of metrics.json."""
    start_time = time.perf_counter()
    reset_peak_memory()
    data, _ = build_checked_datamodule(settings, options, split)
    start_git_query()
    data.setup()
    train_labels, val_labels, _ = (data.labels[data.dataset.parts[part]] for part in PARTS)
    options.check_for_classes(data.class_names)
    options.check_for_validation(data.class_names, val_labels)
    if options.target == "ordinal":
        check_order(data, settings["dataset"])
    if loggers:
        loggers.log_tags(options.tags, options.notes)
        loggers.log_figures({f"data/{n}": png for n, png in draw_data_figures(data).items()})
    L.seed_everything(options.seed, verbose=False)
    result = fit(settings, options, data, run_dir, loggers, extra_callbacks)
    predictions = calibrate(result.predictions, options, run_dir)
    warnings = list(data.warnings)
    for part, part_predictions in predictions.items():
        warnings += find_warnings(PART_NAMES[part], part_predictions, train_labels)
    from seqtext.training.artifacts import write_artifacts  # imports matplotlib and scikit-learn

    model_class: Any = resolve_target("model", settings["model"]["_target_"])
    facts = {
        "dataset": data.name,
        "model": model_class.name or model_class.__name__,
        "tags": options.tags,
        "notes": options.notes,
        "monitor": options.monitor,
        "score": result.score,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "parameters": result.parameters,
        "vocabulary_size": len(data.vocabulary),
        "unknown_tokens": {part: data.dataset.coverage[part].unknown for part in PARTS},
        "seconds": {
            "preparation": result.start_time - start_time,
            "training": result.train_seconds,
            "test": result.test_seconds,
            "features": result.feature_seconds,
            "total": result.seconds_before_resume + time.perf_counter() - start_time,
        },
        "peak_memory": read_peak_memory(),
        "source": data.source,
        "fingerprints": result.fingerprints,
        "rows": data.rows(),
        "class_names": list(data.class_names),
        "settings": settings,
        "provenance": collect_provenance(),
        "curves": result.curves,
        "warnings": warnings,
    }
    facts["baselines"] = compute_baselines(
        data, options, result.train_seconds, with_tfidf=facts["model"] != TfIdf.name
    )
    if result.chosen:
        facts["chosen"] = dict(result.chosen)
    return write_artifacts(run_dir, loggers, predictions, data.dataset.rows, settings, facts)


def check_order(data: TextDataModule, dataset: dict[str, Any]) -> None:
    """Check that more than two classes have a known order, as ``target=ordinal`` needs.

    Args:
        dataset: options of the data set

    Raises:
        UserError: if they have not.
    """
    names = list(data.class_names)
    if len(names) == 2:
        raise UserError("target=ordinal is for more than two classes: leave it out.")
    if not (are_numbers(names) or dataset.get("classes") or type(data).class_names):
        raise UserError(
            f"target=ordinal needs the order of the classes {', '.join(names[:MAX_NAMED])}: give "
            f"it from the lowest to the highest, as in dataset.classes=[low,middle,high]."
        )


def fit(
    settings: dict[str, Any],
    options: RunConfig,
    data: TextDataModule,
    run_dir: RunDir,
    loggers: RunLoggers,
    extra_callbacks: Sequence[Callback] = (),
) -> TrainResult:
    """Fit a neural model on the devices of the trainer, or a non-neural model."""
    if is_non_neural(settings):
        return fit_baseline(settings, options, data, run_dir, loggers)
    world_size = count_devices(settings["trainer"].get("devices", 1))
    with launch_workers(world_size, settings, str(run_dir.path)) as process:
        return fit_in_process(settings, options, data, run_dir, loggers, process, extra_callbacks)


def fit_in_process(
    settings: dict[str, Any],
    options: RunConfig,
    data: TextDataModule,
    run_dir: RunDir,
    loggers: RunLoggers | None,
    process: ProcessInfo,
    extra_callbacks: Sequence[Callback] = (),
) -> TrainResult:
    """Train as one of the processes of a run, from the last checkpoint if there is one.

    Args:
        loggers: loggers of the run; None in the processes other than rank 0

    Returns:
        The result of training, with the predictions of all processes.

    Raises:
        UserError: if that checkpoint has other data, or the model's outputs are not finite.
    """
    if run_dir.last_checkpoint.exists():
        check_size(settings, data, run_dir.last_checkpoint)
    progress, model = ProgressBar(options.monitor), build_model(settings, options, data)
    if not run_dir.last_checkpoint.exists():  # whose weights are loaded later
        load_initial_weights(model, data)
    teacher_seconds, teacher = prepare_teacher(model, data)
    fingerprints = collect_fingerprints(data, model) | ({"teacher": teacher} if teacher else {})
    log.info(format_model_summary(model))  # the message may have several lines, unlike arguments
    metadata = collect_run_metadata(settings, data, data.tokenizer.state_dict(), fingerprints)
    if arguments := model.get_stored_arguments():
        metadata["arguments"] = arguments
    paths = run_dir.best_checkpoint, run_dir.last_checkpoint
    checkpoints = BestAndLastCheckpoint(
        *paths, options.monitor, options.checkpoint_minutes, metadata
    )
    batches = len(data.train_dataloader())
    trainer_options, max_epochs = resolve_max_epochs(settings["trainer"], batches)
    of_run = build_callbacks(settings, options, max_epochs)
    callbacks = [progress, *of_run, checkpoints, StopOnTerminate()]
    trainer = build_trainer(
        trainer_options,
        get_trainer_loggers(loggers),
        [*callbacks, *extra_callbacks],
        process,
    )
    log.info("%s", describe_devices(trainer))
    data.process = process  # after initialize_from_data, which reads the whole training part
    check_batches(trainer, data)
    start_time = time.perf_counter()
    fit_or_resume(trainer, model, data, run_dir, checkpoints)
    best_epoch = load_best_weights(model, run_dir.best_checkpoint)
    predictions, test_seconds = predict_parts(trainer, model, data)
    return TrainResult(
        predictions,
        score=checkpoints.best_score,  # type: ignore[arg-type]  # set by the first epoch
        parameters=model.count_parameters(),
        start_time=start_time,
        train_seconds=progress.seconds,
        test_seconds=test_seconds,
        feature_seconds=model.feature_seconds + teacher_seconds,
        curves=checkpoints.curves,
        seconds_before_resume=progress.earlier_seconds,
        best_epoch=best_epoch + 1,
        epochs=checkpoints.epochs,
        fingerprints=fingerprints,
    )
