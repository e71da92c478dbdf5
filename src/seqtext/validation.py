"""Check options against the type hints of the constructor that takes them.

Bounds are annotations of the library annotated_types, as pydantic's are. Pydantic itself is not
used: importing it would add 0.10 s to the 0.58 s of processor time of `python train.py --help`, and
its errors would still have to be turned into sentences.
"""

import functools
import inspect
import operator
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, GroupedMetadata, Gt, Interval, Le, Lt

from seqtext.errors import OptionError, UserError, format_value

BOUNDS: dict[type, tuple[str, str, Callable[[Any, Any], bool]]] = {  # attribute: words, comparison
    Ge: ("ge", "at least", operator.ge),
    Gt: ("gt", "more than", operator.gt),
    Le: ("le", "at most", operator.le),
    Lt: ("lt", "less than", operator.lt),
}
WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "a dictionary",
    types.NoneType: "null",
}
PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]
DropoutRate = Annotated[float, Interval(ge=0, lt=1)]
Fraction = Annotated[float, Interval(gt=0, lt=1)]  # of rows
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]


def get_option_hints(function: Callable) -> dict[str, Any]:
    """Return the type hints of all arguments of a function or class.

    If a constructor passes on keyword arguments, ``super().__init__(**shared)``, the hints of the
    next class in the method resolution order are included: for ``class FocalGRU(Focal, GRU)`` with
    a mixin `Focal`, the hints of both.
    """
    if not isinstance(function, type):
        return _get_own_hints(function)[0]
    hints: dict[str, Any] = {}
    for kind in function.__mro__:
        if "__init__" not in vars(kind):
            continue
        own, hands_on = _get_own_hints(vars(kind)["__init__"])
        hints = hints | {name: hint for name, hint in own.items() if name not in hints}
        if not hands_on:
            break
    return hints


def _get_own_hints(function: Callable) -> tuple[dict[str, Any], bool]:
    """Return the type hints of keyword arguments, and whether there is a ``**others``."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError:  # hints that are imported for type checks only
        hints = {}
    parameters = inspect.signature(function).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    own = {p.name: hints.get(p.name, Any) for p in named if p.name != "self"}
    return own, any(p.kind is p.VAR_KEYWORD for p in parameters)


def validate(hints: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Check arguments against their type hints.

    Raises:
        OptionError: for the first argument that does not fit, with what it must be.
    """
    for name, value in arguments.items():
        if name in hints and (expected := find_type_error(value, hints[name])):
            raise OptionError(name, value, expected)


def validate_args(function: Callable) -> Callable:
    """Decorate a function to refuse arguments that do not fit its annotations (see `validate`)."""
    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        validate(hints, signature.bind(*args, **kwargs).arguments)
        return function(*args, **kwargs)

    return wrapper


def broadcast_to_layers(
    option: str, value: Any, count: int, what: str, group: str = "model"
) -> list:
    """Return a list of `count` values: the items of a list, or the same value for all layers.

    Raises:
        UserError: if a list has another length.
    """
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise UserError(
            f"{group}.{option}={format_value(list(value))} is not possible: it must be one value, "
            f"or a list of {count}, one per {what}."
        )
    return list(value)


def find_type_error(value: Any, hint: Any) -> str | None:
    """Describe what `value` must be, or return None if it fits the type `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        fits = _is_instance(value, arguments[0]) and is_within(value, arguments[1:])
    elif origin in (Union, types.UnionType):
        fits = any(find_type_error(value, argument) is None for argument in arguments)
    elif origin is Literal:
        fits = value in arguments
    elif origin is Callable:
        fits = callable(value)
    elif origin in (list, Sequence):
        fits = isinstance(value, list | tuple) and not any(
            find_type_error(v, arguments[0]) for v in value
        )
    elif origin is tuple and Ellipsis not in arguments:
        is_list = isinstance(value, list | tuple) and len(value) == len(arguments)
        fits = is_list and not any(map(find_type_error, value, arguments))
    else:
        fits = _is_instance(value, hint)
    return None if fits else describe_type(hint)


def describe_type(hint: Any) -> str:
    """Describe a type hint in words: `int | None` is "a whole number, or null"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{describe_type(arguments[0])} {_describe_bounds(arguments[1:])}".strip()
    if origin in (Union, types.UnionType):
        typed = [each for each in arguments if each in WORDS or get_origin(each)] or arguments
        return ", or ".join(describe_type(each) for each in typed)  # without those of code, Tensor
    if origin is Literal:
        return "one of " + ", ".join(str(argument) for argument in arguments)
    if origin is Callable:
        return "a class, as its option _target_"
    if origin in (list, Sequence, tuple):
        count = f" of {len(arguments)}" if origin is tuple else ""
        return f"a list{count}, each item {describe_type(arguments[0])}"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def _is_instance(value: Any, kind: Any) -> bool:
    if kind is Any or not isinstance(kind, type):
        return True  # passed by code, not a config option
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind)


def is_within(value: Any, metadata: Iterable[Any]) -> bool:
    """Return whether a number is within the bounds of an annotation, such as ``Ge(1)``."""
    return all(compare(value, limit) for _, limit, compare in _list_bounds(metadata))


def _describe_bounds(metadata: Iterable[Any]) -> str:
    return " and ".join(f"{words} {_number(limit)}" for words, limit, _ in _list_bounds(metadata))


def _list_bounds(metadata: Iterable[Any]) -> Iterator[tuple[str, Any, Callable[[Any, Any], bool]]]:
    """Yield the words, the limit and the comparison of each bound; other metadata have none.

    Pydantic's types have the same bounds: ``Annotated[int, Field(ge=1)]`` too.
    """
    for item in metadata:
        if isinstance(item, GroupedMetadata):
            yield from _list_bounds(item)
        elif found := BOUNDS.get(type(item)):
            name, words, compare = found
            yield words, getattr(item, name), compare
        else:
            yield from _list_bounds(getattr(item, "metadata", ()))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"
