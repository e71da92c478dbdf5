"""Write run folders like those of training, without training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from seqtext.metrics.predictions import Predictions

ROWS = 200  # of the test part
EPOCHS = 4
PROVENANCE = {
    "git_commit": "1234567890" * 4,
    "git_dirty": False,
    "versions": {"python": "3.11.9", "torch": "2.9.1", "lightning": "2.6.4", "numpy": "2.2"},
    "hardware": {"cpu": "AMD EPYC", "cores": 4, "usable_cores": 2, "gpus": []},
    "command": "python train.py",
}
TRAINED, CHOSEN = 800, 100  # rows of the other parts


def write_run(
    folder: Path,
    model: str = "gru",
    seed: int = 0,
    quality: float = 1.0,
    options: dict[str, Any] | None = None,
    classes: tuple[str, ...] = ("negative", "positive"),
    rows: range = range(ROWS),
    dataset: str = "imdb",
    monitor: str = "val/accuracy",
    choices: dict[str, str] | None = None,
    **facts: Any,
) -> Path:
    """A finished run; its logits are the truth times `quality`, and noise.

    Args:
        options: settings by dotted names, as if typed
        choices: of further configuration groups
        facts: other entries of metrics.json
    """
    options = options or {}
    rng = np.random.default_rng([seed, *map(ord, folder.name)])
    parts = {
        "val": _predictions(rng, range(1000, 1100), classes, quality),
        "test": _predictions(rng, rows, classes, quality),
    }
    for part, predictions in parts.items():
        path = folder / "predictions" / f"{part}.parquet"
        predictions.write(path, np.arange(max(predictions.rows) + 1))
    said = {part: predictions.compute_metrics() for part, predictions in parts.items()}
    seconds = 60 * rng.uniform(1, 2) * (1 + len(model) / 4)
    score = said["val"][monitor.removeprefix("val/")]
    metrics = {
        "dataset": dataset,
        "model": model,
        "monitor": monitor,
        "score": score,
        "best_epoch": EPOCHS - 1,
        "epochs": EPOCHS,
        "parameters": 1000 * len(str(options)),
        "seconds": {"preparation": 1.0, "training": seconds, "total": seconds + 2},
        "source": "invented.csv",
        "rows": {part: _count(classes, size) for part, size in _sizes(rows).items()},
        "settings": _settings(options, seed, dataset),
        "curves": _curves(said["val"]),
        "threshold": 0.5,
        **said,
        **facts,
    }
    typed = [f"model={model}", *(f"{name}={value}" for name, value in options.items())]
    hydra = {
        "runtime": {"choices": {"dataset": dataset, "model": model, **(choices or {})}},
        "overrides": {"task": [*typed, f"seed={seed}"]},
    }
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    (folder / ".hydra" / "config.yaml").write_text("{}")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2))
    return folder


def _count(classes: tuple[str, ...], size: int) -> dict[str, int]:
    """Return rows of each class that sum to `size`."""
    each, rest = divmod(size, len(classes))
    return {name: each + (number < rest) for number, name in enumerate(classes)}


def _sizes(rows: range) -> dict[str, int]:
    return {"train": TRAINED, "val": CHOSEN, "test": len(rows)}


def _predictions(rng, rows: range, classes: tuple[str, ...], quality: float) -> Predictions:
    numbers = np.array(rows)
    labels = numbers * 7 % 11 % len(classes)
    if len(classes) == 2:
        logits = quality * (2 * labels - 1) + rng.normal(0, 1, len(numbers))
    else:
        logits = quality * np.eye(len(classes))[labels]
        logits += rng.normal(0, 1, logits.shape)
    return Predictions(numbers, labels, torch.from_numpy(logits).float(), classes)


def _settings(options: dict[str, Any], seed: int, dataset: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "seed": seed,
        "paths": {"cache_dir": ".cache"},
        "dataset": {"_target_": _target(dataset), "dir": None, "batch_size": 32},
        "model": {"_target_": "y", "variational_dropout": 0.5},
        "split": {"seed": 42, "folds": None, "fold": 0},
    }
    for name, value in options.items():
        group, _, option = name.rpartition(".")
        (settings.setdefault(group, {}) if group else settings)[option] = value
    return settings


def _target(dataset: str) -> str:
    """Return the class that reads a data set."""
    name = {"imdb": "IMDB", "spam": "Spam", "clothing": "Clothing"}.get(dataset)
    return f"seqtext.data.{dataset}.{name}" if name else "seqtext.datasets.table.TableDataset"


def _curves(final: dict[str, float]) -> dict[str, list[float]]:
    steps = [(epoch + 1) / EPOCHS for epoch in range(EPOCHS)]
    rising = {f"val/{n}": [v * s**0.2 for s in steps] for n, v in final.items() if n != "loss"}
    losses = {
        f"{part}/loss": [final["loss"] * (2 - s) * factor for s in steps]
        for part, factor in (("train", 0.8), ("val", 1.0))
    }
    return rising | losses
