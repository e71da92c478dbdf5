"""Group runs that differ only in seed or fold."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import fmean, stdev
from typing import Any

from seqtext.config.groups import LISTS
from seqtext.config.settings import flatten_options
from seqtext.display import make_printable
from seqtext.identity import (
    OPTIONS_NOT_COMPARED,
    OPTIONS_WITHOUT_EFFECT,
    PATH_OPTIONS,
    PATH_OPTIONS_BY_CONTENT,
    REPETITION_OPTIONS,
    build_settings_key,
)
from seqtext.metrics.definitions import get_metric_mode
from seqtext.reporting.run_files import LoadedPredictions
from seqtext.reporting.runs import EnsembleRun, Run

TARGET_GROUPS = ("loss", "optimizer", "scheduler", "tokenizer", "embedding")
NOT_IN_LABELS = ("dataset", "model", "trainer", "metrics", "debug", *LISTS)
NAMED_LISTS = ("callbacks", "objectives")  # of objects that change the result
BASELINE_MODEL = "tfidf"  # the reference model of every table


@dataclass(frozen=True)
class RunGroup:
    """Runs of the same settings, one per seed and fold.

    settings: settings that differ between groups, in the order of `label`
    """

    label: str
    settings: dict[str, Any]
    runs: tuple[Run, ...]

    @property
    def model(self) -> str:
        """Return the name of the architecture."""
        return self.runs[0].metrics["model"]

    @property
    def is_baseline(self) -> bool:
        """Return whether this is the baseline that every table shows."""
        return self.model == BASELINE_MODEL

    @property
    def members(self) -> list[Run]:
        """Return the runs that an ensemble averages; of other groups, an empty list."""
        return [one for run in self.runs if isinstance(run, EnsembleRun) for one in run.members]

    @property
    def is_ensemble(self) -> bool:
        """Return whether this is a mean of probabilities of runs of other groups."""
        return bool(self.members)

    @property
    def predictions(self) -> list[LoadedPredictions]:
        """Return the test predictions of every run; an empty list if any run has none."""
        known = [run.predictions for run in self.runs if run.predictions is not None]
        return known if len(known) == len(self.runs) else []

    def values(self, *keys: str) -> list[float]:
        """Return the values of an entry of the runs' metrics.json, e.g. ``values("test", "f1")``.

        Missing, null and non-finite values are skipped, such as the recall of a class without test
        rows.
        """
        found = []
        for run in self.runs:
            value: Any = run.metrics
            for key in keys:
                value = value.get(key) if isinstance(value, Mapping) else None
            found += [] if value is None or not isfinite(value) else [float(value)]
        return found

    def mean(self, *keys: str) -> float | None:
        """Return the mean over seeds and folds; None if no run has a value."""
        return fmean(values) if (values := self.values(*keys)) else None

    def std(self, *keys: str) -> float | None:
        """Return the standard deviation over seeds and folds; None for fewer than two values."""
        return stdev(values) if len(values := self.values(*keys)) > 1 else None


def choose_main_metric(runs: Sequence[Run]) -> str:
    """Return the metric that most runs monitored, without its part, if all test parts have it.

    A test part without rows of a class has no recall of that class; all have an accuracy.
    """
    counts = Counter(run.metrics["monitor"].removeprefix("val/") for run in runs)
    names = [name for name, _ in counts.most_common()]
    return next((n for n in names if all(n in run.metrics["test"] for run in runs)), "accuracy")


def group_runs(runs: Sequence[Run], metric: str) -> tuple[list[RunGroup], int]:
    """Group runs of one data set that differ only in seed or fold, best by validation first.

    Of runs with equal settings, seed and fold, only the last by name is used: a repeated run adds
    no information about the spread.

    Returns:
        The groups, and the number of repeated runs that were left out.
    """
    found: dict[str, dict[Any, Run]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: str(run.path)):
        found[json.dumps(_build_identity(run), sort_keys=True, default=str)][
            run.seed, run.split
        ] = run
    members = [tuple(group.values()) for group in found.values()]
    labelled: list[RunGroup] = []
    for reference in (False, True):  # separately: most options do not apply to the reference
        own = [m for m in members if (m[0].metrics["model"] == BASELINE_MODEL) == reference]
        distinguishing = _find_distinguishing_settings([group[0] for group in own])
        labels = [format_label(settings) for settings in distinguishing]
        if len(set(labels)) < len(labels):
            labels = [format_label(settings, exact=True) for settings in distinguishing]
        labels = [_get_own_label(m) or label for m, label in zip(own, labels, strict=True)]
        labelled += map(RunGroup, labels, distinguishing, own)
    labelled = _number_equal_labels(labelled)
    return sort_by_validation(labelled, metric), len(runs) - sum(map(len, members))


def sort_by_validation(groups: Sequence[RunGroup], metric: str) -> list[RunGroup]:
    """Sort by mean validation score, best first, then groups without a score."""
    sign = 1 if get_metric_mode(metric) == "min" else -1

    def place(group: RunGroup) -> tuple[bool, float, float]:
        score = group.mean("val", metric)
        loss = group.mean("val", "loss")  # tie-breaker, as in `is_better`
        is_unknown = score is None
        return is_unknown, sign * (score or 0.0), inf if loss is None else loss

    return sorted(groups, key=place)


def _get_own_label(runs: Sequence[Run]) -> str | None:
    """Return the label that the runs of a group were given by ``label=``, or None."""
    label = runs[0].metrics["settings"].get("label")
    return None if label is None else make_printable(label)


def _number_equal_labels(groups: Sequence[RunGroup]) -> list[RunGroup]:
    """Number equal labels, as ``gru`` and ``gru (2)``: figures join equal
    names."""
    seen: Counter[str] = Counter()
    numbered = []
    for group in groups:
        seen[group.label] += 1
        again = f" ({seen[group.label]})" if seen[group.label] > 1 else ""
        numbered.append(replace(group, label=group.label + again))
    return numbered


def format_label(settings: Mapping[str, Any], exact: bool = False) -> str:
    """Return a label such as ``gru units=64 lr=0.01``; model and experiment are values only.

    Args:
        exact: whether to show fractions with all digits, else with three
    """
    last = Counter(name.rpartition(".")[2] for name in settings)
    words = []
    for name, value in settings.items():
        short = name.rpartition(".")[2]
        if value == NO_VALUE:
            continue
        if name == "experiment":
            words.append(str(value).rpartition("/")[2])
        elif name == "model":
            words.append(str(value))
        else:
            text = (
                f"{value:.3g}" if isinstance(value, float) and not exact else format_setting(value)
            )
            words.append(f"{short if last[short] == 1 else name}={text}")
    return " ".join(dict.fromkeys(words))


def format_setting(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.replace(" ", "")


NO_VALUE = "–"  # value of an option that a model does not have


def _build_identity(run: Run) -> list[Any]:
    metrics = run.metrics
    fingerprints, source = metrics.get("fingerprints"), metrics.get("source")
    label = metrics["settings"].get("label")  # of one's own: distinguishes equal settings
    return [metrics["model"], label, build_settings_key(metrics["settings"], fingerprints, source)]


def _find_distinguishing_settings(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return for each run the settings that distinguish it from the others.

    These are the model and other differing choices of groups (embedding, …), then options
    that differ under equal choices, and typed overrides. Defaults implied by a choice are omitted.
    """
    settings = _collect_label_options(runs)
    names = ["model", *_find_differing([_get_choices(run) for run in runs])]
    choices = [{name: _get_choices(run).get(name, NO_VALUE) for name in names} for run in runs]
    keys = {o.lstrip("+~").partition("=")[0] for run in runs for o in run.overrides}
    typed = {key.removesuffix("._target_") for key in keys}
    alike = defaultdict(list)
    for choice, options in zip(choices, settings, strict=True):
        alike[tuple(choice.values())].append(options)
    differing = set().union(*(_find_differing(options) for options in alike.values()))
    differing |= {name for name in _find_differing(settings, absent=False) if name in typed}
    differing |= {*PATH_OPTIONS_BY_CONTENT, *PATH_OPTIONS} & {
        *_find_differing(settings)
    }  # they identify content
    order = [name for name in dict.fromkeys(n for s in settings for n in s) if name in differing]
    order = [name for name in order if name not in REPETITION_OPTIONS]
    order.sort(key=lambda name: not name.startswith("model."))
    return [
        choice | {name: options.get(name, NO_VALUE) for name in order}
        for choice, options in zip(choices, settings, strict=True)
    ]


