"""Find the best run of a sweep, and compose new runs from its settings."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from omegaconf import DictConfig

from seqtext.config.groups import WITH_CHOICES
from seqtext.config.settings import apply_overrides, read_choices, to_run_config
from seqtext.config.stored_settings import check_stored_settings, replace_untrusted_paths
from seqtext.errors import UserError
from seqtext.identity import build_run_key
from seqtext.metrics_file import METRICS_FILE, read_metrics

REQUIRED_ENTRIES = ("score", "monitor", "settings")

Candidate = list[tuple[Path, dict[str, Any]]]  # runs that differ in their fold only


class BestRun(NamedTuple):
    """Hold the best finished run of a folder.

    choices: the choice of each configuration group
    """

    settings: dict[str, Any]
    choices: dict[str, str]


def compose_run_config(config: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """Return the composed settings, or the best run's settings with the overrides applied."""
    if config.from_best is not None:
        best = read_best_run(config.from_best)
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
    path, metrics = find_best_run(folder, "from_best")
    settings = metrics["settings"]
    try:
        check_stored_settings(settings)
    except UserError as error:
        raise UserError(f"{path}/metrics.json cannot be used: {error}") from error
    # Folds were only for model selection.
    settings["split"] = {**settings.get("split", {}), "folds": None, "fold": 0}
    choices = read_choices(path)
    return BestRun(
        settings, {group: choices[group] for group in WITH_CHOICES if choices.get(group)}
    )


def find_best_run(folder: str, option: str) -> tuple[Path, dict[str, Any]]:
    """Find the best run below a folder, by validation score, and read its metrics.json.

    Runs that differ only in their fold are compared by their mean score; the first is returned.

    Args:
        option: command-line option that named the folder, for error messages

    Raises:
        UserError: if the folder does not exist, has no finished run, or its runs were monitored by
            different metrics.
    """
    path = Path(str(folder))
    if not str(folder).strip() or not path.is_dir():
        raise UserError(f"{option}={folder}: there is no such folder.")
    runs = list(_iter_finished_runs(path))
    if not runs:
        raise UserError(f"{option}={folder}: no run in this folder has finished.")
    monitors = {metrics["monitor"] for _, metrics in runs}
    if len(monitors) > 1:
        raise UserError(
            f"{option}={folder}: its runs were chosen by {' and '.join(sorted(monitors))}, which "
            f"cannot be compared; name a folder of runs with one monitor."
        )
    return _select_best_run(runs, monitors.pop())


def _iter_finished_runs(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(folder.rglob(METRICS_FILE)):
        yield file.parent, read_metrics(file, REQUIRED_ENTRIES)


def _select_best_run(runs: Candidate, monitor: str) -> tuple[Path, dict[str, Any]]:
    """Return the first run of the best candidate; candidates with all their folds go first."""
    from seqtext.metrics.definitions import is_better  # imports numpy, which `--help` does not need

    candidates = list(_group_folds(runs))
    whole = [c for c in candidates if len(c) == _get_num_folds(c)] or candidates
    best, best_score, best_loss = whole[0], None, None
    for candidate in whole:
        score, loss = _mean_score(candidate), _mean_loss(candidate)
        if not math.isnan(score) and is_better(score, best_score, monitor, loss, best_loss):
            best, best_score, best_loss = candidate, score, loss
    return best[0]


def _group_folds(runs: Candidate) -> Iterator[Candidate]:
    """Yield groups of runs that differ only in their fold; of a repeated run, only the last."""
    members: dict[str, dict[int, tuple[Path, dict[str, Any]]]] = defaultdict(dict)
    for path, metrics in runs:
        what = build_run_key(
            metrics["settings"], metrics.get("fingerprints"), metrics.get("source")
        )
        fold = what.pop("split.fold", None) or 0
        members[json.dumps(what, sort_keys=True)][fold] = path, metrics
    for folds in members.values():
        yield [folds[fold] for fold in sorted(folds)]


def _mean_loss(candidate: Candidate) -> float | None:
    """Return the mean validation loss, or None if a run has none."""
    losses = [metrics.get("val", {}).get("loss") for _, metrics in candidate]
    return None if None in losses else fmean(losses)


def _mean_score(candidate: Candidate) -> float:
    """Return the mean validation score, or NaN if a run has none."""
    scores = [metrics["score"] for _, metrics in candidate]
    return math.nan if None in scores else fmean(scores)


def _get_num_folds(candidate: Candidate) -> int:
    return candidate[0][1]["settings"].get("split", {}).get("folds") or 1
