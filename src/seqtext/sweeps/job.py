"""A job of a sweep, and its result in its run folder."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqtext.config.error_messages import USER_ERRORS, format_error
from seqtext.config.settings import to_run_config
from seqtext.config.stored_settings import read_stored_settings
from seqtext.errors import UserError
from seqtext.files import read_json, write_json
from seqtext.identity import (
    CONTENT_NAMES,
    find_changed_content,
    find_first_difference,
    has_all_fingerprints,
)
from seqtext.run_dir import RESULT_FILE, RunDir
from seqtext.validation import find_type_error

ANOTHER_NAME = "give the sweep another name=, or delete the folder"


@dataclass(frozen=True)
class JobResult:
    """Result of a job.

    Attributes:
        score: monitored validation score
        reason: reason in one sentence if the job did not finish
        seconds: duration
        loss: validation loss of a finished job, the tie-breaker of equal scores
        fingerprints: fingerprints of the data, see `seqtext.identity`
    """

    status: Literal["finished", "failed", "pruned"]
    score: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    loss: float | None = None
    fingerprints: dict[str, Any] | None = None

    def write(self, folder: Path) -> None:
        """Write the result into a run folder without metrics.json."""
        write_json(folder / RESULT_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "JobResult | None":
        """Read a result of `write`; None if the file is missing or damaged.

        Such a job is run again, like a job that was killed before it could write a result.
        """
        try:
            entries = read_json(folder / RESULT_FILE)
        except (OSError, UserError):
            return None
        hints = RESULT_TYPES
        is_whole = "status" in entries and entries.keys() <= hints.keys()
        if is_whole and not any(
            find_type_error(value, hints[name]) for name, value in entries.items()
        ):
            return cls(**entries)
        return None


RESULT_TYPES = {
    "status": Literal["failed", "pruned"],
    "score": float | None,
    "reason": str | None,
    "seconds": float,
    "loss": float | None,
    "fingerprints": dict | None,
}


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        overrides: command line overrides of the job
        folder: run folder, within the sweep's folder
        label: settings that differ from other jobs, for display
        settings: settings of the run
        error: error that occurred while composing the settings
        blocked_by: error that prevents running now: an invalid option, a missing file
        files: digests of the files that the run reads; None if unknown
        hydra_overrides: additional overrides for Hydra
    """

    overrides: Sequence[str]
    folder: str
    label: str
    settings: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    blocked_by: UserError | None = None
    files: Mapping[str, str | None] | None = None
    hydra_overrides: Sequence[str] = ()


def read_job_result(folder: Path) -> JobResult | None:
    """Read the result of the run in a folder; None if no run has ended there.

    Raises:
        UserError: if metrics.json is damaged.
    """
    if metrics := RunDir(folder).read_metrics(required=("score", "seconds", "settings")):
        score, seconds = metrics["score"], metrics["seconds"]["total"]
        loss = metrics.get("val", {}).get("loss")
        known = score if score is not None and not math.isnan(score) else None
        fingerprints = metrics.get("fingerprints")
        return JobResult("finished", known, seconds=seconds, loss=loss, fingerprints=fingerprints)
    return JobResult.read(folder)


def delete_job_result(folder: Path) -> None:
    """Delete the result of an earlier attempt."""
    (folder / RESULT_FILE).unlink(missing_ok=True)


def find_run_conflict(
    folder: Path, job: Job, result: JobResult | None, read: Callable[[], Mapping[str, Any]]
) -> str | None:
    """Return in one sentence why a folder's run is not this job, or None.

    None if it is this job, or if there is no run to resume.

    Args:
        folder: folder of the run
        job: job to run there
        result: result of the run
        read: reads the job's files and returns their fingerprints; called only if needed
    """
    stored = _read_stored_settings(RunDir(folder), result)
    if stored is None:
        return None
    if found := find_first_difference(stored, job.settings):
        option, was, now = found
        return f"was made with {option}={was}, not {now}: {ANOTHER_NAME}."
    fingerprints = result.fingerprints if result else None
    if fingerprints is None or job.files is None or not has_all_fingerprints(fingerprints):
        return None  # a resumed run compares the data itself
    if other := find_changed_content(fingerprints, job.files, read):
        return f"was made with other {other} than the current ones: {ANOTHER_NAME}."
    return None


def find_changed_files(job: Job, result: JobResult) -> str | None:
    """Return which files changed between the start of a sweep and a job's end, such as "data"."""
    fingerprints = result.fingerprints
    if fingerprints is None or job.files is None or not has_all_fingerprints(fingerprints):
        return None
    files = fingerprints["files"]
    return next(
        (name for key, name in CONTENT_NAMES.items() if files.get(key) != job.files[key]), None
    )


def _read_stored_settings(folder: RunDir, result: JobResult | None) -> dict[str, Any] | None:
    if metrics := folder.read_metrics(required=("settings",)):
        return metrics["settings"]
    is_pruned = result is not None and result.status == "pruned"
    if not is_pruned and not folder.last_checkpoint.exists():
        return None
    try:
        return to_run_config(read_stored_settings(folder.path / ".hydra" / "config.yaml"))
    except (OSError, UserError):
        return None  # training compares with those of the checkpoint


def format_error_reason(error: BaseException) -> str:
    """Format the error of a failed job as one line."""
    if isinstance(error, USER_ERRORS):
        return format_error(error)
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a word'}"
