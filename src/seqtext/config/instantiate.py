"""Build objects from the configuration.

A configuration may come from an untrusted run folder: see `seqtext.config.trust` for who may name
which classes.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import nn

from seqtext.config.available_options import explain_other_choice, find_nearest_options
from seqtext.config.groups import GROUPS, PARTS
from seqtext.config.trust import build_refusal, import_target, is_own, may_name
from seqtext.errors import OptionError, UserError, build_unknown_option_error, format_reason
from seqtext.losses import LOSSES, ColumnLoss, Loss, check_loss
from seqtext.optim import LRSchedule, OptimizerFactory
from seqtext.validation import get_option_hints, validate

CLASS_COUNTS = "class_counts"  # argument of a loss


def validate_group(group: str, config: dict[str, Any]) -> None:
    """Check a group's options before anything is loaded.

    Raises:
        UserError: if the target is not allowed, or an option is unknown or invalid.
    """
    kind = resolve_target(group, str(config.get("_target_")))
    for name, value in config.items():  # e.g. Hydra's _args_
        if name.startswith("_") and (name, value) not in (
            ("_target_", config["_target_"]),
            ("_partial_", GROUPS[group].is_partial),
        ):
            raise UserError(f"{group}.{name}={value} is not possible: leave it as it is in conf/.")
    options = {name: value for name, value in config.items() if not name.startswith("_")}
    options |= resolve_parts(group, config)
    hints = {**get_option_hints(kind), **GROUPS[group].own_options}
    runtime_args = GROUPS[group].runtime_args
    check_options(group, hints, options, runtime_args, target=config["_target_"])


def build_from_config(group: str, config: dict[str, Any], **runtime_args: Any) -> Any:
    """Build the object that a configuration group describes.

    Args:
        group: a key of `GROUPS`, as on the command line
        config: `_target_` and options
        runtime_args: arguments that are known only at run time, such as the vocabulary size

    Raises:
        UserError: as `validate_group`, or raised by the constructor.
    """
    validate_group(group, config)
    target, parts = config["_target_"], resolve_parts(group, config)
    allowed = list_class_names(target, resolve_target(group, target))
    config = {name: value for name, value in config.items() if name not in parts}
    if GROUPS[group].is_partial:
        config["_partial_"] = True
    try:
        return instantiate(
            config, **runtime_args, **parts, _convert_="all", _execution_whitelist_=allowed
        )
    except OptionError as error:  # a constructor does not know the name of its group
        raise (error if "." in error.option else error.within(group)) from error.__cause__
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        raise UserError(f"{group}: {format_reason(cause)}.") from error


def list_class_names(target: str, kind: Any) -> list[str]:
    """Return the names that Hydra has to allow: as typed, and in the module that defines it."""
    return [target, f"{kind.__module__}.{kind.__qualname__}"]


def resolve_parts(group: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the classes, with their options, that options of a group name by `_target_`.

    Raises:
        UserError: if a class is not allowed, or an option of it is unknown or invalid.
    """
    parts = {}
    for option, value in config.items():
        name = f"{group}.{option}"
        if name in PARTS and isinstance(value, Mapping) and "_target_" in value:
            kind = resolve_target(name, str(value["_target_"]))
            options = {o: v for o, v in value.items() if o != "_target_"}
            check_options(name, get_option_hints(kind), options, PARTS[name].runtime_args)
            parts[option] = partial(kind, **options)
    return parts


def build_optimizer_factory(config: dict[str, Any]) -> OptimizerFactory:
    """Build an optimizer factory; an optimizer is constructed once to validate its arguments.

    Raises:
        UserError: as `build_from_config`, or if torch refuses an argument.
    """
    factory = build_from_config("optimizer", config)
    try:
        factory([nn.Parameter(torch.zeros(1))])
    except (ValueError, TypeError, RuntimeError, LookupError, OverflowError) as error:
        raise UserError(f"optimizer: {format_reason(error)}.") from error
    return factory


