"""Read environment variables from the file `.env` of the working folder."""

import os
import re
from pathlib import Path

from seqtext.errors import UserError

ENV_FILE = Path(".env")
ASSIGNMENT = re.compile(
    r"""(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^'"\s].*?)?)(?:\s+\#.*)?"""
)


def load_env_file() -> None:
    """Set the variables of `.env` that the environment does not have.

    Lines are ``NAME=value``, also with ``export``, quotes or a comment after ``#``.

    Raises:
        UserError: if a line is none of these, or the file cannot be read.
    """
    if not ENV_FILE.is_file():
        return
    try:
        lines = ENV_FILE.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise UserError(f"{ENV_FILE} cannot be read: {error}") from error
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        found = ASSIGNMENT.fullmatch(line)
        if not found:
            raise UserError(f"{ENV_FILE}, line {number}, must be NAME=value, a comment or empty.")
        name, *values = found.groups(default="")
        os.environ.setdefault(name, "".join(values))
