"""The format of a CSV file: separator, quoting and escape character, parsed from options."""

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from seqtext.data.encodings import normalize_encoding
from seqtext.errors import UserError

Quoting = Literal["auto", "minimal", "none"]
SEPARATOR_NAMES = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
ESCAPED = {r"\t": "\t", r"\|": "|", r"\;": ";", r"\,": ",", r"\ ": " ", r"\\t": "\t"}
POSSIBLE_SEPARATORS = "it must be one character, or tab, comma, semicolon, pipe or space"


@dataclass(frozen=True)
class CsvFormat:
    """Describes the format of a CSV file.

    Args:
        separator: one character
        header: whether the first row contains the names of the columns
        encoding: text encoding of the file
        quoting: "minimal": a field may be quoted, with quotes in it doubled;
                "none": quotes are ordinary characters; "auto": "none" if a tab-separated file's
                quotes do not look like a CSV writer's, else "minimal"
        escapechar: character that escapes the next one; None: there is none
        prefix: prefix of the options in messages; None: there are no options
    """

    separator: str = ","
    header: bool = True
    encoding: str = "utf-8"
    quoting: Quoting = "auto"
    escapechar: str | None = None
    prefix: str | None = "dataset."

    def option(self, name: str, value: object) -> str:
        """Format an option as on the command line, such as ``dataset.quoting=none``."""
        return f"{self.prefix}{name}={value}"


def build_csv_format(
    default_separator: str,
    separator: str | None = None,
    header: bool = True,
    encoding: str = "utf-8",
    quoting: str = "auto",
    escapechar: str | None = None,
    prefix: str | None = "dataset.",
) -> CsvFormat:
    """Build the format from options as typed.

    Raises:
        UserError: if an option is invalid.
    """
    if quoting not in get_args(Quoting):
        known = ", ".join(get_args(Quoting))
        raise UserError(f"{prefix}quoting={quoting} is not possible: it must be one of {known}.")
    separator = normalize_separator(separator, f"{prefix}separator") or default_separator
    escapechar = normalize_escapechar(escapechar, f"{prefix}escapechar")
    if escapechar == separator:
        raise UserError(f"{prefix}escapechar and {prefix}separator are the same: change one.")
    encoding = normalize_encoding(encoding, f"{prefix}encoding")
    return CsvFormat(separator, header, encoding, cast(Quoting, quoting), escapechar, prefix)


def normalize_separator(typed: str | None, option: str = "dataset.separator") -> str | None:
    r"""Return the separator as one character: ``\t`` and ``tab`` are a tab; None stays None.

    Raises:
        UserError: if it cannot separate columns; the message has the right spelling.
    """
    if typed is None:
        return None
    separator = _strip_quotes(typed)
    separator = ESCAPED.get(separator, SEPARATOR_NAMES.get(separator.strip().lower(), separator))
    if len(separator) == 1 and separator not in '"\n\r\0\\' and not separator.isalnum():
        return separator
    if re.fullmatch(r"\\s[+*]?|\[?(\\t|\\s| )\]?[+*]", separator):
        hint = "a regular expression is not a separator: write space or tab"
    elif separator == "t":
        hint = "for a tab, write tab"
    else:
        hint = POSSIBLE_SEPARATORS
    shown = typed if typed.isprintable() else ascii(typed)[1:-1]
    raise UserError(f"{option}={shown} is not possible: {hint}.")


def normalize_escapechar(typed: str | None, option: str = "dataset.escapechar") -> str | None:
    r"""Return the escape character: ``\\`` and ``backslash`` are one backslash.

    Raises:
        UserError: if it cannot be an escape character.
    """
    if typed is None:
        return None
    character = _strip_quotes(typed)
    character = "\\" if character.lower() in (r"\\", "backslash") else character
    is_sign = len(character) == 1 and character.isprintable() and not character.isalnum()
    if is_sign and character not in '" ':
        return character
    shown = typed if typed.isprintable() else ascii(typed)[1:-1]
    raise UserError(
        f"{option}={shown} is not possible: it must be one character that is no letter, digit, "
        f"space or quote, or backslash."
    )


def _strip_quotes(typed: str) -> str:
    """Remove quotes that the shell did not remove."""
    for quote in "'\"":
        if len(typed) > 2 and typed.startswith(quote) and typed.endswith(quote):
            return typed[1:-1]
    return typed
