"""Group runs by data set: only runs on the same data are compared in a table."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from seqtext.reporting.runs import Run

DATA_PATH_OPTIONS = ("path", "dir", "val", "test")  # options of data sets that name files


class _Location(NamedTuple):
    """Identifies a data set by its settings, for runs without a fingerprint."""

    name: str
    target: str
    paths: tuple[str | None, ...]
    class_names: tuple[str, ...]


def group_by_dataset(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group runs by data set: its class, name, content of files, and classes.

    A run without a fingerprint of its data is identified by the paths of its files. It is grouped
    with runs that have these paths and a fingerprint, if they all have the same fingerprint.

    Returns:
        Runs by title, sorted. If several data sets have the same name, the difference (file,
        classes or fingerprint) is appended in brackets.
    """
    fingerprints = defaultdict(set)
    for run in runs:
        if found := _get_fingerprint(run):
            fingerprints[_get_location(run)].add(found)
    sets: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        location, fingerprint = _get_location(run), _get_fingerprint(run)
        known = fingerprints[location]
        if fingerprint is None and len(known) == 1:
            (fingerprint,) = known
        where = None if fingerprint else location.paths
        sets[location._replace(paths=()), where, fingerprint].append(run)
    members = list(sets.values())
    titled = zip(_build_titles([own[0] for own in members]), members, strict=True)
    return dict(sorted(titled, key=lambda item: item[0]))


def _get_location(run: Run) -> _Location:
    options = run.metrics["settings"].get("dataset") or {}
    paths = [options.get(option) for option in DATA_PATH_OPTIONS]
    return _Location(
        run.metrics["dataset"],
        str(options.get("_target_", "")),
        tuple(path if path is None else os.path.normpath(str(path)) for path in paths),
        _get_class_names(run),
    )


def _get_fingerprint(run: Run) -> str | None:
    """Return the digest of a run's data; None if it also covers stop words."""
    if (run.metrics["settings"].get("dataset") or {}).get("stopwords") is not None:
        return None
    return (run.metrics.get("fingerprints") or {}).get("data")


def _get_class_names(run: Run) -> tuple[str, ...]:
    return tuple((run.metrics.get("rows") or {}).get("train", ()))


def _build_titles(runs: Sequence[Run]) -> list[str]:
    """Build the titles of these data sets, given one run of each."""
    names = [run.metrics["dataset"] for run in runs]
    titles = list(names)
    for name in {name for name in names if names.count(name) > 1}:
        alike = [place for place, each in enumerate(names) if each == name]
        for place, words in zip(
            alike, _describe_differences([runs[n] for n in alike]), strict=True
        ):
            titles[place] = f"{name} ({words})"
    return titles


def _describe_differences(runs: Sequence[Run]) -> list[str]:
    """Describe how each data set differs from the others of its name."""
    facts: tuple[Callable[[Run], str], ...] = (
        lambda run: run.metrics.get("source") or "",
        lambda run: "classes " + ", ".join(_get_class_names(run)),
        lambda run: f"fingerprint {(_get_fingerprint(run) or 'unknown')[:8]}",
    )
    words = [""] * len(runs)
    for fact in facts:
        values = [fact(run) for run in runs]
        if len(set(values)) > 1:
            words = ["; ".join(filter(None, pair)) for pair in zip(words, values, strict=True)]
        if len(set(words)) == len(words):
            return words
    return ["; ".join(filter(None, (w, str(n)))) for n, w in enumerate(words, 1)]
