"""Directions of metrics that are not defined in this package, by name; without numpy."""

from collections.abc import Mapping
from typing import Literal

Mode = Literal["min", "max"]
_modes: dict[str, Mode] = {}


def register_modes(modes: Mapping[str, Mode]) -> None:
    """Add the directions of the metrics of a run, from its settings or its metrics.json."""
    _modes.update(modes)


def get_custom_mode(metric: str) -> Mode | None:
    """Return "min" if a lower value of a metric is better, "max" if a higher is, None: unknown."""
    return _modes.get(metric)
