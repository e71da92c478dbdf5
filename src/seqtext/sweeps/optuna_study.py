"""Search with Optuna: the study proposes trials, the sweep runs them and reports scores."""

import functools
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, cast

import optuna
from hydra.core.override_parser.types import Override
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from hydra_plugins.hydra_optuna_sweeper._impl import (
    OptunaSweeperImpl,
)
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.metrics.definitions import get_metric_mode
from seqtext.run_dir import RunDir
from seqtext.sweeps.job import Job
from seqtext.sweeps.optuna_components import (
    are_compatible,
    build_pruner,
    build_sampler,
    build_search_space,
    build_storage,
    get_bounds,
    get_storage_name,
    get_study_name,
    raise_as_user_error,
)
from seqtext.sweeps.optuna_trials import (
    FOLDER,
    FOLDS,
    STD,
    find_best_trial,
    iterate_earlier_runs,
    report_trial,
)
from seqtext.sweeps.space import join_arguments, parse_overrides
from seqtext.sweeps.sweep import SweepRunner

FINISHED_STATES = (TrialState.COMPLETE, TrialState.PRUNED)
MIN_TRIALS_TO_JUDGE = 5  # minimum number of trials before the rate is checked


class StudySweeper(OptunaSweeperImpl):
    """Extends the plugin's sweeper, so that a search of the same name is continued.

    Args:
        sampler: configuration of the sampler
        folds: number of runs of each trial, whose value is their mean
        pruner: name or configuration of the pruner
        options: options of the plugin
    """

    def __init__(self, sampler: Any, folds: int | None, pruner: Any, **options: Any):
        super().__init__(sampler=sampler, **options)
        self.folds, self.pruner = folds, pruner

    def sweep(self, arguments: list[str]) -> None:
        """Run trials until the study has `n_trials`.

        Raises:
            SweepFailed: if one failed.
            UserError: if options exclude each other.
        """
        if self.folds and self.pruner:
            raise UserError("hydra.sweeper.folds and pruner cannot be combined: set one to null.")
        config = cast(DictConfig, self.config)  # set by `setup`
        context = cast(HydraContext, self.hydra_context)
        launcher = cast(Launcher, self.launcher)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._process_searchspace_config()
        given = join_arguments(self._parse_sweeper_params_config(), arguments)
        last = {argument.partition("=")[0]: argument for argument in given}
        overrides = parse_overrides(list(last.values()), context.config_loader)
        self._check_folds(overrides, config)
        space, fixed, deleted = build_search_space(overrides)
        pruner = build_pruner(self.pruner)
        self._build_sampler(space, earlier=0)  # raises before anything is written
        sweep = SweepRunner(config, context, launcher)
        self._raise_common_error(sweep, space, fixed, deleted)
        with sweep:
            study = self._create_study(space, pruner)
            sweep.progress.add_runs(iterate_earlier_runs(study, sweep.folder, config.monitor))
            self._search(study, sweep, space, fixed, deleted)
            self._write_best(study, sweep)
            sweep.finish()

    def _check_folds(self, overrides: Sequence[Override], config: DictConfig) -> None:
        """Refuse other options of a cross-validation: each trial sets its own.

        Raises:
            UserError: if `folds` and options of the split are combined.
        """
        options = {"split.folds": config.split.folds, "split.fold": config.split.fold}
        for override in overrides:
            if override.get_key_element() in options:
                is_swept = override.is_sweep_override()
                options[override.get_key_element()] = is_swept or override.value()
        given = [option for option, value in options.items() if value]
        if self.folds and given:
            raise UserError(
                f"hydra.sweeper.folds and {given[0]} cannot be combined: leave out one of them."
            )

    def _search(
        self,
        study: optuna.Study,
        sweep: SweepRunner,
        space: dict[str, BaseDistribution],
        fixed: dict[str, str],
        deleted: list[str],
    ) -> None:
        """Run the remaining trials of `n_trials`."""
        done = len(study.get_trials(deepcopy=False, states=FINISHED_STATES))
        to_do = max(0, self.n_trials - done)
        sweep.progress.total = to_do * (self.folds or 1)
        self._requeue_abandoned(study, sweep)
        number = count_noun(self.n_trials, "trial")
        sweep.progress.print(f"{number} in {sweep.folder}: {done} done, {to_do} to do")
        failed = asked = 0
        while asked < to_do:
            with raise_as_user_error("The search cannot continue"):
                trials = [
                    study.ask() for _ in range(min(self._count_parallel_trials(), to_do - asked))
                ]
                overrides = self._configure_trials(trials, space, fixed, deleted)
            asked += len(trials)
            failed += self._run(study, sweep, trials, overrides, list(space))
            if asked >= MIN_TRIALS_TO_JUDGE and failed / asked > self.max_failure_rate:
                sweep.progress.print(f"{failed} of {asked} trials failed: the search ends.", True)
                break

    def _raise_common_error(
        self,
        sweep: SweepRunner,
        space: dict[str, BaseDistribution],
        fixed: dict[str, str],
        deleted: list[str],
    ) -> None:
        """Refuse a search in which no trial can run.

        Raises:
            Exception: the error, if it is the same at both ends of the search space.
        """
        jobs = []
        for end in (0, -1):
            values = {name: get_bounds(values)[end] for name, values in space.items()} | fixed
            overrides = [*(f"{name}={value}" for name, value in values.items()), *deleted]
            folds = [f"split.folds={self.folds}", "split.fold=0"] if self.folds else []
            jobs.append(sweep.job_builder.build([*overrides, *folds], list(space)))
        sweep.raise_common_error(jobs)

    def _create_study(
        self, space: dict[str, BaseDistribution], pruner: optuna.pruners.BasePruner
    ) -> optuna.Study:
        assert self.config is not None  # see `setup`
        config = self.config.hydra
        wanted = self.direction or get_metric_mode(self.config.monitor)
        towards: Literal["minimize", "maximize"]
        towards = "minimize" if "min" in str(wanted) else "maximize"
        with raise_as_user_error(f"The study in {get_storage_name(config)} cannot be used"):
            study = optuna.create_study(
                study_name=get_study_name(config),
                storage=build_storage(config),
                pruner=pruner,
                direction=towards,
                load_if_exists=True,
            )
        if study.direction.name.lower() != towards:
            raise UserError(
                f"monitor={self.config.monitor} is to {towards}, but the study "
                f"{study.study_name} was begun to {study.direction.name.lower()}: give the sweep "
                f"another name=."
            )
        earlier = study.get_trials(deepcopy=False)
        for name, values in space.items():
            if not all(are_compatible(t.distributions.get(name, values), values) for t in earlier):
                raise UserError(
                    f"{name} is swept over other values than {study.study_name} was begun with: "
                    f"give the sweep another name=."
                )
        study.sampler = self._build_sampler(space, len(earlier))
        return study

    def _build_sampler(self, space: dict, earlier: int) -> optuna.samplers.BaseSampler:
        with raise_as_user_error("hydra.sweeper.sampler is not possible"):
            return self._create_sampler(space, earlier)

    def _create_sampler(self, space: dict, earlier: int) -> optuna.samplers.BaseSampler:
        sampler = build_sampler(self.sampler, earlier)
        if isinstance(sampler, functools.partial):  # a grid sampler
            choices = {name: self._to_grid_sampler_choices(d) for name, d in space.items()}
            size = functools.reduce(lambda n, values: n * len(values), choices.values(), 1)
            self.n_trials = min(self.n_trials, size)
            return sampler(choices)
        return sampler

    def _requeue_abandoned(self, study: optuna.Study, sweep: SweepRunner) -> None:
        """Queue the trials of a killed process again: their runs can be resumed."""
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self._is_running(trial, sweep):
                with suppress(ValueError, RuntimeError):  # already requeued by another process
                    study.tell(trial.number, state=TrialState.FAIL)
                    study.enqueue_trial(trial.params)

    def _is_running(self, trial: FrozenTrial, sweep: SweepRunner) -> bool:
        folder = trial.user_attrs.get(FOLDER)
        if not folder:
            return False
        runs = [folder, *(f"{folder}/fold-{fold}" for fold in range(self.folds or 0))]
        return any(RunDir(sweep.folder / run).is_locked() for run in runs)

    def _count_parallel_trials(self) -> int:
        assert self.config is not None  # see `setup`
        processes = self.config.hydra.launcher.get("n_jobs") or 1
        return self.n_jobs or (processes if processes > 0 else os.cpu_count() or 1)

    def _run(
        self,
        study: optuna.Study,
        sweep: SweepRunner,
        trials: list[Trial],
        overrides: Sequence[Sequence[str]],
        swept: list[str],
    ) -> int:
        """Run trials in one batch, report them to the study, and return the number of failures."""
        jobs = [
            self._build_jobs(sweep, trial, one, swept)
            for trial, one in zip(trials, overrides, strict=True)
        ]
        results = iter(sweep.run([job for of_trial in jobs for job in of_trial]))
        failed = 0
        for trial, of_trial in zip(trials, jobs, strict=True):
            failed += report_trial(study, trial, [next(results) for _ in of_trial])
        return failed

    def _build_jobs(
        self, sweep: SweepRunner, trial: Trial, overrides: Sequence[str], swept: list[str]
    ) -> list[Job]:
        number = str(trial.number)
        if not self.folds:
            jobs = [sweep.job_builder.build(overrides, swept, trial=number)]
        else:
            jobs = [
                sweep.job_builder.build(
                    (*overrides, f"split.folds={self.folds}", f"split.fold={fold}"),
                    [*swept, "split.fold"],
                    within=f"fold-{fold}",
                )
                for fold in range(self.folds)
            ]
        trial.set_user_attr(FOLDER, jobs[0].folder.removesuffix("/fold-0"))
        return jobs

    def _write_best(self, study: optuna.Study, sweep: SweepRunner) -> None:
        if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            return
        best = find_best_trial(study, sweep)
        found = {"name": "optuna", "best_params": best.params, "best_value": best.value}
        found |= {name: best.user_attrs[name] for name in (STD, FOLDS) if name in best.user_attrs}
        OmegaConf.save(DictConfig(found), sweep.folder / "optimization_results.yaml")
