"""A job of a sweep, and how it ended, as its run folder tells."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqtext.configuration import first_difference, settings_in
from seqtext.files import read_json, write_json
from seqtext.options import UserError
from seqtext.results.folder import RunFolder
from seqtext.stored import read_stored_settings

OUTCOME = "outcome.json"  # of a job that did not finish


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        score: the monitored one, on the validation part
        reason: why it did not finish, in one sentence
        seconds: that it took
        loss: of a finished one, on the validation part: decides between equal scores
    """

    status: Literal["finished", "failed", "pruned"]
    score: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    loss: float | None = None

    def write(self, folder: Path) -> None:
        """Leave word in a run folder that will have no metrics.json."""
        write_json(folder / OUTCOME, asdict(self))


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        overrides: of the command line, that make it this job
        folder: its run folder, within the sweep's
        label: what tells it from the others, for people
        settings: that it will have
        wrong: why it can have none
        handed: further overrides, for Hydra
    """

    overrides: Sequence[str]
    folder: str
    label: str
    settings: dict[str, Any] = field(default_factory=dict)
    wrong: Exception | None = None
    handed: Sequence[str] = ()


def outcome_in(folder: Path) -> Outcome | None:
    """What a run folder tells; None where no run ended."""
    if metrics := RunFolder(folder).finished():
        score, seconds = metrics["score"], metrics["seconds"]["total"]
        loss = metrics.get("val", {}).get("loss")
        score = None if math.isnan(score) else score
        return Outcome("finished", score, seconds=seconds, loss=loss)
    try:
        return Outcome(**read_json(folder / OUTCOME))
    except FileNotFoundError:
        return None


def forget_outcome(folder: Path) -> None:
    """Before another attempt."""
    (folder / OUTCOME).unlink(missing_ok=True)


def other_settings(folder: Path, settings: dict[str, Any]) -> str | None:
    """Why a folder's run is not one with these settings, in one sentence.

    None where it is, and where there is no run that could go on.
    """
    stored = _stored_settings(RunFolder(folder))
    found = stored and first_difference(stored, settings)
    if not found:
        return None
    option, was, now = found
    return (
        f"{folder} was made with {option}={was}, not {now}: give the sweep another name=, or "
        f"delete this folder."
    )


def _stored_settings(folder: RunFolder) -> dict[str, Any] | None:
    if metrics := folder.finished():
        return metrics["settings"]
    if not folder.last.exists():
        return None
    try:
        return settings_in(read_stored_settings(folder.path / ".hydra" / "config.yaml"))
    except (OSError, UserError):
        return None
