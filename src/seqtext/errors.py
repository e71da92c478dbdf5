"""Define errors that a user can fix, and format the values in their messages."""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_VALUE_LENGTH = 200  # characters of a value in a message


class UserError(ValueError):
    """An error that the user can fix, in one sentence: what is wrong, where, what to do."""


class OptionError(UserError):
    """An option has an invalid value."""

    def __init__(self, option: str, value: Any, expected: str):
        super().__init__(f"{option}={format_value(value)} is not possible: it must be {expected}.")
        self.option, self.value, self.expected = option, value, expected

    def within(self, group: str) -> "OptionError":
        """Return the same error with the option's full name, such as ``model.units``."""
        option = f"{group}.{self.option}" if group else self.option
        return OptionError(option, self.value, self.expected)


class SweepFailed(Exception):
    """Some jobs of a sweep failed; which ones is already printed."""


class UserErrorExit(BaseException):
    """Carries a `UserError` past Hydra's error handling, which would print a traceback."""


def build_unknown_option_error(
    option: str, known: Mapping | list[str], group: str = "", elsewhere: Sequence[str] = ()
) -> UserError:
    """Build the error for an unknown option, with the nearest existing one as a hint.

    Args:
        known: options of the group
        elsewhere: full names of options of other groups, suggested if none of `known` is near
    """
    prefix = f"{group}." if group else ""
    close = difflib.get_close_matches(option, known, n=1)
    begun = [name for name in known if len(option) > 2 and name.startswith(option)]
    near = [prefix + name for name in close or begun] or elsewhere
    hint = f"known are {', '.join(sorted(known))}." if known else f"{group} has no options."
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    return UserError(f"There is no option {prefix}{option}: {hint}")


def format_reason(error: BaseException | str) -> str:
    """Return the text of a library's error in one line, without the full stop at its end."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def describe_error(error: BaseException) -> str:
    """Return the type and the text of an error in one line, without a full stop at its end."""
    return f"{type(error).__name__}: {format_reason(error)}"


def format_value(value: Any) -> str:
    """Format the value of an option for a message."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]} …"
