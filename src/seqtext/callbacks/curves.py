"""The curves of metrics.json."""

from collections.abc import Mapping
from typing import Any

NO_CURVES = ("train/samples_per_second",)  # a time: it differs after a resume


def append_curves(
    curves: dict[str, list[float | None]], metrics: Mapping[str, Any], epoch: int = 0
) -> None:
    """Append an epoch's scalars to the curves of metrics.json, rounded to 6 digits.

    A curve has None for an earlier epoch without the score, e.g. if its training batches contained
    no rows of a class.

    Args:
        epoch: index of the epoch, from 0
    """
    for name, value in metrics.items():
        if name.startswith(("train/", "val/")) and name not in NO_CURVES:
            curve = curves.setdefault(name, [])
            curve += [None] * (epoch - len(curve))
            curve.append(float(f"{float(value):.6g}"))
