"""Find finished and unfinished runs in folders, without reading logs."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from seqtext.errors import UserError
from seqtext.metrics_file import METRICS_FILE
from seqtext.reporting.run_files import (
    LoadedPredictions,
    read_hydra,
    read_options,
    read_outcome,
    read_predictions,
    read_run_metrics,
    read_sweep,
)
from seqtext.run_dir import RESULT_FILE, SWEEP_FILE, list_metrics_files

INTERRUPTED = "interrupted, or still running"
NO_REASON = "no reason is known"


@dataclass(frozen=True)
class Run:
    """A finished run.

    metrics: content of metrics.json
    choices: choices of configuration groups, such as ``embedding: glove``, except Hydra's own
    overrides: overrides as typed on the command line
    """

    path: Path
    metrics: dict[str, Any]
    choices: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """Return the seed of weights and batches."""
        return self.metrics["settings"].get("seed") or 0

    @property
    def split(self) -> tuple[int, int]:
        """Return seed and fold of the split."""
        split = self.metrics["settings"].get("split") or {}
        return split.get("seed") or 0, split.get("fold") or 0

    @property
    def tags(self) -> list[str]:
        """Return the tags that the run was given."""
        return self.metrics.get("tags") or []

    @property
    def command(self) -> str:
        """Return the command line to run this again."""
        return " ".join(["python train.py", *map(shlex.quote, self.overrides)])

    def rows(self, part: str) -> int:
        """Return the number of rows of a part; 0 if it is not recorded."""
        return sum((self.metrics.get("rows") or {}).get(part, {}).values())

    @cached_property
    def predictions(self) -> LoadedPredictions | None:
        """Return the predictions on the test part; None if the file is missing or damaged."""
        return self._loaded_predictions[0]

    @property
    def damage(self) -> str | None:
        """Return a sentence on damage of the predictions file, or None."""
        return self._loaded_predictions[1]

    @cached_property
    def validation_predictions(self) -> LoadedPredictions | None:
        """Return the predictions on the validation part; None if missing or damaged."""
        return self._read_predictions("val")[0]

    @cached_property
    def _loaded_predictions(self) -> tuple[LoadedPredictions | None, str | None]:
        return self._read_predictions("test")

    def _read_predictions(self, part: str) -> tuple[LoadedPredictions | None, str | None]:
        path = self.path / "predictions" / f"{part}.parquet"
        try:
            return read_predictions(path, self.metrics), None
        except UserError as error:
            return None, str(error)


@dataclass(frozen=True)
class EnsembleRun(Run):
    """Several runs whose probabilities are averaged, in place of a run of one model.

    averages: mean predictions on the validation and test part
    """

    members: tuple[Run, ...] = ()
    averages: Mapping[str, LoadedPredictions] = field(default_factory=dict)

    def _read_predictions(self, part: str) -> tuple[LoadedPredictions | None, str | None]:
        return self.averages.get(part), None


class UnfinishedRun(NamedTuple):
    """A job without results.

    status: "failed", "pruned", or "unfinished" (interrupted, or still running)
    """

    name: str
    status: str
    reason: str


class FoundRuns(NamedTuple):
    """Runs in and below folders.

    damaged: a sentence for each file that was left out
    """

    runs: list[Run]
    unfinished: list[UnfinishedRun]
    damaged: list[str]


def read_runs(folders: Sequence[Path], tag: str | None = None) -> FoundRuns:
    """Find all runs in and below folders; report damaged files and leave them out.

    Args:
        tag: tag of the runs to return; None: all

    Raises:
        UserError: if a folder is missing or is a file, or there is no readable finished run.
    """
    runs: dict[Path, Run] = {}
    unfinished: dict[Path, UnfinishedRun] = {}
    damaged: list[str] = []
    for folder in folders:
        if not folder.exists():
            raise UserError(f"{folder}: there is no such folder.")
        if not folder.is_dir():
            raise UserError(f"{folder} is a file: name the folder of a run, or of many.")
        for path in list_metrics_files(folder):
            if path.parent.resolve() not in runs:
                run = _try_read(partial(read_run, damaged=damaged), path.parent, damaged, None)
                runs |= {path.parent.resolve(): run} if run else {}
        unfinished |= (
            _find_unfinished_runs(folder, damaged) | unfinished | _find_failed_jobs(folder, damaged)
        )
    others = [job for path, job in unfinished.items() if path not in runs]
    damaged = list(dict.fromkeys(damaged))
    if not runs:
        raise UserError(_explain_no_runs(folders, others, damaged))
    found = FoundRuns(list(runs.values()), others, damaged)
    return found if tag is None else _select_by_tag(found, tag, folders)


def _select_by_tag(found: FoundRuns, tag: str, folders: Sequence[Path]) -> FoundRuns:
    """Return the runs with a tag.

    Raises:
        UserError: if no finished run has it.
    """
    runs = [run for run in found.runs if tag in run.tags]
    if not runs:
        tags = sorted({tag for run in found.runs for tag in run.tags})
        known = f"known tags are {', '.join(tags)}" if tags else "none has any tags"
        raise UserError(
            f"tag={tag}: no finished run in {', '.join(map(str, folders))} has this tag; {known}."
        )
    unfinished = [job for job in found.unfinished if tag in _read_tags(Path(job.name))]
    return FoundRuns(runs, unfinished, found.damaged)


def _read_tags(folder: Path) -> list[str]:
    """Return the tags of a run without a result."""
    path = folder / ".hydra" / "config.yaml"
    tags = _try_read(read_options, path, [], {}).get("tags") if path.exists() else None
    return list(map(str, tags)) if isinstance(tags, list) else []


def _explain_no_runs(
    folders: Sequence[Path], others: Sequence[UnfinishedRun], damaged: Sequence[str]
) -> str:
    text = f"{', '.join(map(str, folders))}: there is no finished run in it"
    if damaged:
        more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
        return f"{text}: {damaged[0]}{more}"
    if others:
        first = others[0]
        count = "the only job" if len(others) == 1 else f"the first of {len(others)} jobs"
        return f"{text}; {count}, {first.name}, is {first.status}: {first.reason}"
    return f"{text}."


def read_run(folder: Path, damaged: list[str]) -> Run:
    """Read a finished run; if its hydra.yaml is damaged, choices and overrides are missing.

    Args:
        damaged: list to which a sentence on a damaged hydra.yaml is added

    Raises:
        UserError: if its metrics.json is damaged or of another program.
    """
    metrics = read_run_metrics(folder / METRICS_FILE)
    path = folder / ".hydra" / "hydra.yaml"
    started = _try_read(read_hydra, path, damaged, ()) if path.exists() else ()
    return Run(folder, metrics, *started)


def find_sweep_command(folder: Path) -> str | None:
    """Return the command line of the sweep to which a run's folder belongs, or None."""
    for parent in list(folder.parents)[:2]:
        if (parent / SWEEP_FILE).exists():  # damage has been reported by `read_runs`
            return _try_read(read_sweep, parent / SWEEP_FILE, [], {}).get("command")
    return None


