"""Build Lightning's Trainer from the group `trainer`, which takes all options of its constructor.

The options are checked against the Trainer's own signature. Those that would make results invalid,
or that another option sets, are refused with the reason.
"""

import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Interval
from lightning import Trainer
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator, XLAAccelerator
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from seqtext.checkpoints.files import AtomicCheckpointIO
from seqtext.config.instantiate import check_options
from seqtext.distributed import ProcessInfo, WorkerEnvironment, find_externally_launched
from seqtext.errors import OptionError, UserError, format_reason
from seqtext.optim import Clipping
from seqtext.speedups import build_null_profiler
from seqtext.validation import NonNegativeInt, PositiveFloat, PositiveInt, get_option_hints

Share = Annotated[float, Interval(gt=0, le=1)]  # of the batches
BatchLimit = PositiveInt | Share | None
PLAIN_TYPES = (int, float, bool, str, dict, types.NoneType)
DEFAULTS: dict[str, Any] = {  # where they differ from Lightning's
    "devices": 1,
    "max_epochs": "auto",
    "gradient_clip_val": 1.0,
    "num_sanity_val_steps": 0,
    "deterministic": False,
    "precision": "32-true",
    "strategy": "auto",
    "gradient_clip_algorithm": "norm",
}
OWN_HINTS: dict[str, Any] = {  # narrower than Lightning's
    "devices": PositiveInt | list[NonNegativeInt],
    "num_nodes": PositiveInt,
    "strategy": Literal["auto", "ddp", "ddp_find_unused_parameters_true"],
    "precision": Literal[
        *("32-true", "64-true", "bf16-mixed", "16-mixed", 32, 64, 16, "32", "64", "16", "bf16")
    ],
    "max_epochs": PositiveInt | Literal[-1, "auto"],
    "min_epochs": PositiveInt | None,
    "max_steps": PositiveInt | Literal[-1],
    "min_steps": PositiveInt | None,
    "gradient_clip_val": PositiveFloat | None,
    "gradient_clip_algorithm": Clipping,
    "accumulate_grad_batches": PositiveInt,
    "limit_train_batches": BatchLimit,
    "limit_val_batches": BatchLimit,
    "limit_test_batches": BatchLimit,
    "overfit_batches": NonNegativeInt | Annotated[float, Interval(ge=0, le=1)],
    "val_check_interval": PositiveInt | Share | str | dict | None,
    "check_val_every_n_epoch": PositiveInt | None,
    "fast_dev_run": bool | NonNegativeInt,
    "profiler": Literal["simple", "advanced", "pytorch"] | None,
}
DEVICE_KINDS: dict[str, tuple[Any, ...]] = {  # accelerators that a machine may lack
    "gpu": (CUDAAccelerator, MPSAccelerator),
    "cuda": (CUDAAccelerator,),
    "mps": (MPSAccelerator,),
    "tpu": (XLAAccelerator,),
}
MIN_STEPS, MIN_EPOCHS, MAX_EPOCHS = 1_000, 4, 40  # of max_epochs=auto
PATIENCE_SHARE, MIN_PATIENCE = 0.25, 2  # of patience=auto: of the epochs, and epochs
REFUSED = {  # reasons, each the end of a sentence
    "logger": "logger= chooses the loggers",
    "callbacks": "callbacks= chooses the callbacks",
    "plugins": "the checkpoints of a run need their own plugin",
    "default_root_dir": "name= and paths.output_dir set the folder of a run",
    "enable_checkpointing": "a run is tested with the checkpoint of its best epoch",
    "enable_model_summary": "the log always has a summary of the model",
    "enable_autolog_hparams": "the settings are logged with the final scores",
    "model_registry": "checkpoints are in the folder of the run",
    "use_distributed_sampler": "the data loaders share the rows between the processes",
    "sync_batchnorm": "batch normalization is always synchronized between the processes",
    "reload_dataloaders_every_n_epochs": "a resumed run needs the data loaders it was started with",
    "limit_predict_batches": "trainer.limit_val_batches and trainer.limit_test_batches limit the "
    "batches that a run is evaluated on",
    "barebones": "it disables the logs and checkpoints that a run is evaluated with",
}


@cache
def get_trainer_hints() -> Mapping[str, Any]:
    """Return the type hints of all options of `trainer`: those of Lightning's Trainer."""
    lightnings = get_option_hints(Trainer)
    kept = {name: _keep_plain_types(hint) for name, hint in lightnings.items()}
    return {name: OWN_HINTS.get(name, hint) for name, hint in kept.items() if name not in REFUSED}


