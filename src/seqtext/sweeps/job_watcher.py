"""Report each job of a sweep as soon as its run folder contains a result."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from seqtext.errors import UserError
from seqtext.sweeps.job import Job, JobResult, find_changed_files, read_job_result

POLL_SECONDS = 0.3  # seconds between two polls


class JobWatcher(threading.Thread):
    """Polls run folders while a launcher is busy, which works with any launcher.

    Args:
        folder: folder of the sweep
        jobs: running jobs by folder
        report: called with each job that ended and its result
    """

    def __init__(
        self, folder: Path, jobs: dict[str, Job], report: Callable[[Job, JobResult], None]
    ):
        super().__init__(daemon=True)
        self.ended: dict[str, JobResult] = {}
        self._folder, self._jobs, self._report = folder, jobs, report
        self._over = threading.Event()
        self._error: Exception | None = None

    def __enter__(self) -> "JobWatcher":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()
        if self._error is None:
            self._report_ended_jobs()
        elif error == (None, None, None):  # the launcher has finished
            raise self._error

    def run(self) -> None:
        try:
            while not self._over.wait(POLL_SECONDS):
                self._report_ended_jobs()
        except Exception as error:  # e.g. a full disk
            self._error = error

    def _report_ended_jobs(self) -> None:
        for name in self._jobs.keys() - self.ended.keys():
            if result := self._read_result(self._jobs[name]):
                self.ended[name] = result
                self._report(self._jobs[name], result)

    def _read_result(self, job: Job) -> JobResult | None:
        try:
            result = read_job_result(self._folder / job.folder)
        except UserError as error:
            return JobResult("failed", reason=str(error))
        if result and result.status != "failed" and (changed := find_changed_files(job, result)):
            reason = (
                f"its {changed} changed while the sweep ran: give the sweep another name=, and all "
                f"jobs run on the same."
            )
            return replace(result, status="failed", reason=reason)
        return result
