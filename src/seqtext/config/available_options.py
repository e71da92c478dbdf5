"""List the groups, choices and options that the configuration files define."""

import difflib
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from seqtext.files import YAML_LOADER

NOT_GROUPS = ("hydra",)
MIN_SIMILARITY = 0.75  # minimum similarity of a misspelt name
LONG_GROUP = "experiment"  # its choices are paths
GLOBAL_GROUPS = (LONG_GROUP, "debug")  # their files set options of other groups
HELP_WIDTH, HELP_INDENT, HELP_COLUMN = 96, 2, 20  # characters; layout of the help page
_folders: list[Path] = []
_values: dict[str, str] = {}  # of the command line


def set_command_line(folders: Sequence[Path], values: Mapping[str, str]) -> None:
    """Set the folders of the configuration files and the values of the command line's options.

    Messages name choices and options from them.
    """
    _folders[:] = folders
    _values.clear()
    _values.update(values)
    _index_options.cache_clear()
    list_options.cache_clear()


def is_base(choice: str) -> bool:
    """Return whether a name is a base file such as ``_base``, not selectable."""
    return any(part.startswith("_") for part in choice.split("/"))


def list_choices(group: str) -> list[str]:
    """List the choices of a group; files in its subfolders are ``folder/name``."""
    names = set()
    for folder in _folders:
        root = folder / group
        names |= {f.relative_to(root).with_suffix("").as_posix() for f in root.rglob("*.yaml")}
    return sorted(name for name in names if not is_base(name))


def list_groups() -> list[str]:
    """List all groups except Hydra's own."""
    found = {f.name for folder in _folders if folder.is_dir() for f in folder.iterdir()}
    groups = found - {*NOT_GROUPS}
    return sorted(name for name in groups if any((f / name).is_dir() for f in _folders))


def describe_groups(values: Mapping[str, Sequence[str]]) -> str:
    """Format all groups and their choices for the help page, including those added to conf/.

    Args:
        values: names that other options take, by option
    """
    groups = [group for group in list_groups() if group != LONG_GROUP]
    listed = {group: list_choices(group) for group in groups} | {k: [*v] for k, v in values.items()}
    listed[LONG_GROUP] = list_choices(LONG_GROUP)
    lines = []
    for option, names in listed.items():
        lines += textwrap.wrap(
            ", ".join(names),
            HELP_WIDTH,
            initial_indent=f"{'':{HELP_INDENT}}{option + '=':{HELP_COLUMN - HELP_INDENT}}",
            subsequent_indent=" " * HELP_COLUMN,
        )
    return "\n".join(lines).lstrip()


def describe_missing_choice(path: str, known: Sequence[str] = ()) -> str:
    """Format an error message for a missing choice, with the nearest and all existing choices.

    Args:
        path: group and choice, as in ``model/gru`` or ``experiment/imdb/best``
        known: additional choices of the group
    """
    group, choice = path.rpartition("/")[::2]
    if not path.startswith("hydra/"):
        group, choice = path.partition("/")[::2]
    choices = sorted({*list_choices(group), *(name for name in known if not is_base(name))})
    near = difflib.get_close_matches(choice, choices, n=1, cutoff=MIN_SIMILARITY)
    hint = f"did you mean {near[0]}? Known" if near else "known"
    return f"There is no {group}={choice}: {hint} are {', '.join(choices)}."


def find_nearest_options(option: str) -> list[str]:
    """Find options with the name of `option` in any group, or else the most similar ones."""
    options = _index_options()
    name = option.rpartition(".")[2]
    if name not in options:
        near = difflib.get_close_matches(name, options, n=1, cutoff=MIN_SIMILARITY)
        if not near:
            return []
        name = near[0]
    return [found for found in options[name] if found != option]


