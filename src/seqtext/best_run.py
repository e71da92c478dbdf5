"""Find the best settings of a sweep, and compose new runs from them.

One rule is used by the summary of a sweep, by ``from_best=`` and by ``run=`` of predict.py, see
`select_best_settings`.
"""

import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os.path import commonprefix
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from omegaconf import DictConfig

from seqtext.config.groups import WITH_CHOICES
from seqtext.config.settings import apply_overrides, read_choices, to_run_config
from seqtext.config.stored_settings import check_stored_settings, replace_untrusted_paths
from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.identity import build_settings_key
from seqtext.metrics_file import read_metrics
from seqtext.run_dir import list_metrics_files

REQUIRED_ENTRIES = ("score", "monitor", "settings")
log = logging.getLogger(__name__)


class ScoredRun(NamedTuple):
    """A finished run.

    score, loss: monitored score and loss on the validation set; None if unknown
    key: text that is equal for runs that differ only in seed or fold
    """

    folder: Path
    monitor: str
    score: float | None
    loss: float | None
    settings: Mapping[str, Any]
    key: str

    @classmethod
    def build(
        cls, folder: Path, result: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> "ScoredRun":
        """Build from a result with monitor, score, loss and, if known, fingerprints and source."""
        key = build_settings_key(settings, result.get("fingerprints"), result.get("source"))
        text = json.dumps(key, sort_keys=True, default=str)
        return cls(folder, result["monitor"], result["score"], result["loss"], settings, text)

    @property
    def split(self) -> tuple[int, int]:
        """Return seed and fold of the split."""
        split = self.settings.get("split") or {}
        return split.get("seed") or 0, split.get("fold") or 0

    @property
    def repetition(self) -> tuple[int, int, int]:
        """Return seed, and seed and fold of the split."""
        return (self.settings.get("seed") or 0, *self.split)


class ScoredSettings(NamedTuple):
    """Finished runs that differ only in seed or fold, in this order."""

    runs: tuple[ScoredRun, ...]

    @property
    def score(self) -> float:
        """Return the mean validation score, or NaN if a run has none."""
        scores = [run.score for run in self.runs if run.score is not None]
        return fmean(scores) if len(scores) == len(self.runs) else math.nan

    @property
    def loss(self) -> float | None:
        """Return the mean validation loss, or None if a run has none."""
        losses = [run.loss for run in self.runs if run.loss is not None]
        return fmean(losses) if len(losses) == len(self.runs) else None

    @property
    def has_all_folds(self) -> bool:
        """Return whether every fold has a finished run, for each seed."""
        folds = (self.runs[0].settings.get("split") or {}).get("folds") or 1
        seeds = {run.repetition[:2] for run in self.runs}
        return len(self.runs) == folds * len(seeds)

    @property
    def best_run(self) -> ScoredRun:
        """Return the best run of the first fold: other folds have other validation rows."""
        first = [run for run in self.runs if run.split == self.runs[0].split]
        return _select_best([ScoredSettings((run,)) for run in first]).runs[0]

    def format_score(self) -> str:
        """Return monitor and mean, as "val/f1, 0.6731 ± 0.0368 over 5 folds" for several runs."""
        text = f"{self.runs[0].monitor}, {self.score:.4f}"
        if len(self.runs) == 1:
            return text
        columns = zip(*(run.repetition for run in self.runs), strict=True)
        nouns = zip(("seed", "split", "fold"), columns, strict=True)
        varying = [noun for noun, values in nouns if len({*values}) > 1]
        noun = varying[0] if len(varying) == 1 else "run"
        scores = [math.nan if run.score is None else run.score for run in self.runs]
        spread = math.nan if math.isnan(self.score) else stdev(scores)
        return f"{text} ± {spread:.4f} over {count_noun(len(self.runs), noun)}"

    def format_folders(self) -> str:
        """Return the run's folder, or a pattern that matches those of all runs."""
        folders = [str(run.folder) for run in self.runs]
        if len(folders) == 1:
            return folders[0]
        start = commonprefix(folders)  # noqa: RUF071 - of characters, not of components
        ends = [folder[len(start) :][::-1] for folder in folders]
        return f"{start}*{commonprefix(ends)[::-1]}"  # noqa: RUF071


class BestRun(NamedTuple):
    """Settings of the best finished run of a folder.

    choices: the choice of each configuration group
    description: a sentence that names the run and its score
    """

    settings: dict[str, Any]
    choices: dict[str, str]
    description: str


def compose_run_config(
    config: DictConfig, overrides: list[str], log_best: bool = False
) -> dict[str, Any]:
    """Return the composed settings, or the best run's settings with the overrides applied.

    Args:
        log_best: whether to log which run of ``from_best=`` is the best
    """
    if config.from_best is not None:
        best = read_best_run(config.from_best)
        if log_best:
            log.info("%s", best.description)
        kept = {f"{group}={choice}" for group, choice in best.choices.items()}
        replace_untrusted_paths(best.settings, config)
        changes = [override for override in overrides if override not in kept]
        return apply_overrides(changes, config, best.settings)
    return to_run_config(config)


def read_best_run(folder: str) -> BestRun:
    """Read the settings of the best run below a folder.

    Raises:
        UserError: as `find_best_run`, or if the stored settings are not plain values.
    """
    run, description = find_best_run(folder, "from_best")
    settings = dict(run.settings)
    try:
        check_stored_settings(settings)
    except UserError as error:
        raise UserError(f"{run.folder}/metrics.json cannot be used: {error}") from error
    settings |= {"tags": [], "notes": None, "label": None}  # those of the runs that were compared
    # Folds were only for model selection.
    settings["split"] = {**settings.get("split", {}), "folds": None, "fold": 0}
    choices = read_choices(run.folder)
    chosen = {group: choices[group] for group in WITH_CHOICES if choices.get(group)}
    return BestRun(settings, chosen, description)


def find_best_run(folder: str, option: str) -> tuple[ScoredRun, str]:
    """Find a run of the best settings below a folder, see `select_best_settings`.

    Of several seeds, it is the one with the best validation score; of several folds, the first.

    Args:
        option: command-line option that named the folder, for messages

    Returns:
        The run, and a sentence that names it and its score.

    Raises:
        UserError: if the folder does not exist, has no finished run, or its runs were monitored by
            different metrics.
    """
    path = Path(str(folder))
    if not str(folder).strip() or not path.is_dir():
        raise UserError(f"{option}={folder}: there is no such folder.")
    runs = list(iterate_finished_runs(path))
    if not runs:
        raise UserError(f"{option}={folder}: no run in this folder has finished.")
    monitors = {run.monitor for run in runs}
    if len(monitors) > 1:
        raise UserError(
            f"{option}={folder}: its runs were chosen by {' and '.join(sorted(monitors))}, which "
            f"cannot be compared; name a folder of runs with one monitor."
        )
    best = select_best_settings(runs)
    run = best.best_run
    score = best.format_score()
    return run, f"{option}={folder}: the best settings by {score}, are those of {run.folder}."


def iterate_finished_runs(folder: Path) -> Iterator[ScoredRun]:
    """Yield the finished runs in and below a folder, by name.

    Raises:
        UserError: if a metrics.json is damaged.
    """
    for file in list_metrics_files(folder):
        metrics = read_metrics(file, REQUIRED_ENTRIES)
        result = {**metrics, "loss": metrics.get("val", {}).get("loss")}
        yield ScoredRun.build(file.parent, result, metrics["settings"])


def select_best_settings(runs: Iterable[ScoredRun]) -> ScoredSettings:
    """Select the settings with the best mean validation score over their seeds and folds.

    Settings whose folds have all finished go first; if there are none, or if settings have
    unequal numbers of seeds, the means over the finished runs are compared. Ties are broken by
    the mean validation loss. A run without a score is never among the best, unless all are.

    Args:
        runs: one or more runs with one monitor; of runs with equal seed and fold, the last counts
    """
    members: dict[str, dict[tuple[int, int, int], ScoredRun]] = defaultdict(dict)
    for run in runs:
        members[run.key][run.repetition] = run
    groups = [
        ScoredSettings(tuple(run for _, run in sorted(group.items(), key=lambda item: item[0])))
        for group in members.values()
    ]
    return _select_best([group for group in groups if group.has_all_folds] or groups)


def _select_best(groups: Sequence[ScoredSettings]) -> ScoredSettings:
    from seqtext.metrics.definitions import is_better  # imports numpy, which `--help` does not need

    best: ScoredSettings | None = None
    for group in groups:
        if not math.isnan(group.score) and (
            best is None
            or is_better(group.score, best.score, group.runs[0].monitor, group.loss, best.loss)
        ):
            best = group
    return best or groups[0]
