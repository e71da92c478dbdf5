"""The best run of a sweep, and new runs with its settings."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from seqtext.configuration import changed_by, settings_in
from seqtext.options import UserError
from seqtext.results.direction import is_better
from seqtext.stored import check_stored_settings, replace_foreign_folders

GROUPS = ("dataset", "embedding", "model", "optimizer", "trainer")


class Winner(NamedTuple):
    """The best of a folder's finished runs.

    choices: of the configuration's groups
    """

    settings: dict[str, Any]
    choices: dict[str, str]


def settings_of_job(config: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """The settings of a run: those composed, or with ``best_of=`` a winner's, changed."""
    if config.best_of:
        best = winner(config.best_of)
        kept = {f"{group}={choice}" for group, choice in best.choices.items()}
        replace_foreign_folders(best.settings, config)
        changes = [override for override in overrides if override not in kept]
        return changed_by(changes, config, best.settings)
    return settings_in(config)


def winner(folder: str) -> Winner:
    """The settings of the best run below a folder.

    Raises:
        UserError: as `best_run`.
    """
    path, metrics = best_run(folder, "best_of")
    settings = metrics["settings"]
    try:
        check_stored_settings(settings)
    except UserError as error:
        raise UserError(f"{path}/metrics.json cannot be used: {error}") from error
    settings["split"] |= {"folds": None, "fold": 0}  # the folds were there to choose by
    return Winner(settings, _choices(path))


def best_run(folder: str, option: str) -> tuple[Path, dict[str, Any]]:
    """The best run below a folder, by validation score, and its metrics.json.

    Of folds the mean decides, and the first one is returned.

    Args:
        option: of the command line, that named the folder

    Raises:
        UserError: if there is no such folder, or nothing in it to choose by.
    """
    if not Path(folder).is_dir():
        raise UserError(f"{option}={folder}: there is no such folder.")
    runs = list(_finished_below(Path(folder)))
    if not runs:
        raise UserError(f"{option}={folder}: no run in this folder has finished.")
    monitors = {metrics["monitor"] for _, metrics in runs}
    if len(monitors) > 1:
        raise UserError(
            f"{option}={folder}: its runs were chosen by {' and '.join(sorted(monitors))}, which "
            f"cannot be compared; name a folder of runs with one monitor."
        )
    return _best(runs, monitors.pop())


def _finished_below(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(folder.rglob("metrics.json")):
        yield file.parent, json.loads(file.read_text())


def _best(runs: list[tuple[Path, dict]], monitor: str) -> tuple[Path, dict]:
    candidates = defaultdict(list)
    for path, metrics in runs:
        split = {k: v for k, v in metrics["settings"]["split"].items() if k != "fold"}
        candidates[json.dumps({**metrics["settings"], "split": split}, sort_keys=True)].append(
            (path, metrics)
        )
    whole = [c for c in candidates.values() if len(c) == _folds(c)] or list(candidates.values())
    best, score, best_loss = whole[0], None, None
    for candidate in whole:
        mean = fmean(metrics["score"] for _, metrics in candidate)
        loss = _mean_loss(candidate)
        if is_better(mean, score, monitor, loss, best_loss):
            best, score, best_loss = candidate, mean, loss
    return best[0]


def _mean_loss(candidate: list[tuple[Path, dict]]) -> float | None:
    """On the validation part; None where a run does not have it."""
    losses = [metrics.get("val", {}).get("loss") for _, metrics in candidate]
    return None if None in losses else fmean(losses)


def _folds(candidate: list[tuple[Path, dict]]) -> int:
    return candidate[0][1]["settings"]["split"].get("folds") or 1


def _choices(run: Path) -> dict[str, str]:
    file = run / ".hydra" / "hydra.yaml"
    if not file.exists():
        return {}
    stored = OmegaConf.to_container(OmegaConf.load(file))  # references are not looked up
    try:
        choices = stored["hydra"]["runtime"]["choices"]
        return {group: str(choices[group]) for group in GROUPS if choices.get(group)}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is damaged: it does not say what the run was made of.") from error
