"""Finished and unfinished runs, as their folders tell of them; logs are never read."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from seqtext.options import UserError

FACTS = ("dataset", "model", "monitor", "val", "test", "seconds", "parameters", "settings")
SWEEP = "sweep.json"
PROBABILITY = "probability_"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some 40 times as fast, where it is built


@dataclass(frozen=True)
class Said:
    """What a run said of its test part; N rows, in the order of their numbers.

    rows: [N] numbers in the source
    labels, predicted: [N] classes
    probabilities: [N, C]
    """

    rows: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A finished run.

    metrics: the content of metrics.json
    choices: of configuration groups, such as ``embedding: glove``; without Hydra's own
    overrides: as they stood on the command line
    """

    path: Path
    metrics: dict[str, Any]
    choices: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """Of the starting values."""
        return self.metrics["settings"].get("seed", 0)

    @property
    def split(self) -> tuple[int, int]:
        """Seed and fold of the rows."""
        split = self.metrics["settings"].get("split", {})
        return split.get("seed", 0), split.get("fold", 0)

    @property
    def command(self) -> str:
        """What starts this run again."""
        return " ".join(["python train.py", *map(shlex.quote, self.overrides)])

    def rows(self, part: str) -> int:
        """How many rows a part has; 0 where the run does not say."""
        return sum(self.metrics.get("rows", {}).get(part, {}).values())

    @cached_property
    def said(self) -> Said | None:
        """The test part's predictions; None if there is no such file."""
        path = self.path / "predictions" / "test.parquet"
        return _said(pd.read_parquet(path).sort_values("row")) if path.exists() else None


class Unfinished(NamedTuple):
    """A job without results.

    status: "failed", "pruned", or "unfinished" (interrupted, or still running)
    """

    name: str
    status: str
    reason: str


def read_runs(folders: Sequence[Path]) -> tuple[list[Run], list[Unfinished]]:
    """All runs in and below these folders.

    Raises:
        UserError: if a folder is missing, a metrics.json is damaged, or there is no finished run.
    """
    runs: dict[Path, Run] = {}
    unfinished: dict[Path, Unfinished] = {}
    for folder in folders:
        if not folder.exists():
            raise UserError(f"{folder}: there is no such folder.")
        for path in sorted(folder.rglob("metrics.json")):
            runs.setdefault(path.parent.resolve(), read_run(path.parent))
        unfinished |= _begun(folder) | unfinished | _told_by_sweeps(folder)
    if not runs:
        raise UserError(f"{', '.join(map(str, folders))}: there is no finished run in it.")
    others = [job for path, job in unfinished.items() if path not in runs]
    return list(runs.values()), others


def read_run(folder: Path) -> Run:
    """A finished run.

    Raises:
        UserError: if its metrics.json is damaged, or another program's.
    """
    path = folder / "metrics.json"
    metrics = _read_json(path)
    if missing := [fact for fact in FACTS if fact not in metrics]:
        raise UserError(f"{path} is no result of a run: it says nothing of {', '.join(missing)}.")
    hydra = _hydra(folder)
    chosen = hydra.get("runtime", {}).get("choices", {})
    choices = {k: str(v) for k, v in chosen.items() if v and not k.startswith("hydra/")}
    return Run(folder, metrics, choices, tuple(hydra.get("overrides", {}).get("task", ())))


def sweep_command(folder: Path) -> str | None:
    """The command line of the sweep that a run's folder, or its trial's, belongs to."""
    for parent in list(folder.parents)[:2]:
        if (parent / SWEEP).exists():
            return _read_json(parent / SWEEP).get("command")
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: delete it, and run that again.") from error


def _hydra(folder: Path) -> dict[str, Any]:
    path = folder / ".hydra" / "hydra.yaml"
    return _read_yaml(path).get("hydra", {}) if path.exists() else {}


def _read_yaml(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text("utf-8"), Loader) or {}


def _told_by_sweeps(folder: Path) -> dict[Path, Unfinished]:
    jobs = {}
    for path in sorted(folder.rglob(SWEEP)):
        for job in _read_json(path).get("jobs", ()):
            if job["status"] != "finished":
                place = path.parent / job["folder"]
                reason = job.get("reason") or "no reason is known"
                jobs[place.resolve()] = Unfinished(str(place), job["status"], reason)
    return jobs


def _begun(folder: Path) -> dict[Path, Unfinished]:
    """Folders of runs that have begun and not ended."""
    begun = {}
    for config in sorted(folder.rglob(".hydra/config.yaml")):
        place = config.parent.parent
        if not (place / "metrics.json").exists() and not _read_yaml(config).get("describe"):
            reason = "interrupted, or still running"
            begun[place.resolve()] = Unfinished(str(place), "unfinished", reason)
    return begun


def _said(table: pd.DataFrame) -> Said:
    columns = [name for name in table if name.startswith(PROBABILITY)]
    names = [name.removeprefix(PROBABILITY) for name in columns]
    number = {name: position for position, name in enumerate(names)}
    return Said(
        table["row"].to_numpy(),
        table["label"].map(number).to_numpy(),
        table["prediction"].map(number).to_numpy(),
        table[columns].to_numpy(),
        tuple(names),
    )
