"""Build objects from the configuration.

A configuration may come from an untrusted run folder, so it can only name this package's data
sets, models and embeddings, and torch's optimizers.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Trainer
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator, XLAAccelerator
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from seqtext.checkpoints.files import AtomicCheckpointIO
from seqtext.config.available_options import explain_other_choice, find_nearest_options
from seqtext.config.groups import GROUPS
from seqtext.distributed import (
    ProcessInfo,
    WorkerEnvironment,
    find_externally_launched,
)
from seqtext.errors import OptionError, UserError, build_unknown_option_error, format_reason
from seqtext.optim import Clipping, OptimizerFactory
from seqtext.speedups import build_null_profiler
from seqtext.validation import (
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    get_option_hints,
    validate,
)

DEVICE_KINDS: dict[str, tuple[Any, ...]] = {  # accelerators that a machine may lack
    "gpu": (CUDAAccelerator, MPSAccelerator),
    "cuda": (CUDAAccelerator,),
    "mps": (MPSAccelerator,),
    "tpu": (XLAAccelerator,),
}


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
    if GROUPS[group].is_partial and "_partial_" not in config:
        raise UserError(f"{group}._partial_=true is missing.")
    options = {name: value for name, value in config.items() if not name.startswith("_")}
    hints, runtime_args = get_option_hints(kind), GROUPS[group].runtime_args
    _check(group, hints, options, runtime_args, target=config["_target_"])


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
    target = config["_target_"]
    try:
        return instantiate(config, **runtime_args, _convert_="all", _execution_whitelist_=target)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        raise UserError(f"{group}: {format_reason(cause)}.") from error


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


def build_without_target(group: str, kind: type, config: dict[str, Any]) -> Any:
    """Build a `kind` from a group without `_target_`, such as `split`."""
    _check(group, get_option_hints(kind), config)
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.default is parameter.empty and name not in config:
            raise UserError(f"The option {group}{'.' if group else ''}{name} is missing.")
    try:
        return kind(**config)
    except OptionError as error:
        raise error.within(group) from error


def resolve_target(group: str, target: str) -> type:
    """Import the class that `target` names.

    Raises:
        UserError: if it does not exist, or is not allowed in this group.
    """
    package, bases = GROUPS[group].package, GROUPS[group].load_bases()
    if re.fullmatch(rf"{re.escape(package)}(\.[a-z_]\w*)?\.[A-Z]\w*", target):
        module, name = target.rsplit(".", 1)
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            reason = format_reason(error)
            raise UserError(f"{group}._target_={target} cannot be found: {reason}.") from error
        if isinstance(found, type) and issubclass(found, bases):
            return found
    kinds = " or ".join(kind.__name__ for kind in bases)
    raise UserError(
        f"{group}._target_={target} is not allowed: it must name a {kinds} in {package}."
    )


def create_trainer(
    logger: Any,
    callbacks: list,
    process: ProcessInfo,
    accelerator: str = "auto",
    devices: PositiveInt | list[NonNegativeInt] = 1,
    num_nodes: PositiveInt = 1,
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = "auto",
    precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true",
    max_epochs: PositiveInt = 4,
    gradient_clip_val: PositiveFloat | None = 1.0,
    gradient_clip_algorithm: Clipping = "norm",
    accumulate_grad_batches: PositiveInt = 1,
    limit_train_batches: PositiveInt | Fraction | None = None,
    deterministic: bool = False,
    detect_anomaly: bool = False,
    profiler: Literal["simple", "advanced", "pytorch"] | None = None,
) -> Trainer:
    """Create Lightning's Trainer from those of its options that do not invalidate results."""
    kinds = DEVICE_KINDS.get(accelerator)
    if kinds and not any(kind.is_available() for kind in kinds):
        found = f"since PyTorch finds no {accelerator} here"
        expected = f"cpu or auto (set trainer=cpu or trainer=auto), {found}"
        raise OptionError("accelerator", accelerator, expected)
    if count_devices(devices) < 1:
        raise OptionError("devices", devices, "a whole number, or a list of devices' numbers")
    launched = find_externally_launched()  # by torchrun or Slurm, which Lightning detects
    if launched is None and num_nodes > 1:
        raise OptionError("num_nodes", num_nodes, "1, or torchrun or srun must start the processes")
    if launched and count_devices(devices) * num_nodes != launched.world_size:
        expected = f"{launched.world_size / num_nodes:g}: so many processes were started"
        raise OptionError("devices", devices, expected)
    environments = [] if launched else [WorkerEnvironment(process)]
    trainer = Trainer(
        logger=logger,
        callbacks=callbacks,
        accelerator=accelerator,
        devices=devices,
        num_nodes=num_nodes,
        strategy=_build_strategy(strategy, count_devices(devices) * num_nodes),
        plugins=[*environments, AtomicCheckpointIO()],
        use_distributed_sampler=False,  # the loaders distribute the rows
        precision=precision,
        max_epochs=max_epochs,
        gradient_clip_val=gradient_clip_val,
        accumulate_grad_batches=accumulate_grad_batches,
        limit_train_batches=limit_train_batches,
        deterministic=deterministic,
        detect_anomaly=detect_anomaly,
        profiler=profiler or build_null_profiler(),
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
        enable_progress_bar=bool(callbacks),
    )
    trainer.gradient_clip_algorithm = gradient_clip_algorithm  # type: ignore[assignment]  # Lightning's type allows only two values
    return trainer


def count_devices(devices: int | Sequence[int]) -> int:
    """Return the number of devices given by the option `devices`."""
    return devices if isinstance(devices, int) else len(devices)


def build_trainer(
    config: dict[str, Any],
    logger: Any = False,
    callbacks: Sequence = (),
    process: ProcessInfo = ProcessInfo(),  # noqa: B008  an immutable value
) -> Trainer:
    """Build the Trainer from the options of the group `trainer`.

    Args:
        process: rank and number of the processes of the run

    Raises:
        UserError: if an option is unknown or invalid, or Lightning refuses its value.
    """
    _check(
        "trainer",
        get_option_hints(create_trainer),
        config,
        runtime_args=("logger", "callbacks", "process"),
    )
    try:
        return create_trainer(logger=logger, callbacks=list(callbacks), process=process, **config)
    except OptionError as error:
        raise error.within("trainer") from error
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UserError(f"trainer: {format_reason(error)}.") from error


def _build_strategy(name: str, world_size: int) -> DDPStrategy | str:
    if name != "auto" or world_size == 1:
        return name
    return DDPStrategy(broadcast_buffers=False)  # equal on all processes: see `all_reduce_sum`


def _check(
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
