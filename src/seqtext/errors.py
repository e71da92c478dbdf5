"""Define the errors that a user can correct, and format the values in their messages."""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_VALUE_LENGTH = 200  # characters of a value in a message


class UserError(ValueError):
    """A mistake the user can mend, in one sentence: what is wrong, where, what to do."""


class OptionError(UserError):
    """One option has a value it cannot have."""

    def __init__(self, option: str, value: Any, expected: str):
        super().__init__(f"{option}={format_value(value)} is not possible: it must be {expected}.")
        self.option, self.value, self.expected = option, value, expected

    def within(self, group: str) -> "OptionError":
        """Return the same error, with the option's name on the command line."""
        option = f"{group}.{self.option}" if group else self.option
        return OptionError(option, self.value, self.expected)


class SweepFailed(Exception):
    """A sweep ended without some of its jobs, and has printed which."""


class UserErrorExit(BaseException):
    """Carries a `UserError` past Hydra, which would print more about it than is needed."""


def unknown_option(
    option: str, known: Mapping | list[str], group: str = "", elsewhere: Sequence[str] = ()
) -> UserError:
    """Build the error for an option that does not exist, with the nearest one that does.

    Args:
        known: options of the group
        elsewhere: whole options of other groups, that may be meant where none of `known` is near
    """
    prefix = f"{group}." if group else ""
    near = [prefix + name for name in difflib.get_close_matches(option, known, n=1)] or elsewhere
    hint = f"known are {', '.join(sorted(known))}."
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    return UserError(f"There is no option {prefix}{option}: {hint}")


def format_value(value: Any) -> str:
    """Format the value of an option for a message."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]} …"
