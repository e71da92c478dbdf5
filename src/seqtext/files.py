"""Read and write small files safely: complete or not at all, and one sentence for a damaged one."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from seqtext.errors import UserError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some 40 times as fast, where it is built
DEEPEST = 100  # lists and mappings within others in YAML; this program writes ten at most
MALFORMED_YAML = (
    *(yaml.YAMLError, ValueError, LookupError, TypeError),
    *(AttributeError, ArithmeticError, RecursionError),  # of tags that do not fit their values
)


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Create an empty file beside `path`, which replaces `path` when the block ends.

    Its name is random and it is created exclusively: no link that someone planted is followed, and
    two processes that write the same target never share it. It is removed if the block fails.

    Yields:
        The path to write to; its name ends in ``.new``.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.new")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        error.filename = str(path)  # people know this one
        raise
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename in (None, str(temporary), os.fspath(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, complete or not at all; it is on disk when this returns."""
    with replace_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, complete or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that this program wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged.
    """
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged_file_error(path) from error
    if not isinstance(value, dict):
        raise damaged_file_error(path)
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file; an empty file is an empty one.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged.
    """
    try:
        content = yaml.load(read_shallow_yaml(path), LOADER)
    except MALFORMED_YAML as error:
        raise damaged_file_error(path, "it is not YAML") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise damaged_file_error(path, "it holds no options")
    return content


def read_shallow_yaml(path: Path) -> bytes:
    """Read a YAML file that is safe to load: libyaml's loader recurses, and dies of deep nesting.

    Raises:
        ValueError: if it nests deeper than any configuration.
        yaml.YAMLError: if it is no YAML.
    """
    content = path.read_bytes()
    openings = sum(map(content.count, (b"[", b"{", b"-", b"?")))
    if openings < DEEPEST and b" " * DEEPEST not in content:
        return content  # as good as always; to look at its events takes as long as loading
    depth = 0
    for event in yaml.parse(content, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"{path} nests deeper than {DEEPEST}")
    return content


def damaged_file_error(path: Path, reason: str = "") -> UserError:
    """Build the error for a file of a run that does not hold what was written into it."""
    reason = f" ({reason})" if reason else ""
    return UserError(f"{path} is damaged{reason}: delete it, and run that again.")