def explain_other_choice(option: str, target: str | None = None) -> str | None:
    """Explain that an option belongs to other choices of its group; return None if to no other.

    Args:
        option: full name, such as ``dataset.path`` or ``hydra.sweeper.n_trials``
        target: `_target_` of the current choice; None: the command line names the choice
    """
    first, *others = re.split("[./]", option)
    if first in NOT_GROUPS and others:
        first, *others = f"{first}/{others[0]}", *others[1:]
    names = {".".join(others), *others[:1]}
    having = [c for c in list_choices(first) if names & list_options(first, c)]
    if target is None:
        current = _find_current_choices(first)
    else:
        current = [c for c in list_choices(first) if target == _read_target(first, c)]
    lacking = [choice for choice in current if choice not in having]
    if not having or (current and not lacking):
        return None
    where = f"with {first}={','.join(lacking)}" if lacking else "here"
    belongs_to = ", ".join(f"{first}={choice}" for choice in having)
    return f"There is no option {option} {where}: it belongs to {belongs_to}."


@cache
def list_options(group: str, choice: str) -> frozenset[str]:
    """List the dotted options of a choice, including those of the files that it builds on."""
    options: set[str] = set()
    for folder in _folders:
        content = _read_yaml(folder / group / f"{choice}.yaml")
        for base in content.get("defaults") or ():
            if isinstance(base, Mapping):  # a group within the group, such as sampler
                options |= {*base}
            elif base not in ("_self_", choice):
                options |= list_options(group, base)
        for part in group.split("/"):  # a file of the package _global_ names the whole group
            content = content.get(part, content)
        options |= set(_iter_option_names(content, ""))
    return frozenset(options)


def _read_target(group: str, choice: str) -> str | None:
    files = [_read_yaml(folder / group / f"{choice}.yaml") for folder in _folders]
    return next((file["_target_"] for file in files if "_target_" in file), None)


def _find_current_choices(group: str) -> list[str]:
    """Find the choices of a group: several in a sweep, none if they are not simple names."""
    if group in _values:
        values = [_values[group]]
    else:
        default = read_file_choices("config").get(group, "basic")  # of Hydra's own groups
        experiments = _values.get("experiment", "").split(",")
        values = [read_file_choices(f"{LONG_GROUP}/{e}").get(group, default) for e in experiments]
    names = [name for value in values for name in str(value).split(",")]
    return [name for name in names if re.fullmatch(r"\w+", name)]


def read_file_choices(file: str) -> dict[str, Any]:
    """Read which choice of each group a file of the configuration makes, or sweeps over.

    Args:
        file: ``config``, or an experiment such as ``experiment/imdb/best``
    """
    choices: dict[str, Any] = {}
    for content in (_read_yaml(folder / f"{file}.yaml") for folder in _folders):
        for entry in content.get("defaults") or ():
            if isinstance(entry, Mapping):
                choices |= {key.removeprefix("override ").lstrip("/"): entry[key] for key in entry}
            elif entry != "_self_":
                choices |= read_file_choices(f"{LONG_GROUP}/{entry}")
        sweeper = (content.get("hydra") or {}).get("sweeper") or {}
        choices |= {k: v for k, v in (sweeper.get("params") or {}).items() if "." not in k}
    return choices


def find_override(word: str) -> str | None:
    """Find the override of a choice without its group: ``dataset=imdb`` for ``imdb``."""
    for group in list_groups():
        if word in list_choices(group):
            return f"{group}={word}"
    return None


@cache
def _index_options() -> Mapping[str, Sequence[str]]:
    """Map the last part of each option's name to the full names with this last part."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for folder in _folders:
        for file in sorted(folder.rglob("*.yaml")):
            first, *inner = file.relative_to(folder).with_suffix("").parts
            if first == "config":
                prefix = ""
            elif len(inner) == 1 and first not in (*NOT_GROUPS, *GLOBAL_GROUPS):
                prefix = f"{first}."
            else:
                continue
            for option in _iter_option_names(_read_yaml(file), prefix):
                found[option.rpartition(".")[2]][option] = True
    for group in list_groups():
        found[group][group] = True
    return {name: list(options) for name, options in found.items()}


def _iter_option_names(content: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yield the dotted option names of a file, such as ``split.seed``, without Hydra's."""
    for name, value in content.items():
        if str(name).startswith("_") or name in ("defaults", "hydra"):
            continue
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _iter_option_names(value, f"{prefix}{name}.")


def _read_yaml(file: Path) -> Mapping[str, Any]:
    """Read a file; return an empty mapping if it is unreadable, which Hydra reports itself."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), YAML_LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, Mapping) else {}