def _keep_plain_types(hint: Any) -> Any:
    """Remove the types of a union that the command line has no values of, such as Strategy."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    members = [get_origin(t) if get_origin(t) is dict else t for t in get_args(hint)]
    return Union[*(t for t in members if t in PLAIN_TYPES or get_origin(t) in (Literal, list))]


def resolve_max_epochs(config: dict[str, Any], batches: int) -> tuple[dict[str, Any], int]:
    """Replace max_epochs=auto: by so many epochs, 4 to 40, that there are at least 1,000 steps.

    With max_steps, it is no limit; min_epochs is the smallest value.

    Args:
        config: options of the group `trainer`
        batches: training batches of an epoch

    Returns:
        The options, and the largest number of epochs.
    """
    options = DEFAULTS | config
    limit = options.get("limit_train_batches")
    if isinstance(limit, int):
        batches = min(batches, limit)
    elif limit is not None:
        batches = max(1, int(batches * limit))
    steps = math.ceil(batches / options.get("accumulate_grad_batches", 1))
    max_steps = options.get("max_steps", -1)
    epochs = options["max_epochs"]
    if epochs == "auto":
        epochs = min(max(math.ceil(MIN_STEPS / steps), MIN_EPOCHS), MAX_EPOCHS)
        epochs = -1 if max_steps != -1 else max(epochs, options.get("min_epochs") or 0)
    largest = math.ceil(max_steps / steps) if epochs == -1 else epochs
    return config | {"max_epochs": epochs}, largest


def resolve_patience(patience: int | str | None, max_epochs: int) -> int | None:
    """Replace patience=auto: by a quarter of the epochs, at least 2."""
    if patience != "auto":
        return patience  # type: ignore[return-value]  # checked by RunConfig
    return max(MIN_PATIENCE, int(PATIENCE_SHARE * max_epochs))


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
        UserError: if an option is unknown, refused or invalid, or Lightning refuses its value.
    """
    for option in config:
        if option in REFUSED:
            raise UserError(f"trainer.{option} cannot be set: {REFUSED[option]}.")
    check_options("trainer", get_trainer_hints(), config)
    try:
        return _create_trainer(logger, list(callbacks), process, DEFAULTS | config)
    except OptionError as error:
        raise error.within("trainer") from error
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UserError(f"trainer: {format_reason(error)}.") from error


def _create_trainer(
    logger: Any, callbacks: list, process: ProcessInfo, options: dict[str, Any]
) -> Trainer:
    """Create the Trainer of checked options."""
    if options["max_epochs"] == "auto":  # only to check the options
        options["max_epochs"] = MIN_EPOCHS
    if options["max_epochs"] == -1 and options.get("max_steps", -1) == -1:
        raise OptionError("max_epochs", -1, "at least 1, unless trainer.max_steps is set")
    accelerator = options["accelerator"]
    kinds = DEVICE_KINDS.get(accelerator)
    if kinds and not any(kind.is_available() for kind in kinds):
        found = f"since PyTorch finds no {accelerator} here"
        expected = f"cpu or auto (set trainer=cpu or trainer=auto), {found}"
        raise OptionError("accelerator", accelerator, expected)
    devices, num_nodes = count_devices(options["devices"]), options.get("num_nodes", 1)
    if devices < 1:
        raise OptionError(
            "devices", options["devices"], "a whole number, or a list of devices' numbers"
        )
    launched = find_externally_launched()  # by torchrun or Slurm, which Lightning detects
    if launched is None and num_nodes > 1:
        raise OptionError("num_nodes", num_nodes, "1, or torchrun or srun must start the processes")
    if launched and devices * num_nodes != launched.world_size:
        expected = f"{launched.world_size / num_nodes:g}: so many processes were started"
        raise OptionError("devices", options["devices"], expected)
    environments = [] if launched else [WorkerEnvironment(process)]
    clipping = options.pop("gradient_clip_algorithm")
    is_bar_wanted = options.pop("enable_progress_bar", None) in (True, None)
    profiler = options.pop("profiler", None) or build_null_profiler()
    options["strategy"] = _build_strategy(options["strategy"], devices * num_nodes)
    trainer = Trainer(
        **options,
        logger=logger,
        callbacks=callbacks,
        plugins=[*environments, AtomicCheckpointIO()],
        use_distributed_sampler=False,  # the loaders distribute the rows
        profiler=profiler,
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
        enable_progress_bar=bool(callbacks),
    )
    trainer.gradient_clip_algorithm = clipping  # Lightning knows only two of its values
    if not is_bar_wanted:
        for callback in callbacks:
            if isinstance(callback, ProgressBar):
                callback.disable()
    return trainer


def count_devices(devices: int | Sequence[int]) -> int:
    """Return the number of devices given by the option `devices`."""
    return devices if isinstance(devices, int) else len(devices)


def _build_strategy(name: str, world_size: int) -> DDPStrategy | str:
    if world_size == 1:  # DDP of one process would only be slower, and warn
        return "auto"
    if name not in ("auto", "ddp"):
        return name
    return DDPStrategy(broadcast_buffers=False)  # equal on all processes: see `all_reduce_sum`
