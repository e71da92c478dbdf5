"""Read and write small files safely: complete or not at all, and one sentence for a damaged one."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqtext.options import UserError


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
        raise damaged(path) from error
    if not isinstance(value, dict):
        raise damaged(path)
    return value


def damaged(path: Path) -> UserError:
    """Build the error for a file of a run that does not hold what was written into it."""
    return UserError(f"{path} is damaged: delete it, and run that again.")
