"""Connect the trials of an Optuna study with the runs of a sweep."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean, stdev
from typing import cast

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from seqtext.best_run import ScoredRun, iterate_finished_runs
from seqtext.errors import UserError
from seqtext.sweeps.job import JobResult
from seqtext.sweeps.sweep import SweepRunner

FOLDER, FOLDS, STD, REASON = "folder", "fold_scores", "std", "reason"  # user attributes of trials


def report_trial(study: optuna.Study, trial: Trial, results: list[JobResult]) -> bool:
    """Report the result of a trial to the study, and return whether it failed."""
    failed = [o.reason or "no score" for o in results if o.status == "failed" or o.score is None]
    values, state = None, TrialState.COMPLETE
    if failed:
        trial.set_user_attr(REASON, failed[0])
        state = TrialState.FAIL
    elif any(result.status == "pruned" for result in results):
        state = TrialState.PRUNED
    else:
        scores = [cast(float, result.score) for result in results]
        values = fmean(scores)
        if len(scores) > 1:
            trial.set_user_attr(STD, stdev(scores))
            trial.set_user_attr(FOLDS, scores)
    try:
        study.tell(trial, state=state, values=values)
    except RuntimeError as error:  # raised when the grid is exhausted
        if "Study.stop" not in str(error):
            raise
    return bool(failed)


def iterate_earlier_runs(study: optuna.Study, folder: Path, monitor: str) -> Iterator[ScoredRun]:
    """Yield the runs of the study's finished trials; a trial whose runs are gone is one run."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        name = f"trial-{trial.number}"
        place = folder / trial.user_attrs.get(FOLDER, name)
        found: list[ScoredRun] = []
        with suppress(UserError):  # damaged
            found = list(iterate_finished_runs(place))
        yield from found or [ScoredRun(place, monitor, trial.value, None, {}, name)]


def find_best_trial(study: optuna.Study, sweep: SweepRunner) -> FrozenTrial:
    """Return the first trial with the settings that the summary names as the best."""
    best = sweep.progress.find_best_settings(sweep.config.monitor)
    folders = {run.folder for run in best.runs} if best else set()
    folders |= {folder.parent for folder in folders}  # of folds
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if sweep.folder / trial.user_attrs.get(FOLDER, f"trial-{trial.number}") in folders:
            return trial
    return study.best_trial
