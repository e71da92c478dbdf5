"""Sanitize untrusted text for display: no markup and no control characters."""

import copy
import logging
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

DIRECTION_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")  # control, surrogate, line and paragraph separators
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
NAME_LENGTH = 30  # characters of a class name
PACKAGE = __name__.partition(".")[0]


def make_printable(text: str, keep: str = "") -> str:
    """Replace control characters and bidi overrides.

    Args:
        keep: control characters that are allowed, such as a newline
    """
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if _is_control(c) and c not in keep else c for c in text)


def shorten(text: str, length: int) -> str:
    """Join a text into one line and cut it to at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[:length] + " ..."


def name_classes(class_names: Sequence[str], length: int = NAME_LENGTH) -> list[str]:
    """Return class names for a table or a line: printable, short and distinct.

    Names that would look alike or blank get the number of the class.
    """
    return make_distinct([make_printable(shorten(name, length)) for name in class_names])


def make_distinct(names: Sequence[str]) -> list[str]:
    """Return the names of class 0, 1, …, with the class number appended where names are equal."""
    counts = Counter(names)
    numbered = [
        f"class {number} ({name})" if name else f"class {number}"
        for number, name in enumerate(names)
    ]
    distinct = [
        numbered[number] if counts[name] > 1 or not name.strip(REPLACEMENT + " ") else name
        for number, name in enumerate(names)
    ]
    return distinct if len(set(distinct)) == len(names) else numbered


def print_line(text: str, file: IO[str] | None = None) -> None:
    """Print a text as one flushed line, without control characters.

    Args:
        file: stream to print to; None: standard output
    """
    print(make_printable(text, keep="\t"), file=file, flush=True)


def name_commands(text: str) -> str:
    """Replace ``python train.py`` by ``seqtext-train``, … if the user typed such a command."""
    if not is_installed_command(sys.argv[0]):
        return text
    return re.sub(r"python (train|predict|report)\.py", r"seqtext-\1", text)


def is_installed_command(program: str) -> bool:
    """Return whether a program is ``seqtext-train``, ``seqtext-predict`` or ``seqtext-report``."""
    return Path(program).stem.startswith(f"{PACKAGE}-")


def count_noun(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: "1 job", "2 jobs", "1,200 jobs", "2 processes".

    Args:
        plural: needed if it is not `noun` with an s
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def format_duration(seconds: float) -> str:
    """Return seconds as text: seconds below two minutes, minutes below two hours, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def build_console(file: IO[str] | None = None, stderr: bool = False, **options) -> "Console":
    """Build a rich console that prints texts verbatim: no markup, emoji names or highlighting.

    Control characters of printed strings are replaced, also within tables.

    Args:
        file: stream; None: standard output, or standard error with `stderr`
        options: other arguments of `rich.console.Console`
    """
    plain = {"markup": False, "emoji": False, "highlight": False}
    return _get_console_class()(file=file, stderr=stderr, **{**plain, **options})


@cache
def _get_console_class() -> type["Console"]:
    from rich.console import Console  # on demand: `--help` needs no console

    class PlainConsole(Console):
        def render_str(self, text: str, **options):
            return super().render_str(make_printable(text, keep="\n"), **options)

    return PlainConsole


class PrintableFormatter(logging.Formatter):
    """Formats log records and replaces the control characters in them.

    Arguments of this package's messages, such as class names, are kept on one line; only the
    message itself and tracebacks may have several lines.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        if record.args and record.name.partition(".")[0] == PACKAGE:
            record = copy.copy(record)  # other handlers get the original record
            record.args = _make_arguments_printable(record.args)
        return make_printable(super().format(record), keep="\n\t")


def replace_unencodable() -> None:
    """Make standard output and error print ``?`` for characters missing in their encoding."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _make_arguments_printable(arguments: Any) -> Any:
    if isinstance(arguments, Mapping):
        return {name: _make_argument_printable(value) for name, value in arguments.items()}
    return tuple(map(_make_argument_printable, arguments))


def _make_argument_printable(value: Any) -> Any:
    return (
        value if hasattr(value, "__float__") else make_printable(str(value))
    )  # %d takes numbers only


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in CONTROL_CATEGORIES or character in DIRECTION_CONTROLS