def _try_read(read: Callable[[Path], Any], path: Path, damaged: list[str], default: Any) -> Any:
    """Return `read(path)`; for a damaged file, add a sentence to `damaged`, return the default."""
    try:
        return read(path)
    except UserError as error:
        damaged.append(str(error))
        return default


def _find_failed_jobs(folder: Path, damaged: list[str]) -> dict[Path, UnfinishedRun]:
    """Find the jobs that a sweep.json lists as failed or pruned."""
    jobs = {}
    for path in sorted(folder.rglob(SWEEP_FILE)):
        for job in _try_read(read_sweep, path, damaged, {}).get("jobs", ()):
            if job["status"] != "finished":
                place = path.parent / job["folder"]
                reason = job.get("reason") or NO_REASON
                jobs[place.resolve()] = UnfinishedRun(str(place), job["status"], reason)
    return jobs


def _find_unfinished_runs(folder: Path, damaged: list[str]) -> dict[Path, UnfinishedRun]:
    """Find the runs that have started and have no result."""
    started = {}
    for config in sorted(folder.rglob(".hydra/config.yaml")):
        place = config.parent.parent
        if (place / METRICS_FILE).exists():
            continue
        options = _try_read(read_options, config, damaged, {})
        if options.get("mode", "train") == "train" and options.get("task") != "lm":
            started[place.resolve()] = UnfinishedRun(str(place), *_read_status(place, damaged))
    return started


def _read_status(folder: Path, damaged: list[str]) -> tuple[str, str]:
    """Return status and reason of a run without a result."""
    path = folder / RESULT_FILE
    outcome = _try_read(read_outcome, path, damaged, {}) if path.exists() else {}
    if outcome.get("status", "finished") == "finished":
        return "unfinished", INTERRUPTED
    return outcome["status"], outcome.get("reason") or NO_REASON
