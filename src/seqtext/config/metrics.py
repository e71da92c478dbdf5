"""Build the metrics of the group `metrics`, and check the monitored metric."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seqtext.config.instantiate import resolve_target
from seqtext.errors import UserError
from seqtext.metrics.custom_modes import register_modes
from seqtext.metrics.definitions import PART_PREFIX
from seqtext.metrics.scores import list_common_metrics, list_metrics

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
        kind = resolve_target("metrics", str(options["_target_"]), name)
        own = {option: value for option, value in options.items() if option != "_target_"}
        metrics[name], takes_classes = build_metric(name, kind, own, classes)
        has_threshold |= {name} if takes_classes else set()
    built = CustomMetrics(metrics, frozenset(has_threshold), classes)
    if check:
        check_metrics(built)
    return built


def register_custom_metrics(config: Any, monitor: str) -> tuple[str, ...]:
    """Register whether a higher value of each metric is better; return the metrics' names.

    Raises:
        UserError: as `build_custom_metrics`, or if the monitored metric does not say it.
    """
    metrics = build_custom_metrics(config, classes=2, check=False)
    if metrics is None:
        return ()
    register_modes(metrics.modes)
    monitored = metrics.metrics.get(monitor.removeprefix("val/"))
    if monitored is not None and monitored.higher_is_better is None:
        raise UserError(
            f"monitor={monitor} is not possible: {type(monitored).__name__} does not say "
            f"whether a higher value is better (higher_is_better)."
        )
    return tuple(metrics.metrics)


def check_monitor(
    monitor: str,
    custom_metrics: Sequence[str],
    class_names: Sequence[str] | None,
    is_ordinal: bool = False,
) -> None:
    """Raise if there is no such metric, or a custom metric has the name of another one.

    Args:
        class_names: None: unknown, so that the metric may be the recall of any class
        is_ordinal: whether the classes are ordered
    """
    built_in = list_common_metrics()
    if class_names is not None:
        built_in = list_metrics(class_names, is_ordinal=is_ordinal)
    for name in custom_metrics:
        if name in built_in:
            raise UserError(f"metrics.{name} is computed already: give it another name.")
    names = [*built_in, *custom_metrics]
    known = [f"val/{name}" for name in names]
    is_any_recall = class_names is None and monitor.startswith("val/recall_")
    if monitor in known or is_any_recall:
        return
    wanted = PART_PREFIX.sub("", monitor)
    near = [name for name in names if wanted and name.startswith(wanted)]
    near = near or difflib.get_close_matches(wanted, names, n=1)
    hint = f"did you mean val/{near[0]}? Known" if near else "known"
    if class_names is None:
        known.append("val/recall_<class>")
    raise UserError(f"monitor={monitor} is not possible: {hint} are {', '.join(known)}.")
