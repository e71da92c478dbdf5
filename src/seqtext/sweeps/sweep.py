"""Jobs to a launcher, those that are still to do; word of each as it ends, by its folder."""

import io
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from seqtext.best_run import compose_run_config
from seqtext.config.error_messages import USER_ERRORS, format_error
from seqtext.errors import SweepFailed, UserError
from seqtext.run_dir import RunDir
from seqtext.run_names import OUTPUTS, name_with_hash, override_slug, run_name
from seqtext.sweeps.job import (
    Job,
    JobResult,
    clear_result,
    find_changed_files,
    read_result,
    settings_conflict,
)
from seqtext.sweeps.preflight import PreflightCheck
from seqtext.sweeps.progress import Progress

POLL = 0.3  # seconds between two looks for jobs that ended
TRIAL = "SEQTEXT_TRIAL"
NO_RESUME = "resume= goes on with one run, and is no part of a sweep: leave out -m."
LONGEST_VALUE = 40  # characters of a path in a job's label


class Sweep:
    """Runs jobs under one folder, whatever the launcher, each once over any number of commands.

    It is a context: within it no other sweep can have the folder, which is written to only then.

    Args:
        config: of the sweep
        context: Hydra's
        launcher: basic, joblib, submitit, ray, …

    Raises:
        UserError: on entering, if another sweep has the folder, or its sweep.json is damaged.
    """

    def __init__(self, config: DictConfig, context: HydraContext, launcher: Launcher):
        if config.resume is not None:
            raise UserError(NO_RESUME)
        self.config, self.context, self.launcher = config, context, launcher
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.progress: Progress  # while it runs
        self._experiment = config.hydra.runtime.choices.get("experiment")
        self._check = PreflightCheck(config)
        self._lock = FileLock(self.folder / ".lock")
        self._names: dict[str, tuple[str, ...]] = {}  # overrides by folder
        self._launched = 0

    def __enter__(self) -> "Sweep":
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self.folder} is in use by another sweep: wait for it, or give this one another "
                f"name=."
            ) from error
        try:
            self.progress = Progress(self.folder, 0, self.config.monitor)
            OmegaConf.save(self.config, self.folder / "multirun.yaml")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def build_job(
        self, overrides: Sequence[str], swept: Collection[str], within: str = "", trial: str = ""
    ) -> Job:
        """The job that these overrides make.

        Args:
            overrides: of the command line, one value each
            swept: keys of those that differ from job to job
            within: name below its folder, where several runs make one trial
            trial: number in an Optuna study
        """
        swept = {key.lstrip("+~") for key in swept}
        label = "  ".join(map(_short, _with_keys(overrides, swept)))
        try:
            composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            if composed.resume is not None:
                raise UserError(NO_RESUME)
            task = list(composed.hydra.overrides.task)
            settings = compose_run_config(composed, task)
        except (*USER_ERRORS, ValueError, TypeError, AssertionError) as error:
            chosen = [o.partition("=")[2] for o in _with_keys(overrides, ("dataset", "model"))]
            name = run_name(overrides, *chosen or ["job"], swept=swept)
            return Job(overrides, name, label or name, error=self._to_user_error(overrides, error))
        choices = composed.hydra.runtime.choices
        if self._experiment:  # all jobs have the same
            task = [o for o in task if not o.startswith("experiment=")]
        unfolded = [o for o in task if not (within and o.startswith("split.fold"))]
        name = self._unique_name(
            run_name(unfolded, str(choices["dataset"]), str(choices["model"]), swept=swept),
            tuple(unfolded),
        )
        folder = f"{name}/{within}" if within else name
        hydra_overrides = self._hydra_overrides(folder, composed, trial)
        job = Job(overrides, folder, label or name, settings, hydra_overrides=hydra_overrides)
        try:
            return replace(job, files=self._check(settings))
        except UserError as error:
            return replace(job, blocked_by=error)

    def raise_common_error(self, jobs: Sequence[Job]) -> None:
        """Refuse a sweep of which no job can run, or has run, for one and the same reason.

        Raises:
            Exception: that reason.
        """
        errors = [job.error or job.blocked_by for job in jobs]
        if None in errors or len({_reason(error) for error in errors}) > 1:
            return
        if not any(job.error is None and self._has_ended(job) for job in jobs):
            raise errors[0]

    def run(self, jobs: Sequence[Job]) -> list[JobResult]:
        """How each of the jobs ended, after those were run that had not finished."""
        ended: dict[str, JobResult] = {}
        to_do: dict[str, Job] = {}
        unable: dict[str, Job] = {}
        for job in {job.folder: job for job in jobs}.values():
            result = self._cached_result(job)
            if result is None:
                to_do[job.folder] = job
                continue
            ended[job.folder] = result
            if result.status == "failed":
                unable[job.folder] = job
            else:
                self.progress.record_cached(job, result)
        if unable:
            self.progress.record_blocked([*unable.values()], [ended[folder] for folder in unable])
        if to_do:
            ended |= self._launch(to_do)
        self.progress.write()
        return [ended[job.folder] for job in jobs]

    def finish(self) -> None:
        """Sum up.

        Raises:
            SweepFailed: if a job failed.
        """
        self.progress.print_summary()
        if any(result.status == "failed" for result in self.progress.ended.values()):
            raise SweepFailed

    def same_command(self) -> str:
        """What goes on with this sweep, in words: an unnamed one gets a new folder each time."""
        overrides = self.config.hydra.overrides
        given = [o for o in overrides.hydra if o.startswith("hydra.sweep.dir=")]
        has_name = self.config.name is not None or any(
            key == "experiment" and choice
            for key, choice in self.config.hydra.runtime.choices.items()
        )
        if has_name or (given and "${" not in given[-1]):
            return "the same command"
        if not given and self.folder.parent == Path(OUTPUTS).absolute():
            return f"the same command with name={self.folder.name}"
        return f"the same command with hydra.sweep.dir={_quoted(str(self.folder))}"

    def _unique_name(self, name: str, overrides: tuple[str, ...]) -> str:
        """`name`, unless it is another job's on any file system; then one with a hash."""
        if self._names.setdefault(name.casefold(), overrides) == overrides:
            return name
        return name_with_hash(name, overrides)

    def _to_user_error(self, overrides: Sequence[str], error: Exception) -> Exception:
        """What Hydra has no or other words for: an experiment that is a sweep, a group of null."""
        if "must be configured before the sweep starts" in str(error):
            return UserError("this experiment is a sweep itself: start it alone, and without -m.")
        if isinstance(error, USER_ERRORS):
            return error
        for override in overrides:
            key, _, value = override.partition("=")
            if value == "null" and (known := self.context.config_loader.get_group_options(key)):
                choices = ", ".join(known)
                return UserError(f"{override} is not possible: it must be one of {choices}.")
        return UserError(error_reason(error))

    def _has_ended(self, job: Job) -> bool:
        try:
            return read_result(self.folder / job.folder) is not None
        except UserError:
            return True

    def _cached_result(self, job: Job) -> JobResult | None:
        """How a job ended earlier, or why it cannot run; None if it is still to do."""
        if job.error:
            return JobResult("failed", reason=error_reason(job.error))
        try:
            result = self._earlier_result(job)
        except USER_ERRORS as error:  # another run's folder, or a damaged one
            return JobResult("failed", reason=error_reason(error))
        if result is None and job.blocked_by:
            return JobResult("failed", reason=error_reason(job.blocked_by))
        folder = self.folder / job.folder
        if result is None and RunDir(folder).is_locked():  # its job would write a log there
            return JobResult(
                "failed", reason=f"{folder} is in use by another process: wait for it."
            )
        return result

    def _earlier_result(self, job: Job) -> JobResult | None:
        """How a job ended earlier; None if it did not, or failed.

        Raises:
            UserError: if its folder holds another run, or is damaged.
        """
        folder = self.folder / job.folder
        result = read_result(folder)
        reason = settings_conflict(
            folder, job, result, lambda: self._check.read_fingerprints(job.settings)
        )
        if reason:
            raise UserError(reason)
        if result is None or result.status == "failed":
            return None
        if job.blocked_by:
            self.progress.note(f"not compared with the data of today: {job.blocked}")
        return result

    def _launch(self, jobs: dict[str, Job]) -> dict[str, JobResult]:
        for name in jobs:
            clear_result(self.folder / name)
        returns, broken = [], None
        calls = [[*job.overrides, *job.hydra_overrides] for job in jobs.values()]
        with JobWatcher(self.folder, jobs, self.progress.record_finished) as watch:
            try:
                returns = self.launcher.launch(calls, initial_job_idx=self._launched)
            except KeyboardInterrupt:
                self.progress.print(f"Interrupted: {self.same_command()} goes on.")
                raise
            except Exception as error:  # of the launcher: a worker died, a cluster is gone
                broken = error
        self._launched += len(jobs)
        for number, job in enumerate(jobs.values()):
            if job.folder not in watch.ended:
                returned = returns[number] if number < len(returns) else broken
                result = watch.ended[job.folder] = self._result_of_return(returned)
                self.progress.record_finished(job, result)
        return watch.ended

    def _result_of_return(self, returned: JobReturn | Exception | None) -> JobResult:
        """Of a job whose folder tells nothing."""
        if isinstance(returned, JobReturn):
            try:
                with redirect_stderr(io.StringIO()):  # Hydra would print the overrides
                    value = returned.return_value
            except Exception as error:
                return JobResult("failed", reason=error_reason(error))
            return value if isinstance(value, JobResult) else JobResult("finished", value)
        why = f" ({error_reason(returned)})" if returned else ""
        again = f"{self.same_command()} runs it again."
        return JobResult("failed", reason=f"Its process died{why}: {again}")

    def _hydra_overrides(self, folder: str, composed: DictConfig, trial: str) -> list[str]:
        """What a job need not work out by itself: a worker may not know this program's resolvers.

        Its log lines go to its file; the terminal belongs to the sweep.
        """
        hydra_overrides = [
            f"hydra.sweep.dir={_quoted(str(self.folder))}",
            f"hydra.sweep.subdir={_quoted(folder)}",
            "hydra.output_subdir=.hydra",
        ]
        handlers = OmegaConf.select(composed, "hydra.job_logging.root.handlers") or []
        if "console" in handlers:
            kept = ",".join(handler for handler in handlers if handler != "console")
            hydra_overrides.append(f"hydra.job_logging.root.handlers=[{kept}]")
        if trial:
            hydra_overrides.append(f"+hydra.job.env_set.{TRIAL}={_quoted(trial)}")
        return hydra_overrides


