"""Build the metrics of the group `metrics`."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seqtext.config.instantiate import resolve_target
from seqtext.errors import UserError

if TYPE_CHECKING:
    from seqtext.metrics.custom import CustomMetrics


def build_custom_metrics(config: Any, classes: int, check: bool = True) -> "CustomMetrics | None":
    """Build the metrics that a run adds, or return None if there are none.

    Args:
        config: `_target_` and options of each metric, by its name
        classes: C; fills in `task` and `num_classes`
        check: whether to compute the metrics from invented predictions

    Raises:
        UserError: if a target is not allowed, an option is invalid, or a metric fails.
    """
    if not config:  # nothing is imported by default
        return None
    from seqtext.metrics.custom import CustomMetrics, build_metric, check_metrics

    metrics, has_threshold = {}, set()
    for name, options in config.items():
        if not isinstance(options, Mapping) or "_target_" not in options:
            raise UserError(
                f"metrics.{name} is not possible: it must name a class, as in "
                f"metrics.kappa._target_=torchmetrics.CohenKappa."
            )
        if not re.fullmatch(r"[A-Za-z]\w*", str(name)):
            raise UserError(f"metrics.{name} is not possible: a name has letters, digits and _.")
        kind = resolve_target("metrics", str(options["_target_"]))
        own = {option: value for option, value in options.items() if option != "_target_"}
        metrics[name], takes_classes = build_metric(name, kind, own, classes)
        has_threshold |= {name} if takes_classes else set()
    built = CustomMetrics(metrics, frozenset(has_threshold), classes)
    if check:
        check_metrics(built)
    return built
