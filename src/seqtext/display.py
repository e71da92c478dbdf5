"""Text of users and strangers on a terminal: never markup, never control characters."""

import sys
import unicodedata
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

DIRECTION_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")  # control, surrogate, line and paragraph separators
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str, keep: str = "") -> str:
    """Replace each character that could steer a terminal or turn the text's direction around.

    Args:
        keep: control characters that are allowed, such as a newline
    """
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if _is_control(c) and c not in keep else c for c in text)


def count_noun(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: "1 job", "2 jobs", "1,200 jobs", "2 processes".

    Args:
        plural: where it is not `noun` with an s
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def build_console(file: IO[str] | None = None, stderr: bool = False, **options) -> "Console":
    """Build a rich console to which texts are no markup, emoji names or highlighted values.

    Args:
        file: None: standard output, or standard error with `stderr`
        options: further ones of `rich.console.Console`
    """
    from rich.console import Console  # not before it serves: `--help` needs none

    return Console(file=file, stderr=stderr, markup=False, emoji=False, highlight=False, **options)


def replace_unencodable() -> None:
    """Let standard output and error show ``?`` for characters that their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in CONTROL_CATEGORIES or character in DIRECTION_CONTROLS
