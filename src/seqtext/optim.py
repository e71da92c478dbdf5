"""Optimizers and learning rate schedules, gradient clipping, groups for weight decay."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau

from seqtext.errors import OptionError, UserError, format_reason
from seqtext.validation import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
Interval = Literal["step", "epoch"]
Clipping = Literal["norm", "tensor_norm", "value"]


class OneCycle(OneCycleLR):
    """Raises the learning rate to that of the optimizer, then lowers it to zero, step by step.

    Unlike in torch's own `OneCycleLR`, the peak is reached after exactly `pct_start` of the steps,
    and zero only after the last one; the momentum is constant by default.

    Args:
        optimizer: its learning rate is the peak, unless `max_lr` is set
        total_steps: number of training steps
        max_lr: peak of each parameter group, or of all
        pct_start: fraction of the steps in which the rate rises
        div_factor: the first rate is the peak / `div_factor`
        final_div_factor: the last rate is the first / `final_div_factor`
        others: see torch
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        max_lr: float | list[float],
        pct_start: Fraction = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = False,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: PositiveFloat = 25.0,
        final_div_factor: PositiveFloat = math.inf,
        three_phase: bool = False,
    ):
        super().__init__(
            optimizer,
            max_lr,
            total_steps=total_steps + 1,
            pct_start=(pct_start * total_steps + 1) / (total_steps + 1),
            anneal_strategy=anneal_strategy,
            cycle_momentum=cycle_momentum,
            base_momentum=base_momentum,
            max_momentum=max_momentum,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
            three_phase=three_phase,
        )


class Constant(LRScheduler):
    """Keeps the learning rate constant."""

    def __init__(self, optimizer: Optimizer):
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        """Return the current rates."""
        return [group["lr"] for group in self.optimizer.param_groups]


class LRSchedule:
    """A class of learning rate schedulers, torch's or one's own, with its options.

    Arguments that the options do not set have the values of the run: `total_steps` and `T_max`, the
    number of updates of the rate; `max_lr`, the learning rates of the optimizer.

    Args:
        kind: subclass of torch's `LRScheduler`
        interval: when the rate is updated; None: after each step for classes with `total_steps`,
            else after each epoch
        frequency: number of steps or epochs between updates
        options: arguments of `kind`
    """

    def __init__(
        self,
        kind: type[LRScheduler] = Constant,
        interval: Interval | None = None,
        frequency: PositiveInt = 1,
        **options: Any,
    ):
        self.kind, self.options, self.frequency = kind, options, frequency
        is_of_steps = "total_steps" in inspect.signature(kind).parameters
        self.interval = interval or ("step" if is_of_steps else "epoch")
        if issubclass(kind, ReduceLROnPlateau) and self.interval == "step":
            raise OptionError("interval", "step", "epoch: the monitored metric has one value each")

    def build(
        self,
        optimizer: Optimizer,
        count_updates: Callable[[Interval], int],
        monitor: str,
        mode: Literal["min", "max"],
    ) -> LRSchedulerConfigType | None:
        """Return Lightning's scheduler configuration, or None for a constant rate.

        Args:
            count_updates: returns the number of training steps or epochs
            monitor: the score to watch
            mode: "min" if a lower score is better, else "max"

        Raises:
            UserError: if an option is missing or impossible.
        """
        if self.kind is Constant:
            return None
        parameters = inspect.signature(self.kind).parameters
        updates = -(-count_updates(self.interval) // self.frequency)
        run_values: dict[str, Any] = {
            "optimizer": optimizer,
            "total_steps": updates,
            "T_max": updates,
            "max_lr": [group["lr"] for group in optimizer.param_groups],
        }
        if issubclass(self.kind, ReduceLROnPlateau):
            run_values["mode"] = mode
        arguments = {n: v for n, v in run_values.items() if n in parameters} | self.options
        for name, parameter in parameters.items():
            is_named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if is_named and parameter.default is parameter.empty and name not in arguments:
                raise UserError(f"The option scheduler.{name} is missing.")
        if (total := self.options.get("total_steps")) is not None and total < updates:
            expected = f"at least {updates}, the updates of the run, or left out"
            raise OptionError("scheduler.total_steps", total, expected)
        try:
            scheduler = self.kind(**arguments)
        except (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError) as error:
            raise UserError(f"scheduler: {format_reason(error)}.") from error
        config: LRSchedulerConfigType = {
            "scheduler": scheduler,
            "interval": self.interval,
            "frequency": self.frequency,
        }
        return config | {"monitor": monitor} if self.interval == "epoch" else config


def count_updates(trainer: Trainer, interval: Interval) -> int:
    """Count the training steps or epochs of a run."""
    # Not trainer.estimated_stepping_batches: at this time it resets Lightning's epoch progress of a
    # resumed run.
    assert trainer.max_epochs is not None  # Lightning replaces None
    if interval == "epoch" and trainer.max_epochs != -1:
        return trainer.max_epochs
    batches = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]  # set by fit
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    steps_per_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
    if trainer.max_epochs == -1:  # then max_steps is set
        is_step = interval == "step"
        return trainer.max_steps if is_step else math.ceil(trainer.max_steps / steps_per_epoch)
    steps = trainer.max_epochs * steps_per_epoch
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


