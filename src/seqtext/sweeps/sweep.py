"""Submit the unfinished jobs of a sweep, and report each job when it has a result."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from seqtext.config.error_messages import USER_ERRORS
from seqtext.errors import SweepFailed, UserError
from seqtext.files import remove_temporaries
from seqtext.run_dir import RunDir
from seqtext.sweeps.job import (
    Job,
    JobResult,
    delete_job_result,
    find_run_conflict,
    format_error_reason,
    read_job_result,
)
from seqtext.sweeps.job_builder import NO_RESUME, JobBuilder, quote_override
from seqtext.sweeps.job_watcher import JobWatcher
from seqtext.sweeps.preflight import PreflightCheck
from seqtext.sweeps.progress import SweepProgress


class SweepRunner:
    """Runs each job of a sweep once, over any number of commands, with any launcher.

    As a context manager it locks the sweep's folder, which is written to only within the context.

    Args:
        config: configuration of the sweep
        context: Hydra's context
        launcher: basic, joblib, submitit, ray, …

    Raises:
        UserError: on entering, if another sweep uses the folder, or its sweep.json is damaged.
    """

    def __init__(self, config: DictConfig, context: HydraContext, launcher: Launcher):
        if config.resume is not None:
            raise UserError(NO_RESUME)
        has_race = config.get("race") is not None
        if has_race is not (config.hydra.runtime.choices["hydra/sweeper"] == "race"):
            raise UserError(
                "hydra/sweeper=race and experiment=race belong together: leave hydra/sweeper out."
            )
        self.config, self.context, self.launcher = config, context, launcher
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.progress: SweepProgress  # within the context
        self._preflight = PreflightCheck(config)
        self.job_builder = JobBuilder(config, context.config_loader, self.folder, self._preflight)
        self._lock = FileLock(self.folder / ".lock")
        self._launched = 0

    def __enter__(self) -> "SweepRunner":
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self.folder} is in use by another sweep: wait for it, or give this one another "
                f"name=."
            ) from error
        try:
            remove_temporaries(self.folder)
            self.progress = SweepProgress(self.folder, 0)
            OmegaConf.save(self.config, self.folder / "multirun.yaml")
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def raise_common_error(self, jobs: Sequence[Job]) -> None:
        """Refuse a sweep if all jobs fail with the same error and none has run.

        Raises:
            Exception: that error.
        """
        errors = [job.error or job.blocked_by for job in jobs]
        if None in errors or len({error and format_error_reason(error) for error in errors}) > 1:
            return
        if not any(job.error is None and self._has_ended(job) for job in jobs):
            raise cast(Exception, errors[0])

    def run(self, jobs: Sequence[Job]) -> list[JobResult]:
        """Run the unfinished jobs, and return the results of all jobs."""
        ended: dict[str, JobResult] = {}
        to_do: dict[str, Job] = {}
        unable: dict[str, Job] = {}
        for job in {job.folder: job for job in jobs}.values():
            result = self._find_cached_result(job)
            if result is None:
                to_do[job.folder] = job
                continue
            ended[job.folder] = result
            if result.status == "failed":
                unable[job.folder] = job
            else:
                self.progress.record_earlier(job, result)
        if unable:
            self.progress.record_blocked([*unable.values()], [ended[folder] for folder in unable])
        if to_do:
            ended |= self._launch(to_do)
        self.progress.write()
        return [ended[job.folder] for job in jobs]

    def finish(self) -> None:
        """Print the summary.

        Raises:
            SweepFailed: if a job failed.
        """
        self.progress.print_summary()
        if any(result.status == "failed" for result in self.progress.ended.values()):
            raise SweepFailed

    def describe_command(self) -> str:
        """Describe the command that continues this sweep; it may have to name the folder."""
        overrides = self.config.hydra.overrides
        given = [o for o in overrides.hydra if o.startswith("hydra.sweep.dir=")]
        has_name = self.config.name is not None or any(
            key == "experiment" and choice
            for key, choice in self.config.hydra.runtime.choices.items()
        )
        if has_name or (given and "${" not in given[-1]):
            return "the same command"
        if (
            not given
            and self.folder.parent == Path(self.config.paths.output_dir).expanduser().absolute()
        ):
            return f"the same command with name={self.folder.name}"
        return f"the same command with hydra.sweep.dir={quote_override(str(self.folder))}"

    def _has_ended(self, job: Job) -> bool:
        try:
            return read_job_result(self.folder / job.folder) is not None
        except UserError:
            return True

    def _find_cached_result(self, job: Job) -> JobResult | None:
        """Return a job's earlier result, or why it cannot run; None if it is to be run."""
        if job.error:
            return JobResult("failed", reason=format_error_reason(job.error))
        try:
            result = self._read_earlier_result(job)
        except USER_ERRORS as error:  # the folder of another run, or damaged
            return JobResult("failed", reason=format_error_reason(error))
        if result is None and job.blocked_by:
            return JobResult("failed", reason=format_error_reason(job.blocked_by))
        folder = self.folder / job.folder
        if result is None and RunDir(folder).is_locked():  # the job would write a log there
            return JobResult(
                "failed", reason=f"{folder} is in use by another process: wait for it."
            )
        return result

    def _read_earlier_result(self, job: Job) -> JobResult | None:
        """Return a job's earlier result; None if it has not ended, or failed.

        Raises:
            UserError: if its folder contains another run, or is damaged.
        """
        folder = self.folder / job.folder
        result = read_job_result(folder)
        reason = find_run_conflict(
            folder, job, result, lambda: self._preflight.read_fingerprints(job.settings)
        )
        if reason:
            raise UserError(reason)
        if result is None or result.status == "failed":
            return None
        if job.blocked_by:
            self.progress.note(f"not compared with the current data: {job.blocked_by}")
        return result

    def _launch(self, jobs: dict[str, Job]) -> dict[str, JobResult]:
        for name in jobs:
            delete_job_result(self.folder / name)
        returns: Sequence[JobReturn] = []
        broken: Exception | None = None
        calls = [[*job.overrides, *job.hydra_overrides] for job in jobs.values()]
        with JobWatcher(self.folder, jobs, self.progress.record_finished) as watcher:
            try:
                returns = self.launcher.launch(calls, initial_job_idx=self._launched)
            except KeyboardInterrupt:
                self.progress.print(f"Interrupted: {self.describe_command()} continues.")
                raise
            except Exception as error:  # of the launcher, e.g. a worker died
                broken = error
        self._launched += len(jobs)
        for number, job in enumerate(jobs.values()):
            if job.folder not in watcher.ended:
                returned = returns[number] if number < len(returns) else broken
                result = watcher.ended[job.folder] = self._convert_return(returned)
                self.progress.record_finished(job, result)
        return watcher.ended

    def _convert_return(self, returned: JobReturn | Exception | None) -> JobResult:
        """Return the result of a job without a result in its folder."""
        if isinstance(returned, JobReturn):
            try:
                with redirect_stderr(io.StringIO()):  # silences Hydra, which prints the overrides
                    value = returned.return_value
            except Exception as error:
                return JobResult("failed", reason=format_error_reason(error))
            return value if isinstance(value, JobResult) else JobResult("finished", value)
        why = f" ({format_error_reason(returned)})" if returned else ""
        again = f"{self.describe_command()} runs it again."
        return JobResult("failed", reason=f"Its process died{why}: {again}")
