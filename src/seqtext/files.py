"""Write small files atomically; read them, with a one-sentence error for a damaged file."""

import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from seqtext.errors import UserError

# CSafeLoader is about 40 times as fast, if it is built
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_YAML_DEPTH = 100  # nesting levels of YAML; this program writes ten at most
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.new")
TEMPORARY_SECONDS = 1  # longer than a process writes a small file
MALFORMED_YAML = (
    *(yaml.YAMLError, ValueError, LookupError, TypeError),
    *(AttributeError, ArithmeticError, RecursionError),  # for tags that do not fit their values
)


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Create an empty file beside `path`, which replaces `path` when the block ends.

    Its name is random and it is created exclusively, so that no planted link is followed and two
    processes that write the same target never share it. It is removed if the block fails.

    Yields:
        The path to write to; its name ends in ``.new``.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.new")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        error.filename = str(path)  # the name that users know
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


def remove_temporaries(folder: Path) -> None:
    """Delete temporary files of `replace_file` that killed processes left in a folder.

    Files younger than `TEMPORARY_SECONDS` are kept: another process may be writing its
    configuration before it detects that the folder is locked.
    """
    oldest = time.time() - TEMPORARY_SECONDS
    for file in folder.glob(".*.new"):
        with suppress(OSError):  # already renamed to its target
            if TEMPORARY.fullmatch(file.name) and file.lstat().st_mtime < oldest:
                file.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically; it is synced to disk when this returns."""
    with replace_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
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
        raise build_damaged_file_error(path) from error
    if not isinstance(value, dict):
        raise build_damaged_file_error(path)
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file; an empty file is an empty mapping.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is damaged.
    """
    try:
        content = yaml.load(read_shallow_yaml(path), YAML_LOADER)
    except MALFORMED_YAML as error:
        raise build_damaged_file_error(path, "it is not YAML") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise build_damaged_file_error(path, "it holds no options")
    return content


def read_shallow_yaml(path: Path) -> bytes:
    """Read a YAML file and check its nesting: libyaml's loader recurses and overflows the stack.

    Raises:
        ValueError: if it is nested deeper than any configuration.
        yaml.YAMLError: if it is not YAML.
    """
    content = path.read_bytes()
    openings = sum(map(content.count, (b"[", b"{", b"-", b"?")))
    if openings < MAX_YAML_DEPTH and b" " * MAX_YAML_DEPTH not in content:
        return content  # skip parsing the events, which takes as long as loading
    depth = 0
    for event in yaml.parse(content, YAML_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH:
            raise ValueError(f"{path} nests deeper than {MAX_YAML_DEPTH}")
    return content


def build_damaged_file_error(path: Path, reason: str = "") -> UserError:
    """Build the error for a damaged file of a run."""
    reason = f" ({reason})" if reason else ""
    return UserError(f"{path} is damaged{reason}: delete it, and run that again.")


def check_is_file(path: Path, option: str) -> None:
    """Raise a `UserError` that names the option unless there is such a file."""
    if not path.is_file():
        problem = "is a folder: name the file" if path.is_dir() else "is not there"
        raise UserError(f"{option}={path} {problem}.")