def build_lr_schedule(config: dict[str, Any], make_optimizer: OptimizerFactory) -> LRSchedule:
    """Build the schedule of the learning rate; it is tried once to validate its arguments.

    Args:
        make_optimizer: see `build_optimizer_factory`

    Raises:
        UserError: as `validate_group`, or if torch refuses an argument.
    """
    validate_group("scheduler", config)
    kind = resolve_target("scheduler", str(config.get("_target_")))
    options = {name: value for name, value in config.items() if name != "_target_"}
    try:
        schedule = LRSchedule(kind, **options)
    except OptionError as error:
        raise error.within("scheduler") from error
    optimizer = make_optimizer([nn.Parameter(torch.zeros(1))])
    schedule.build(optimizer, lambda interval: 1, "val/loss", "min")
    return schedule


def build_loss(
    config: dict[str, Any],
    classes: int,
    has_class_weights: bool = False,
    class_counts: Sequence[int] | None = None,
) -> Loss:
    """Build the training loss: an instance of a module class, or a function with its options.

    Args:
        has_class_weights: whether training uses class weights, which the loss must take then
        class_counts: [classes] training rows of each class, if the loss has such an argument; None:
            not known yet

    Raises:
        UserError: as `build_from_config`, or if it does not return a scalar.
    """
    kind: Any = resolve_target("loss", str(config.get("_target_")))
    counts = [1] * classes if class_counts is None else [int(count) for count in class_counts]
    takes_counts = CLASS_COUNTS in inspect.signature(kind).parameters
    run_values = {CLASS_COUNTS: counts} if takes_counts else {}
    if isinstance(kind, type):
        loss = build_from_config("loss", config, **run_values)
        for module in loss.modules():  # its buffers move with the model, but are not saved
            module._non_persistent_buffers_set.update(module._buffers)
    else:
        validate_group("loss", config)
        options = {k: v for k, v in config.items() if k != "_target_"}
        loss = partial(kind, **options, **run_values)
    if kind not in LOSSES.values():
        loss = ColumnLoss(loss)
    check_loss(loss, classes, has_class_weights)
    return loss


def build_without_target(group: str, kind: type, config: dict[str, Any]) -> Any:
    """Build a `kind` from a group without `_target_`, such as `split`."""
    check_options(group, get_option_hints(kind), config)
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.default is parameter.empty and name not in config:
            raise UserError(f"The option {group}{'.' if group else ''}{name} is missing.")
    try:
        return kind(**config)
    except OptionError as error:
        raise error.within(group) from error


def resolve_target(group: str, target: str, part: str | None = None) -> Any:
    """Import the class (or, in a group that allows it, the function) that `target` names.

    Args:
        part: name of one of several objects of the group, for messages

    Raises:
        UserError: if it may not be named (then it is not imported), does not exist, or is of
            another kind.
    """
    allowed = (GROUPS | PARTS)[group]
    option, bases = f"{group}{f'.{part}' if part else ''}._target_", allowed.load_bases()
    kinds = f"a subclass of {' or '.join(kind.__name__ for kind in bases)}"
    kinds += " or a function" * allowed.has_functions
    is_known = any(
        re.fullmatch(rf"{re.escape(package)}(\.[a-z_]\w*)?\.[A-Za-z]\w*", target)
        for package in allowed.packages
    )
    if not is_known and not may_name(target):
        raise build_refusal(option, target, f"{kinds} in {' or '.join(allowed.packages)}")
    found = import_target(option, target)
    if isinstance(found, type) and issubclass(found, bases):
        return found
    if isinstance(found, FunctionType) and allowed.has_functions and is_own(found, target):
        return found
    raise UserError(f"{option}={target} is not possible: it must be {kinds}.")


def check_options(
    group: str,
    hints: Mapping[str, Any],
    options: Mapping[str, Any],
    runtime_args: Sequence[str] = (),
    target: str | None = None,
) -> None:
    """Raise for unknown options, and for values that do not fit their type hints."""
    known = [name for name in hints if name not in runtime_args]
    for option in options:
        if option not in known:
            name = f"{group}.{option}" if group else option
            if sentence := explain_other_choice(name, target):
                raise UserError(sentence)
            raise build_unknown_option_error(option, known, group, find_nearest_options(name))
    try:
        validate(hints, options)
    except OptionError as error:
        raise error.within(group) from error
