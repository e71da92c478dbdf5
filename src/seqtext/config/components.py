"""Build the callbacks and loggers of a run: any number of objects with names of the user's."""

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from seqtext.config.available_options import list_choices
from seqtext.config.instantiate import check_options, list_class_names
from seqtext.config.trust import build_refusal, import_target, may_name, may_name_any_class
from seqtext.errors import UserError, format_reason
from seqtext.objectives.base import Objective
from seqtext.validation import get_option_hints

BASES: Mapping[str, type] = {"callbacks": Callback, "logger": Logger, "objectives": Objective}
KNOWN = {  # classes that stored settings, which may be untrusted, can name
    "callbacks": (
        "seqtext.callbacks.early_stopping.TieBreakingEarlyStopping",
        "seqtext.callbacks.averaging.ExponentialMovingAverage",
        "seqtext.callbacks.averaging.StochasticWeightAveraging",
        "seqtext.callbacks.gradual_unfreezing.GradualUnfreezing",
        *(
            f"lightning.pytorch.callbacks.{name}"
            for name in (
                *("EarlyStopping", "EMAWeightAveraging", "LearningRateMonitor"),
                "DeviceStatsMonitor",
            )
        ),
    ),
    "logger": (
        "seqtext.loggers.tensorboard.EpochTensorBoardLogger",
        "seqtext.loggers.csv.RunCSVLogger",
        "seqtext.loggers.mlflow.RunMLFlowLogger",
        "seqtext.loggers.wandb.RunWandbLogger",
    ),
    "objectives": (
        "seqtext.objectives.adversarial.Adversarial",
        "seqtext.objectives.adversarial.VirtualAdversarial",
        "seqtext.objectives.consistency.EntropyMinimization",
        "seqtext.objectives.consistency.ConfidencePenalty",
        "seqtext.objectives.consistency.RDrop",
        "seqtext.objectives.mixup.Mixup",
    ),
}
OF_OWNER = ("tracking_uri", "entity")  # options that say where data is sent
RUN_ARGS = ("folder",)  # arguments that are no options


def check_components(group: str, config: Any) -> None:
    """Check the classes and options of a group before anything is loaded.

    Raises:
        UserError: if a class is not allowed or no callback or logger, or an option is unknown or
            invalid.
    """
    for name, kind, options in _iter_components(group, config):
        hints = get_option_hints(kind) if options else {}
        checked = {option: value for option, value in options.items() if not _is_object(value)}
        if _takes_any_option(kind) and config[name]["_target_"] not in KNOWN[group]:
            checked = {option: value for option, value in checked.items() if option in hints}
        check_options(f"{group}.{name}", hints, checked, RUN_ARGS)


def build_components(group: str, config: Any, run_values: Mapping[str, Any]) -> list[Any]:
    """Build the objects of a group.

    Args:
        group: ``callbacks`` or ``logger``
        config: `_target_` and options of each object, by its name
        run_values: values of the run, for arguments of these names that the options do not set

    Raises:
        UserError: as `check_components`, or if a constructor refuses its arguments.
    """
    check_components(group, config)
    return [
        _build(f"{group}.{name}", kind, options, run_values)
        for name, kind, options in _iter_components(group, config)
    ]


def _build(name: str, kind: type, options: dict[str, Any], run_values: Mapping[str, Any]) -> Any:
    from hydra.utils import instantiate

    parameters = inspect.signature(kind).parameters
    arguments = {n: v for n, v in run_values.items() if n in parameters} | options
    for option, parameter in parameters.items():
        is_named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_named and parameter.default is parameter.empty and option not in arguments:
            raise UserError(f"The option {name}.{option} is missing.")
    try:
        for option, value in options.items():
            if _is_object(value):
                target = str(value["_target_"])
                kind_of_option = import_target(f"{name}.{option}._target_", target)
                allowed = list_class_names(target, kind_of_option)
                arguments[option] = instantiate(
                    value, _convert_="all", _execution_whitelist_=allowed
                )
        return kind(**arguments)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        package = error.name or " ".join(str(error).split())
        raise UserError(f"{name} needs a package: pip install {package}") from error
    except (MisconfigurationException, ValueError, TypeError, LookupError) as error:
        raise UserError(f"{name}: {format_reason(error)}.") from error


def _iter_components(group: str, config: Any) -> Iterator[tuple[str, type, dict[str, Any]]]:
    """Yield name, class and options; a name that is null is left out."""
    if config is None:
        return
    if not isinstance(config, Mapping):
        raise UserError(f"{group}={config} is not possible: it must be a list of choices.")
    for name, options in config.items():
        if options is None:
            continue
        if not isinstance(options, Mapping) or "_target_" not in options:
            raise UserError(_describe_missing_target(group, str(name), [*config]))
        plain = {option: value for option, value in options.items() if option != "_target_"}
        yield str(name), _resolve(group, f"{group}.{name}", str(options["_target_"]), plain), plain


def _resolve(group: str, name: str, target: str, options: Mapping[str, Any]) -> type:
    """Import the class that `target` names; one that is not allowed is not imported."""
    if not may_name_any_class():
        if target not in KNOWN[group] and not may_name(target):
            known = f"one of the choices of {group}="
            raise build_refusal(f"{name}._target_", target, known)
        for option in OF_OWNER:
            if options.get(option) is not None:
                raise UserError(
                    f"{name}.{option}={options[option]} is not allowed in stored settings, which "
                    f"may be untrusted: only a new run may set it."
                )
        if any(map(_is_object, options.values())):
            raise UserError(f"{name} names a class in an option: only a new run may do so.")
    found = import_target(f"{name}._target_", target)
    base = BASES[group]
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(
            f"{name}._target_={target} is not possible: it must be a subclass of Lightning's "
            f"{base.__name__}."
        )
    return found


def _is_object(value: Any) -> bool:
    """Return whether the value of an option describes an object."""
    return isinstance(value, Mapping) and "_target_" in value


def _takes_any_option(kind: type) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(kind).parameters.values())


def _describe_missing_target(group: str, name: str, present: Sequence[str]) -> str:
    choices = list_choices(group)
    if name in choices:
        return f"{group}.{name} is not chosen: add {group}={name} to set its options."
    near = difflib.get_close_matches(name, [*choices, *(p for p in present if p != name)], n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return (
        f"{group}.{name} is not possible: {hint}A new name needs a class, as in "
        f"{group}.{name}._target_=my_project.MyClass."
    )
