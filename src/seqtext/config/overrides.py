"""Quote command line overrides for Hydra's grammar, which supports only ASCII."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from seqtext.display import is_installed_command
from seqtext.errors import UserError
from seqtext.identity import FOLDER_OPTIONS, PATH_OPTIONS

FLAGS_WITH_VALUES = (
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p"),
    *("--cfg", "-c", "--info", "-i", "--experimental-rerun"),
)
ALL_PATH_OPTIONS = (
    *PATH_OPTIONS,
    *FOLDER_OPTIONS,
    *("resume", "from_best", "checkpoint", "hydra.run.dir", "hydra.sweep.dir"),
)
FREE_TEXTS = ("notes", "label")  # their value is one text, whatever it contains
NEVER_A_NUMBER = ("name", "dataset.separator", "dataset.encoding", *ALL_PATH_OPTIONS)
COLUMNS = ("dataset.text", "dataset.label", "dataset.part")  # may also be a number
MULTIRUN = "hydra.mode=MULTIRUN"
UNLIMITED_EPOCHS = "trainer.max_epochs=-1"  # implied by trainer.max_steps, as by Lightning
MULTIRUN_WORDS = ("-m", "--multirun", MULTIRUN)
OVERRIDE = re.compile(r"([~+]*[^=\s]+)=(.*)", re.DOTALL)
STRUCTURED_START = re.compile(r"[\[{'\"]")  # starts a list, dictionary or quoted text
HYDRA_FUNCTIONS = tuple(create_functions().functions)  # range, choice, interval, …
QUOTES = "'\""


def quote_values(arguments: Sequence[str]) -> list[str]:
    """Quote the override values that Hydra's grammar cannot parse, or would parse as numbers.

    Valid lists, dictionaries, sweeps, functions and interpolations keep their meaning.

    Args:
        arguments: command line arguments, including flags

    Returns:
        The same number of arguments.

    Raises:
        UserError: if a value cannot be parsed and its meaning is ambiguous.
    """
    is_multirun = any(word in arguments for word in MULTIRUN_WORDS)
    previous = ["", *arguments]
    return [
        argument if flag in FLAGS_WITH_VALUES else quote_value(argument, is_multirun)
        for flag, argument in zip(previous, arguments, strict=False)
    ]


def quote_value(argument: str, is_multirun: bool = False) -> str:
    """Quote the value of one override if necessary, see `quote_values`."""
    found = OVERRIDE.fullmatch(argument)
    if not found or argument.startswith("-"):
        return argument
    key, value = found.groups()
    option = key.lstrip("+~")
    if option in FREE_TEXTS and value != "null" and not _is_quoted(value):
        return f"{key}={quote_text(value)}"
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        return f"{key}={_quote_unreadable(option, value)}"
    if _is_meant_as_text(option, value, override, is_multirun):
        return f"{key}={quote_text(value)}"
    return argument


def read_override_values(arguments: Sequence[str]) -> dict[str, str]:
    """Map each option of the command line to its typed value without quotes."""
    values = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    return {key: _unquote(value) if _is_quoted(value) else value for key, value in values.items()}


def read_command_line() -> str:
    """Return this process's command line, as typed."""
    program, *arguments = (word for word in sys.argv if word != MULTIRUN)
    words = [Path(program).stem] if is_installed_command(program) else ["python", program]
    return shlex.join([*words, *arguments])


def explain_unreadable(argument: str) -> str:
    """Return a sentence on how to type an override that Hydra cannot parse."""
    found = OVERRIDE.fullmatch(argument)
    if not found:
        return f"{argument!r} is no option: each one is <word>=<value>, as in dataset=imdb."
    key, value = found.groups()
    if not key.isascii():
        return f"There is no option {key}: python train.py --cfg job shows all."
    if re.search(rf"\b({'|'.join(HYDRA_FUNCTIONS)})\([^)]*\bnull\b", value):
        return (
            f"{argument} is not possible: Hydra's functions take no null, but a plain list does: "
            f"{key}=null,1."
        )
    typed = f"{key}={quote_text(value)}"
    shell = shlex.quote(typed) if re.search(r'["$`\\!]', typed) else f'"{typed}"'
    return (
        f"{argument} cannot be read: if the value is one text, quote it for Hydra too: {shell}; "
        f"lists are [a,b], dictionaries {{a:b}}."
    )


def _is_meant_as_text(option: str, value: str, override: Override, is_multirun: bool) -> bool:
    """Return whether Hydra would parse the value with a type the option cannot have."""
    if option == "dataset.separator" and value and value.isspace():
        return True  # Hydra would parse it as empty
    read = None if override.is_sweep_override() else override.value()
    if isinstance(read, list | dict) or (override.is_sweep_override() and not is_multirun):
        return option in ALL_PATH_OPTIONS and Path(value).expanduser().exists()
    if isinstance(read, bool | float):
        return option in (*NEVER_A_NUMBER, *COLUMNS)
    return isinstance(read, int) and option in NEVER_A_NUMBER


def _quote_unreadable(option: str, value: str) -> str:
    """Quote a value that Hydra cannot parse, or the items of a list, function or sweep.

    Raises:
        UserError: if its meaning is ambiguous.
    """
    if option in ALL_PATH_OPTIONS and Path(value).expanduser().exists():
        return quote_text(value)
    items = _quote_items(value) if "," in value else _quote_item(value)
    is_text = option in NEVER_A_NUMBER and value[:1] not in QUOTES
    if items is None and (is_text or ("," in value and not STRUCTURED_START.match(value))):
        items = quote_text(value)
    if items is None or not option.isascii() or not _is_readable(items):
        raise UserError(explain_unreadable(f"{option}={value}"))
    return items


def _quote_items(items: str) -> str | None:
    """Quote those comma-separated items that cannot be parsed; None if that is not possible.

    Commas within quotes, brackets and parentheses do not separate items.
    """
    quoted = [_quote_item(item.strip()) for item in _split_at_commas(items)]
    readable = [item for item in quoted if item is not None]
    return ",".join(readable) if len(readable) == len(quoted) else None


def _quote_item(item: str) -> str | None:
    if item and _is_readable(item):
        return item
    if item.startswith("[") and item.endswith("]"):
        items = _quote_items(item[1:-1])
        return items and f"[{items}]"
    call = re.fullmatch(r"(\w+)\((.*)\)", item, re.DOTALL)
    if call and call[1] in HYDRA_FUNCTIONS:
        items = _quote_items(call[2])
        return items and f"{call[1]}({items})"
    return None if not item or STRUCTURED_START.match(item) else quote_text(item)


def _split_at_commas(items: str) -> Iterator[str]:
    depth, quote, begin = 0, "", 0
    for position, character in enumerate(items):
        if quote:
            quote = "" if character == quote and items[position - 1] != "\\" else quote
        elif character in QUOTES and not items[begin:position].strip():
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth <= 0:
            yield items[begin:position]
            begin = position + 1
    yield items[begin:]


def _is_readable(value: str) -> bool:
    try:
        OverridesParser.create().parse_override(f"key={value}")
    except HydraException:
        return False
    return True


def quote_text(value: str) -> str:
    """Quote a text for Hydra's grammar."""
    return QuotedString(text=value, quote=Quote.single).with_quotes()


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in QUOTES


def _unquote(value: str) -> str:
    try:
        return OverridesParser.create().parse_rule(value, "primitive").text
    except (HydraException, AttributeError):
        return value
