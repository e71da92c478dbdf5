"""Compare runs by the options that can change a result, and by the content of their files.

Two paths may lead to the same content, and the content of a path may change. So options that name
files are not compared; digests of the content are. `metrics.json` has them under "fingerprints":

- "data": digest of the texts, labels and parts that were read, and of the stop words
- "vectors": digest of the vocabulary's word vectors; null without pretrained vectors
- "files": digests of the files behind "data" and "vectors". If they are equal, so is the content,
  and the files need not be parsed; different files may have equal content (renamed or compressed).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

PATH_OPTIONS_BY_CONTENT = {  # options that name files, by the key of their content's fingerprint
    "data": ("dataset.dir", "dataset.path", "dataset.val", "dataset.test", "dataset.stopwords"),
    "vectors": ("embedding.path", "dataset.unlabelled"),
}
PATH_OPTIONS = tuple(option for options in PATH_OPTIONS_BY_CONTENT.values() for option in options)
OPTIONS_WITHOUT_EFFECT = (  # on scores, except rounding
    *("checkpoint_minutes", "dataset.download", "embedding.download"),
    *("model.download", "tokenizer.download"),
    *("trainer.accelerator", "trainer.profiler", "tags", "notes", "label", "baseline"),
)
GROUPS_WITHOUT_EFFECT = ("logger.", "paths.")
OPTIONS_NOT_COMPARED = (*PATH_OPTIONS, *OPTIONS_WITHOUT_EFFECT)
FOLDER_OPTIONS = ("paths.data_dir", "paths.output_dir", "paths.cache_dir")
REPETITION_OPTIONS = ("seed", "split.seed", "split.fold")  # may differ in runs of equal settings
MISSING_OPTION = "absent"
CONTENT_NAMES = {"data": "data", "vectors": "word vectors"}

Fingerprints = Mapping[str, Any]


def is_compared(option: str) -> bool:
    """Return whether an option can change a result."""
    return option not in OPTIONS_NOT_COMPARED and not option.startswith(GROUPS_WITHOUT_EFFECT)


def find_first_difference(
    stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """Return the first option that differs between two settings, and both values.

    Options that cannot change a result, and those that name files, may differ.
    """
    one, other = dict(flatten_settings(stored)), dict(flatten_settings(wanted))
    for option in dict.fromkeys([*other, *one]):
        values = one.get(option, MISSING_OPTION), other.get(option, MISSING_OPTION)
        if is_compared(option) and values[0] != values[1]:
            return option, *values
    return None


def find_changed_content(
    stored: Fingerprints,
    files: Mapping[str, str | None],
    read: Callable[[], Fingerprints],
) -> str | None:
    """Return which content has changed since a run, "data" or "word vectors", or None.

    Args:
        stored: complete fingerprints of the run
        files: digests of the files as they are now
        read: reads the content and returns its fingerprints; called only if the files changed
    """
    if stored["files"] == files:
        return None
    now = read()
    return next((name for key, name in CONTENT_NAMES.items() if stored[key] != now[key]), None)


def has_all_fingerprints(fingerprints: Any) -> bool:
    """Return whether a run recorded the fingerprints of all that it read."""
    return (
        isinstance(fingerprints, Mapping)
        and {*CONTENT_NAMES, "files"} <= fingerprints.keys()
        and isinstance(fingerprints["files"], Mapping)
    )


def build_run_key(
    settings: Mapping[str, Any], fingerprints: Any, source: str | None = None
) -> dict[str, Any]:
    """Return a comparison key: two runs are equal if their keys are.

    Args:
        settings: settings of the run
        fingerprints: fingerprints of the run; if incomplete, the names of its files are compared
        source: description of the source of its data
    """
    options = dict(flatten_settings(settings))
    kept = {name: value for name, value in options.items() if is_compared(name)}
    if has_all_fingerprints(fingerprints):
        return kept | {f"content of the {key}": fingerprints[key] for key in CONTENT_NAMES}
    return kept | {"source": source, "embedding.path": options.get("embedding.path")}


def build_settings_key(
    settings: Mapping[str, Any], fingerprints: Any, source: str | None = None
) -> dict[str, Any]:
    """Return a comparison key that is equal for runs that differ only in seed or fold.

    Word vectors are compared by the digest of their files, if they have any: their content depends
    on the training rows, which differ between folds.

    Args:
        settings, fingerprints, source: as in `build_run_key`
    """
    key = build_run_key(settings, fingerprints, source)
    if has_all_fingerprints(fingerprints):
        key["content of the vectors"] = fingerprints["files"].get("vectors")
    return {name: value for name, value in key.items() if name not in REPETITION_OPTIONS}


def flatten_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested settings as ``group.option`` and value."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flatten_settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