class JobWatcher(threading.Thread):
    """Looks at folders while a launcher is busy: the one way to hear of jobs that all share."""

    def __init__(self, folder: Path, jobs: dict[str, Job], tell: Callable[[Job, JobResult], None]):
        super().__init__(daemon=True)
        self.ended: dict[str, JobResult] = {}
        self._folder, self._jobs, self._tell = folder, jobs, tell
        self._over = threading.Event()
        self._error: Exception | None = None

    def __enter__(self) -> "JobWatcher":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()
        if self._error is None:
            self._look()
        elif error == (None, None, None):
            raise self._error

    def run(self) -> None:
        try:
            while not self._over.wait(POLL):
                self._look()
        except Exception as error:  # the disk is full, say: told when the launcher is through
            self._error = error

    def _look(self) -> None:
        for name in self._jobs.keys() - self.ended.keys():
            if result := self._result(self._jobs[name]):
                self.ended[name] = result
                self._tell(self._jobs[name], result)

    def _result(self, job: Job) -> JobResult | None:
        try:
            result = read_result(self._folder / job.folder)
        except UserError as error:
            return JobResult("failed", reason=str(error))
        if result and result.status != "failed" and (changed := find_changed_files(job, result)):
            reason = (
                f"its {changed} changed while the sweep ran: give the sweep another name=, and all "
                f"jobs run on the same."
            )
            return replace(result, status="failed", reason=reason)
        return result


def error_reason(error: BaseException) -> str:
    """Why a job failed, in one line."""
    if isinstance(error, USER_ERRORS):
        return format_error(error)
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a word'}"


def _reason(error: BaseException | None) -> str | None:
    return error and error_reason(error)


def _with_keys(overrides: Sequence[str], keys: Collection[str]) -> list[str]:
    return [o for o in overrides if o.partition("=")[0].lstrip("+~") in keys]


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    if key in ("dataset", "model"):
        return value
    if "/" in value and len(value) <= LONGEST_VALUE:
        return f"{key.rpartition('.')[2]}={value}"
    return override_slug(override)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
