"""Describe the code, the package versions and the machine behind the rows of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqtext.display import count_noun, make_printable
from seqtext.reporting.groups import RunGroup
from seqtext.reporting.runs import Run

NAMED_PACKAGES = ("python", "torch", "lightning")  # always named; others if they differ
COMMIT_LENGTH = 8  # characters shown
MAX_LABELS = 3  # rows named in a sentence
NAMES = {"python": "Python"}


def describe_provenance(groups: Sequence[RunGroup]) -> list[str]:
    """Describe how the runs of these groups were made, and warn where they differ.

    Returns:
        A sentence on what is equal, and one on each of code, versions and hardware that differs;
        none if no run has recorded it.
    """
    labelled = [(group.label, run) for group in groups for run in group.runs]
    labelled = [(label, run) for label, run in labelled if run.metrics.get("provenance")]
    if not labelled:
        return []
    packages = _find_differing_packages([run for _, run in labelled])
    equal: list[str] = []
    warnings: list[str] = []
    for kind, values, consequence in (
        ("code", [_describe_code(run) for _, run in labelled], "scores may differ for this reason"),
        (
            "package versions",
            [_describe_versions(run, packages) for _, run in labelled],
            "scores may differ for this reason",
        ),
        ("hardware", [_describe_hardware(run) for _, run in labelled], "compare no times"),
    ):
        rows: dict[str, list[str]] = {}
        for value, (label, _) in zip(values, labelled, strict=True):
            if value:
                rows.setdefault(value, []).append(label)
        if len(rows) > 1:
            each = "; ".join(f"{value} ({_list_labels(labels)})" for value, labels in rows.items())
            warnings.append(f"Rows differ in {kind}, so {consequence}: {each}.")
        else:
            equal += rows
    sentences = [f"Made with {'; '.join(equal)}."] if equal else []
    return [make_printable(sentence) for sentence in (*sentences, *warnings)]


def _find_differing_packages(runs: Sequence[Run]) -> list[str]:
    """Return the packages whose versions differ, or `NAMED_PACKAGES` if none does."""
    versions = [_get_section(run, "versions") for run in runs]
    names = dict.fromkeys(name for each in versions for name in each)
    differing = [n for n in names if len({each[n] for each in versions if n in each}) > 1]
    return differing or [name for name in NAMED_PACKAGES if name in names]


def _describe_code(run: Run) -> str:
    provenance = run.metrics["provenance"]
    commit, is_dirty = provenance.get("git_commit"), provenance.get("git_dirty")
    if commit is None:
        return ""
    return f"commit {commit[:COMMIT_LENGTH]}" + (" and uncommitted changes" if is_dirty else "")


def _describe_versions(run: Run, packages: Sequence[str]) -> str:
    versions = _get_section(run, "versions")
    return ", ".join(
        f"{NAMES.get(n, n)} {versions[n] or 'none'}" for n in packages if n in versions
    )


def _describe_hardware(run: Run) -> str:
    hardware = _get_section(run, "hardware")
    trainer = run.metrics["settings"].get("trainer")
    is_on_cpu = isinstance(trainer, Mapping) and trainer.get("accelerator") == "cpu"
    gpus = [] if is_on_cpu else [str(gpu["name"]) for gpu in hardware.get("gpus") or ()]
    if gpus:
        return ", ".join(
            f"{gpus.count(name)} × {name}" if gpus.count(name) > 1 else name
            for name in dict.fromkeys(gpus)
        )
    cores = hardware.get("usable_cores") or hardware.get("cores")
    known = [hardware.get("cpu"), cores and count_noun(cores, "core")]
    return ", ".join(filter(None, known))


def _list_labels(labels: Sequence[str]) -> str:
    names = list(dict.fromkeys(labels))
    more = [f"{len(names) - MAX_LABELS} more rows"] if len(names) > MAX_LABELS else []
    return ", ".join([*names[:MAX_LABELS], *more])


def _get_section(run: Run, name: str) -> Mapping[str, Any]:
    return run.metrics["provenance"].get(name) or {}
