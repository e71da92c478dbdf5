"""Parse command lines of the form ``option=value``, whose options a dataclass declares once.

The grammar is that of train.py plus positional values. argparse does not support
``option=value``, and Hydra's parser would split a text such as "a, b".
"""

import difflib
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

from seqtext.display import name_commands
from seqtext.errors import UserError

HELP_WIDTH = 100  # columns of a help page
HELP_FLAGS = {"--help", "-h"}
ASSIGNMENT = re.compile(r"(?:--)?([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
FLAG = re.compile(r"--([A-Za-z_][\w-]*)")


class CommandOptions(Protocol):
    """Protocol of a keyword-only dataclass of `option` fields and one `positional` field.

    Its docstring's first line is the title of the help page.
    """

    __dataclass_fields__: ClassVar[dict[str, Field]]
    EXAMPLES: ClassVar[str]  # lines of the help page
    NOTES: ClassVar[str]  # paragraphs of the help page


Options = TypeVar("Options", bound=CommandOptions)


def option(description: str, default: Any = None, missing: str = "") -> Any:
    """Declare an option: a dataclass field.

    Args:
        missing: for a required option: what to do if it is absent, as the end of an error message
    """
    metadata = {"description": description, "missing": missing}
    return field(default=MISSING if missing else default, metadata=metadata)


def positional(description: str) -> Any:
    """Declare the field that takes all positional values."""
    return field(default=(), metadata={"description": description, "is_positional": True})


def parse_args(options: type[Options], arguments: Sequence[str]) -> Options:
    """Parse ``option=value``, ``--option=value``, ``--option value`` and positional values.

    All arguments after ``--`` are positional. ``--option`` alone sets a boolean.

    Raises:
        UserError: if an option is unknown, given twice, empty, missing or of the wrong type.
    """
    known = {f.name: f for f in _list_option_fields(options)}
    hints = get_type_hints(options)
    values: dict[str, Any] = {}
    positionals: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            positionals += remaining
        elif match := ASSIGNMENT.fullmatch(argument):
            _set_option(values, match[1].replace("-", "_"), match[2], known, hints)
        elif match := FLAG.fullmatch(argument):
            name = match[1].replace("-", "_")
            is_flag = hints.get(name) is bool
            _set_option(values, name, "true" if is_flag else next(remaining, ""), known, hints)
        else:
            positionals.append(argument)
    for name, each in known.items():
        if name not in values and each.default is MISSING:
            raise UserError(f"{name}= is missing: {each.metadata['missing']}; --help shows more.")
    taking_rest = _get_positional_field(options)
    values[taking_rest.name] = tuple(
        _convert(taking_rest.name, value, get_args(hints[taking_rest.name])[0])
        for value in positionals
    )
    return options(**values)


def format_help(options: type[CommandOptions]) -> str:
    """Return the help page: title, options, notes and examples, in the style of train.py's."""
    title = (options.__doc__ or "").partition("\n")[0]
    lines = [title, "", "  Options"]
    all_fields = [_get_positional_field(options), *_list_option_fields(options)]
    names = [f.name if f.metadata.get("is_positional") else f"{f.name}=" for f in all_fields]
    indent = 4 + max(map(len, names)) + 2
    for name, each in zip(names, all_fields, strict=True):
        wrapped = textwrap.wrap(each.metadata["description"], HELP_WIDTH - indent)
        lines.append(f"    {name}".ljust(indent) + wrapped[0])
        lines += [" " * indent + line for line in wrapped[1:]]
    lines += [
        "    --".ljust(indent) + "all that follows is positional, even if it looks like an option"
    ]
    lines += [
        "",
        *textwrap.wrap(options.NOTES, HELP_WIDTH, initial_indent="  ", subsequent_indent="  "),
    ]
    lines += ["", "  Examples", *textwrap.indent(options.EXAMPLES.strip(), "    ").splitlines()]
    return name_commands("\n".join(lines) + "\n")


def _list_option_fields(options: type[CommandOptions]) -> Iterator[Field]:
    return (f for f in fields(options) if not f.metadata.get("is_positional"))


def _get_positional_field(options: type[CommandOptions]) -> Field:
    return next(f for f in fields(options) if f.metadata.get("is_positional"))


def _set_option(
    values: dict[str, Any], name: str, value: str, known: dict[str, Field], hints: dict[str, Any]
) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}=?" if near else f"known are {'=, '.join(known)}=."
        raise UserError(f"There is no option {name}= (put -- before values that have a =): {hint}")
    if name in values:
        raise UserError(f"{name}= is given twice: drop one.")
    if not value:
        raise UserError(f"{name}= is empty: give it a value, or leave it out.")
    values[name] = _convert(name, value, hints[name])


def _convert(name: str, value: str, hint: Any) -> Any:
    """Convert a value to the type of its field."""
    if get_origin(hint) is tuple:
        return tuple(item.strip() for item in value.strip("[]").split(",") if item.strip())
    types = (hint, *get_args(hint))
    if bool in types:
        if value.lower() not in ("true", "false"):
            raise UserError(f"{name}={value} must be true or false.")
        return value.lower() == "true"
    if float in types:
        try:
            return float(value)
        except ValueError as error:
            raise UserError(f"{name}={value} must be a number.") from error
    return Path(value).expanduser() if Path in types else value