def keep_run_values(states: Iterable[dict[str, Any]]) -> None:
    """Remove from schedulers' stored states what a longer or shorter resumed run changes."""
    for state in states:
        for name in ("total_steps", "T_max", "_schedule_phases"):
            state.pop(name, None)


def drop_objects(states: Iterable[dict[str, Any]]) -> None:
    """Remove what a checkpoint cannot hold, such as a Counter: the constructor sets it again."""

    def is_plain(value: Any) -> bool:
        if type(value) in (list, tuple, dict):
            return all(map(is_plain, value.values() if isinstance(value, dict) else value))
        return isinstance(value, int | float | str | torch.Tensor | None)

    for state in states:
        for name in [name for name, value in state.items() if not is_plain(value)]:
            del state[name]


class MuonAdamW(Optimizer):
    """Updates matrices with torch's Muon, and all others and word vectors with AdamW.

    Source: Jordan et al. (2024); Liu et al. (2025), whose scaling lets both have the same learning
    rate and weight decay.

    Args:
        params: parameters, or groups of them: see `build_parameter_groups`; a group without weight
            decay is AdamW's
        lr: learning rate of both
        weight_decay: of both, for groups that do not set it
        momentum, nesterov, ns_steps: options of Muon
        betas, eps: options of AdamW
    """

    needs_groups = True  # to know which matrices are word vectors

    def __init__(
        self,
        params: Iterable[Any],
        lr: NonNegativeFloat = 0.003,
        weight_decay: NonNegativeFloat = 0.1,
        momentum: NonNegativeFloat = 0.95,
        nesterov: bool = True,
        ns_steps: PositiveInt = 5,
        betas: Sequence[float] = (0.9, 0.999),
        eps: NonNegativeFloat = 1e-8,
    ):
        given = list(params)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        parts: dict[bool, list[dict[str, Any]]] = {True: [], False: []}  # whether they are Muon's
        for group in groups:
            has_decay = group.get("weight_decay") != 0
            for is_matrix, part in parts.items():
                members = [p for p in group["params"] if (has_decay and p.ndim == 2) == is_matrix]
                if members:
                    part.append({**group, "params": members})
        self._parts: list[Optimizer] = []
        if parts[True]:
            muon = torch.optim.Muon(
                parts[True],
                lr,
                weight_decay,
                momentum,
                nesterov,
                ns_steps=ns_steps,
                adjust_lr_fn="match_rms_adamw",
            )
            self._parts.append(muon)
        if parts[False]:
            adamw = torch.optim.AdamW(
                parts[False], lr, (betas[0], betas[1]), eps, weight_decay=weight_decay
            )
            self._parts.append(adamw)
        built = [group for part in self._parts for group in part.param_groups]
        super().__init__(built, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters; return the loss of `closure`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        begin = 0
        for part in self._parts:  # a restored state has replaced the groups
            end = begin + len(part.param_groups)
            part.param_groups, part.state, begin = self.param_groups[begin:end], self.state, end
            part.step()
        return loss


def build_parameter_groups(
    model: nn.Module, lr_of: Mapping[int, float] | None = None
) -> list[dict[str, Any]]:
    """Group trainable parameters: matrices, which weight decay shrinks, and all others.

    Word vectors, biases and normalization weights are excluded from weight decay: it would shrink
    vectors of words that the batch does not contain, and the others do not overfit.
    `lr_of` has the learning rates of parameters by their `id`; others have the optimizer's.
    """
    words = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    groups: dict[tuple[Any, bool], dict[str, Any]] = {}
    for parameter in filter(lambda p: p.requires_grad, model.parameters()):
        is_spared = parameter.ndim <= 1 or id(parameter) in words
        lr = (lr_of or {}).get(id(parameter))
        options = {"weight_decay": 0.0} if is_spared else {}
        options |= {} if lr is None else {"lr": lr}
        group = groups.setdefault((lr or 0.0, is_spared), {"params": [], **options})
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def clip_gradients(
    parameters: Sequence[nn.Parameter], limit: float, clipping: str | None = "norm"
) -> None:
    """Clip gradients by their global norm, each tensor's norm (Keras' clipnorm), or by value.

    Args:
        clipping: one of `Clipping`; None: "norm"
    """
    if clipping == "value":
        nn.utils.clip_grad_value_(parameters, limit)
    elif clipping == "tensor_norm":
        for parameter in parameters:
            nn.utils.clip_grad_norm_(parameter, limit)
    else:
        nn.utils.clip_grad_norm_(parameters, limit)
