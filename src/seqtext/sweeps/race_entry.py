"""An entry of a race: its settings, the budget of its search, and its best trial."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler

from seqtext.metrics.definitions import is_better
from seqtext.sweeps.job import Job, JobResult

MAX_DRAWS = 20  # draws of settings that were not tried yet


@dataclass
class Budget:
    """Limits of each entry's search.

    trials: number of training runs
    seconds: total time of these runs; None: no limit
    """

    trials: int
    seconds: float | None


class RaceTrial(NamedTuple):
    """A finished trial, with the searched settings as overrides."""

    settings: tuple[str, ...]
    job: Job
    result: JobResult


@dataclass
class RaceEntry:
    """Draws the settings of an entry's trials at random (Bergstra and Bengio, 2012).

    The first trial has the entry's default settings. The draws depend only on the entry's name, so
    that a race that is continued has the same trials.

    Attributes:
        name: name in tables
        fixed: overrides of all trials
        space: options that are searched
        trials: finished trials
        failed: whether a trial failed, after which there are no others
    """

    name: str
    fixed: Sequence[str]
    space: dict[str, BaseDistribution]
    trials: list[RaceTrial] = field(default_factory=list)
    failed: bool = False

    def __post_init__(self) -> None:
        seed = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4])
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(sampler=RandomSampler(seed))
        self._tried: set[tuple[str, ...]] = set()

    @property
    def seconds(self) -> float:
        """Return the total time of the trials."""
        return sum(trial.result.seconds for trial in self.trials)

    def draw_settings(self, budget: Budget) -> tuple[str, ...] | None:
        """Return the searched overrides of the next trial, none for the first one.

        Returns:
            None if the budget does not suffice for a trial as long as the mean of the earlier ones,
            or all settings have been tried.
        """
        if self.failed or len(self._tried) >= budget.trials:
            return None
        if not self._tried:
            self._tried.add(())
            return ()
        expected = self.seconds * (1 + 1 / max(len(self.trials), 1))
        if not self.space or (budget.seconds is not None and expected > budget.seconds):
            return None
        for _ in range(MAX_DRAWS):
            drawn = self._study.ask(self.space).params
            overrides = tuple(f"{option}={_format(value)}" for option, value in drawn.items())
            if overrides not in self._tried:
                self._tried.add(overrides)
                return overrides
        return None

    def record(self, trial: RaceTrial) -> None:
        """Record a trial that has ended."""
        if trial.result.status == "finished":
            self.trials.append(trial)
        else:
            self.failed = True

    def find_best_trial(self, monitor: str) -> RaceTrial | None:
        """Return the best trial by validation score, ties by the loss; None if none has a score."""
        best: RaceTrial | None = None
        for trial in self.trials:
            score, loss = trial.result.score, trial.result.loss
            if score is None or math.isnan(score):
                continue
            if best is None or is_better(score, best.result.score, monitor, loss, best.result.loss):
                best = trial
        return best


def _format(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