def _collect_label_options(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the options of each run that its label may contain.

    If runs read different data or word vectors, this includes the options that name the files, or a
    digest of the content if files of different content have the same names.
    """
    collected = [flatten_options(run.metrics["settings"], OPTIONS_NOT_COMPARED) for run in runs]
    for run, options in zip(runs, collected, strict=True):
        pooling = (run.metrics["settings"].get("model") or {}).get("pooling")
        if isinstance(pooling, Mapping):
            options["model.pooling"] = _get_class_name(pooling)
    for content, files in PATH_OPTIONS_BY_CONTENT.items():
        digests = [str((run.metrics.get("fingerprints") or {}).get(content)) for run in runs]
        if len({*digests} - {"None"}) < 2:  # runs without any differ by an option
            continue
        names = [_get_file_options(run, files) for run in runs]
        pairs = set(zip(map(format_setting, names), digests, strict=True))
        is_distinct = len({name for name, _ in pairs}) == len(pairs)
        for options, named, digest in zip(collected, names, digests, strict=True):
            options.update(named if is_distinct else {content: digest[:8]})
    return collected


def _get_file_options(run: Run, options: Sequence[str]) -> dict[str, Any]:
    named = flatten_options(run.metrics["settings"], OPTIONS_WITHOUT_EFFECT)
    return {name: named[name] for name in options if named.get(name) is not None}


def _get_choices(run: Run) -> dict[str, str]:
    """Return the choices of a run that change its result; classes of one's own by their names."""
    settings = run.metrics["settings"]
    own = {name: v for name, v in run.choices.items() if name not in NOT_IN_LABELS}
    typed = {o.lstrip("+~").partition("._target_=")[0] for o in run.overrides if "._target_=" in o}
    own |= {group: _get_class_name(settings[group]) for group in TARGET_GROUPS if group in typed}
    for group in NAMED_LISTS:
        if named := settings.get(group):
            own[group] = "+".join(name for name in named if named[name])
    return {"model": run.metrics["model"], **own}


def _get_class_name(options: Mapping[str, Any]) -> str:
    return str(options.get("_target_")).rpartition(".")[2]


def _find_differing(settings: Sequence[Mapping[str, Any]], absent: bool = True) -> list[str]:
    """Return the names with more than one value; `absent`: a missing name is a value too."""
    names = dict.fromkeys(name for each in settings for name in each)
    values = {
        name: {
            format_setting(each.get(name, NO_VALUE)) for each in settings if absent or name in each
        }
        for name in names
    }
    return [name for name in names if len(values[name]) > 1]
