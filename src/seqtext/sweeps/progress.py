"""Report a sweep's progress by a line per job and in sweep.json."""

import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqtext.best_run import ScoredRun, ScoredSettings, select_best_settings
from seqtext.config.overrides import read_command_line
from seqtext.display import format_duration, print_line
from seqtext.files import build_damaged_file_error, read_json, write_json
from seqtext.run_dir import SWEEP_FILE
from seqtext.sweeps.job import Job, JobResult
from seqtext.validation import find_type_error


class SweepProgress:
    """Counts the finished jobs of a sweep and prints them.

    Args:
        folder: folder of the sweep
        total: number of jobs of this command; may be set later
    """

    def __init__(self, folder: Path, total: int):
        self.folder, self.total = folder, total
        self.ended: dict[str, JobResult] = {}  # of this command, by folder
        self.names_best = True  # the best settings of all jobs
        self._finished: dict[str, dict[Path, ScoredRun]] = {}  # by monitored metric and folder
        self._entries = {entry["folder"]: entry for entry in _read_jobs(folder)}
        self._notes: dict[str, int] = {}
        self._job_reasons: set[str | None] = set()  # in lines of jobs
        self._printed_reasons: set[str | None] = set()  # printed in full
        self._start_time, self._jobs_run, self._number = time.monotonic(), 0, 0

    def record_earlier(self, job: Job, result: JobResult) -> None:
        """Count a job that had ended earlier, and print its line."""
        self._count(job, result)
        self._print_job(job, result, "earlier")

    def record_blocked(self, jobs: Sequence[Job], results: Sequence[JobResult]) -> None:
        """Count jobs that cannot run, and print each reason once."""
        for job, result in zip(jobs, results, strict=True):
            self._count(job, result)
        self._print_reasons([(j.folder, r.reason) for j, r in zip(jobs, results, strict=True)])

    def record_finished(self, job: Job, result: JobResult) -> None:
        """Count a job that has just ended, and print its line."""
        self._jobs_run += 1
        self._count(job, result)
        self._print_job(job, result, format_duration(result.seconds), self._format_time_left())
        self.write()

    def add_runs(self, runs: Iterable[ScoredRun]) -> None:
        """Add finished runs, also of earlier commands, to those of which the best is printed."""
        for run in runs:
            self._finished.setdefault(run.monitor, {})[run.folder] = run

    def find_best_settings(self, monitor: str) -> ScoredSettings | None:
        """Return the best settings of the finished runs; None if no run has a score."""
        runs = self._finished.get(monitor)
        best = select_best_settings(runs.values()) if runs else None
        return None if best is None or math.isnan(best.score) else best

    def note(self, text: str) -> None:
        """Count a note, which the summary prints once."""
        self._notes[text] = self._notes.get(text, 0) + 1

    def write(self) -> None:
        """Write sweep.json with all jobs of this and earlier commands."""
        content = {
            "name": self.folder.name,
            "command": read_command_line(),
            "jobs": list(self._entries.values()),
        }
        write_json(self.folder / SWEEP_FILE, content)

    def print(self, text: str, error: bool = False) -> None:
        """Print a line."""
        print_line(text, sys.stderr if error else sys.stdout)

    def print_summary(self) -> None:
        """Print the number of finished jobs, the best one, and the reasons of failed ones."""
        counts = dict.fromkeys(("finished", "pruned", "failed"), 0)
        for result in self.ended.values():
            counts[result.status] += 1
        parts = [f"{count} {kind}" for kind, count in counts.items() if count or kind == "finished"]
        self.print(
            f"{', '.join(parts)}, in {format_duration(time.monotonic() - self._start_time)}."
        )
        for monitor in self._finished if self.names_best else ():
            if best := self.find_best_settings(monitor):
                self.print(f"Best by {best.format_score()}: {best.format_folders()}")
        for text, count in self._notes.items():
            self.print(f"{count} earlier results were {text}", error=True)
        failed = [(f, r.reason) for f, r in self.ended.items() if r.status == "failed"]
        self._print_reasons(
            [(f, reason) for f, reason in failed if reason not in self._printed_reasons]
        )

    def _print_reasons(self, failed: Sequence[tuple[str, str | None]]) -> None:
        """Print each reason once, with the number of failed jobs.

        Args:
            failed: folder and reason of each job
        """
        folders: dict[str | None, list[str]] = {}
        for folder, reason in failed:
            folders.setdefault(reason, []).append(folder)
        for reason, hit in folders.items():
            self._printed_reasons.add(reason)
            who = hit[0] if len(hit) == 1 else f"{len(hit)} jobs"
            self.print(f"failed: {who}: {reason}", error=True)

    def _count(self, job: Job, result: JobResult) -> None:
        self._number += 1
        self.ended[job.folder] = result
        self._entries[job.folder] = {
            "folder": job.folder,
            "overrides": [override.removeprefix("++") for override in job.overrides],
            **{name: v for name, v in asdict(result).items() if name != "fingerprints"},
        }
        if result.status == "finished":
            scored = {**asdict(result), "monitor": job.settings["monitor"]}
            self.add_runs([ScoredRun.build(self.folder / job.folder, scored, job.settings)])

    def _print_job(self, job: Job, result: JobResult, *times: str) -> None:
        number = f"{self._number:>{len(str(self.total))}} of {self.total}"
        parts = [number, job.label, *self._format_result(job, result), *times]
        self.print("  ".join(part for part in parts if part))

    def _format_time_left(self) -> str:
        left = (time.monotonic() - self._start_time) / self._jobs_run * (self.total - self._number)
        return f"left {format_duration(left)}" if self._number < self.total else ""

    def _format_result(self, job: Job, result: JobResult) -> list[str]:
        if result.status == "failed":
            is_new = result.reason not in self._job_reasons
            self._job_reasons.add(result.reason)
            return [f"failed: {result.reason}" if is_new else "failed for the same reason as above"]
        monitor = job.settings["monitor"]
        score = "" if result.score is None else f"{monitor} {result.score:.4f}"
        best = self.find_best_settings(monitor) if self.names_best else None
        best_score = f"best {best.score:.4f}" if best else ""
        return [f"pruned at {score}" if result.status == "pruned" else score, best_score]


def _read_jobs(folder: Path) -> list[dict]:
    file = folder / SWEEP_FILE
    jobs: Any = read_json(file).get("jobs") if file.exists() else []
    if find_type_error(jobs, list[dict]) or not all(
        isinstance(job.get("folder"), str) for job in jobs
    ):
        raise build_damaged_file_error(file)
    return jobs
