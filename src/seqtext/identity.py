"""Compare runs by the options that can change a result, and by the content that they read.

A run's settings say which files it reads; two paths may lead to the same content, and one path to
another content tomorrow. So options that name files are not compared: digests of the content are.
`metrics.json` keeps them under "fingerprints":

- "data": of the texts, labels and parts that were read, and of the stop words
- "vectors": of the vectors that the vocabulary's words got; null without pretrained vectors
- "files": of the files behind both ("data" and "vectors"), as they are on disk. Equal files need
  not be read to know that the content is equal; unlike ones may hold the same (another name,
  packed or not).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

FILES = {  # options that name files, by the fingerprint of what these hold
    "data": ("dataset.dir", "dataset.path", "dataset.val", "dataset.test", "dataset.stopwords"),
    "vectors": ("embedding.path",),
}
LOCATIONS = tuple(option for options in FILES.values() for option in options)
WITHOUT_EFFECT = (  # on scores, but for rounding
    *("cache", "checkpoint_minutes", "dataset.download", "embedding.download"),
    *("trainer.accelerator", "trainer.profiler"),
)
NOT_COMPARED = (*LOCATIONS, *WITHOUT_EFFECT)
ABSENT = "absent"
CONTENT = {"data": "data", "vectors": "word vectors"}

Fingerprints = Mapping[str, Any]


def find_first_difference(
    stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """Return the first option that two settings disagree on, and both values.

    Options that cannot change a result, and those that name files, may differ.
    """
    one, other = dict(flatten(stored)), dict(flatten(wanted))
    for option in dict.fromkeys([*other, *one]):
        values = one.get(option, ABSENT), other.get(option, ABSENT)
        if option not in NOT_COMPARED and values[0] != values[1]:
            return option, *values
    return None


def find_changed_content(
    stored: Fingerprints,
    files: Mapping[str, str | None],
    read: Callable[[], Fingerprints],
) -> str | None:
    """Return what a run was made with that is not there any more: "data" or "word vectors".

    Args:
        stored: a run's fingerprints, complete
        files: digests of the files as they are now
        read: reads these files; it is called only if they are not those of the run
    """
    if stored["files"] == files:
        return None
    now = read()
    return next((name for key, name in CONTENT.items() if stored[key] != now[key]), None)


def has_all_fingerprints(fingerprints: Any) -> bool:
    """Return whether a run recorded the fingerprints of all that it read."""
    return (
        isinstance(fingerprints, Mapping)
        and {*CONTENT, "files"} <= fingerprints.keys()
        and isinstance(fingerprints["files"], Mapping)
    )


def identity(
    settings: Mapping[str, Any], fingerprints: Any, source: str | None = None
) -> dict[str, Any]:
    """Return what a run is, as plain values; two runs are the same if these are equal.

    Args:
        settings: of the run
        fingerprints: of the run; where it has none, the names of its files must do
        source: of its data, in words
    """
    options = dict(flatten(settings))
    kept = {name: value for name, value in options.items() if name not in NOT_COMPARED}
    if has_all_fingerprints(fingerprints):
        return kept | {f"content of the {key}": fingerprints[key] for key in CONTENT}
    return kept | {"source": source, "embedding.path": options.get("embedding.path")}


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested settings as ``group.option`` and value."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
