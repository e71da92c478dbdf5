"""Schedules, clipping, weight decay, and every optimizer of the configuration."""

import copy
import functools
import math
from collections.abc import Sequence
from unittest.mock import Mock

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from seqtext.config.instantiate import build_optimizer_factory
from seqtext.embeddings.random import RandomEmbedding
from seqtext.models.rnn import GRU
from seqtext.optim import (
    LRSchedule,
    MuonAdamW,
    OneCycle,
    build_parameter_groups,
    clip_gradients,
    count_updates,
    keep_run_values,
)
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import ROOT, settings_of

OPTIMIZERS = sorted(file.stem for file in (ROOT / "conf" / "optimizer").glob("*.yaml"))
RATES = {"sgd": 0.5, "adagrad": 0.2}


@pytest.fixture
def gradients() -> list[nn.Parameter]:
    parameters = [
        nn.Parameter(torch.zeros(2)),
        nn.Parameter(torch.zeros(3)),
        nn.Parameter(torch.ones(1)),
    ]
    parameters[0].grad = torch.tensor([3.0, 4.0])
    parameters[1].grad = torch.tensor([0.1, -0.2, 0.2])
    return parameters


@pytest.mark.parametrize(
    ("clipping", "expected"),
    [
        ("norm", [[3 / 5.008982, 4 / 5.008982], [0.1 / 5.008982, -0.2 / 5.008982, 0.2 / 5.008982]]),
        ("tensor_norm", [[0.6, 0.8], [0.1, -0.2, 0.2]]),
        ("value", [[1, 1], [0.1, -0.2, 0.2]]),
    ],
)
def test_clipping(gradients, clipping, expected):
    clip_gradients(gradients, 1.0, clipping)
    assert gradients[0].grad.tolist() == pytest.approx(expected[0], rel=1e-5)
    assert gradients[1].grad.tolist() == pytest.approx(expected[1], rel=1e-5)
    assert gradients[2].grad is None


def rates(
    schedule: LRSchedule, scores: Sequence[float], mode: str = "max", updates: int = 4
) -> list[float]:
    """Return the learning rate after each update with these scores."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    config = schedule.build(optimizer, lambda interval: updates, "val/f1", mode)
    scheduler, seen = config["scheduler"], []
    for score in scores:
        optimizer.step()
        scheduler.step(score) if schedule.kind is ReduceLROnPlateau else scheduler.step()
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def test_plateau_halves():
    plateau = LRSchedule(ReduceLROnPlateau, factor=0.5, patience=1)
    assert rates(plateau, [0.5, 0.6, 0.6, 0.55, 0.7, 0.7, 0.6]) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert rates(plateau, [0.5, 0.4, 0.4, 0.45], mode="min") == [1, 1, 1, 0.5]


def test_values_of_the_run():
    cosine = LRSchedule(CosineAnnealingLR, interval="step")
    expected = [(1 + math.cos(math.pi * n / 4)) / 2 for n in (1, 2, 3, 4)]
    assert rates(cosine, range(4)) == pytest.approx(expected)
    torchs = LRSchedule(OneCycleLR, cycle_momentum=False)
    assert torchs.interval == "step"
    assert max(rates(torchs, range(9), updates=9)) <= 1
    each_second = LRSchedule(OneCycle, interval="epoch", frequency=2)
    assert rates(each_second, range(2))[-1] == pytest.approx(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["scheduler._target_=torch.optim.lr_scheduler.StepLR"], "scheduler.step_size is missing"),
        (["scheduler.pct_start=2"], "scheduler.pct_start=2 is not possible"),
        (["scheduler.pct_strat=0.1"], "did you mean scheduler.pct_start?"),
        (["scheduler=plateau", "scheduler.interval=step"], "scheduler.interval=step is not"),
        (["scheduler=plateau", "scheduler.factor=2"], "scheduler: Factor should be < 1.0."),
        (
            ["scheduler._target_=torch.optim.lr_scheduler.StepLr"],
            "did you mean torch.optim.lr_scheduler.StepLR?",
        ),
        (["scheduler._target_=torch.optim.Adam"], "must be a subclass of LRScheduler"),
        (["optimizer._target_=torch.optim.lr_scheduler.StepLR"], "must be a subclass of Optimizer"),
        (
            ["scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "scheduler.total_steps=2"],
            "scheduler.total_steps=2 is not possible: it must be at least 33",
        ),
    ],
)
def test_impossible_schedules(train, small, options, message):
    status, _, error = train(*small, *options)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "typed",
    [
        ["scheduler=one_cycle", "scheduler.pct_start=0.1", "optimizer=muon"],
        ["scheduler._target_=torch.optim.lr_scheduler.StepLR", "scheduler.step_size=2"],
        pytest.param(
            ["scheduler._target_=torch.optim.lr_scheduler.MultiStepLR", "scheduler.milestones=[2]"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_schedules_as_typed(train, small, typed):
    assert train(*small, *typed, "name=typed")[0] == 0
    state = torch.load("outputs/typed/checkpoints/last.ckpt", weights_only=True)
    (scheduler,) = state["lr_schedulers"]
    if typed[0].endswith("one_cycle"):
        assert scheduler["last_epoch"] == 33
        assert state["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0)
    else:
        assert scheduler["last_epoch"] == 3
        assert state["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.005)


def test_a_longer_resumed_run_has_the_schedule_of_its_length():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    short, long = (OneCycle(optimizer, steps, max_lr=1.0) for steps in (4, 8))
    for _ in range(4):
        optimizer.step()
        short.step()
    state = short.state_dict()
    keep_run_values([state])
    long.load_state_dict(state)
    for _ in range(4):
        optimizer.step()
        long.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)
    assert long.last_epoch == 8


def test_muon_takes_matrices_except_word_vectors():
    model = GRU(RandomEmbedding(10, dim=3), units=4, pooling="max")
    make = functools.partial(MuonAdamW, lr=0.01)
    model.configure_training(make)
    optimizer = model.configure_optimizers()["optimizer"]
    matrices, others = optimizer.param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in matrices["params"]} == {
        *("layers.0.0.weight_ih_l0", "layers.0.0.weight_hh_l0", "output.weight")
    }
    assert (matrices["weight_decay"], others["weight_decay"]) == (0.1, 0)

    def update(model: GRU, optimizer: torch.optim.Optimizer) -> None:
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()

    update(model, optimizer)
    restored = copy.deepcopy(model)
    other = restored.configure_optimizers()["optimizer"]
    other.load_state_dict(optimizer.state_dict())
    for each in (model, optimizer), (restored, other):
        update(*each)
    for one, two in zip(model.parameters(), restored.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4)


def test_weight_decay_spares_word_vectors_and_biases():
    model = GRU(RandomEmbedding(10, dim=3), units=4)
    model.configure_training(
        lambda parameters: torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.5)
    )
    groups = model.configure_optimizers()["optimizer"].param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0]
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, spared = ({names[id(p)] for p in group["params"]} for group in groups)
    assert decayed == {"layers.0.0.weight_ih_l0", "layers.0.0.weight_hh_l0", "output.weight"}
    assert {"embedding.weight", "output.bias"} < spared
    assert len(decayed) + len(spared) == len(names)
    assert sum(len(group["params"]) for group in build_parameter_groups(model)) == len(names)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_fits_two_texts(optimizer):
    choice = [f"optimizer={optimizer}", f"optimizer.lr={RATES.get(optimizer, 0.05)}"]
    options = settings_of(*choice, "optimizer.weight_decay=1e-4")["optimizer"]
    torch.manual_seed(0)
    no_dropout = dict.fromkeys(("word_dropout", "head_dropout", "variational_dropout"), 0)
    model = GRU(RandomEmbedding(4, dim=8), units=8, **no_dropout)
    model.configure_training(build_optimizer_factory(options))
    update = model.configure_optimizers()["optimizer"]
    assert optimizer in options["_target_"].lower()
    for _ in range(60):
        update.zero_grad()
        logits = model(torch.tensor([[2], [3]]), torch.tensor([1, 1]))
        loss = F.binary_cross_entropy_with_logits(logits, torch.tensor([0.0, 1.0]))
        loss.backward()
        update.step()
    assert loss < 0.3


@pytest.mark.parametrize(
    "optimizer",
    [o if o == "adamw" else pytest.param(o, marks=pytest.mark.slow) for o in OPTIMIZERS],
)
def test_every_optimizer_learns(small, tmp_path, optimizer):
    options = [option for option in small if not option.startswith("optimizer.")]
    folder = RunDir(tmp_path / "run")
    options += [f"optimizer={optimizer}", f"optimizer.lr={RATES.get(optimizer, 0.05)}"]
    train_and_evaluate(settings_of(*options, "optimizer.weight_decay=1e-4"), folder)

    metrics = folder.read_metrics()
    assert metrics["test"]["auroc"] > 0.9
    assert optimizer in metrics["settings"]["optimizer"]["_target_"].lower()


@pytest.mark.parametrize(
    "scheduler",
    ["plateau", *(pytest.param(name, marks=pytest.mark.slow) for name in ("none", "cosine"))],
)
def test_schedulers_run_and_resume(small, tmp_path, scheduler):
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(
        settings_of(*small, f"scheduler={scheduler}", "trainer.max_epochs=2"), folder
    )
    assert folder.read_metrics()["test"]["auroc"] > 0.9


def test_impossible_nesterov_is_refused(train, small):
    status, _, error = train(*small, "optimizer=sgd", "optimizer.momentum=0")
    assert status == 2
    assert error.startswith("optimizer: Nesterov momentum requires")


def test_max_steps_alone_sets_the_length_of_schedules():
    loader = Mock(train_dataloader=lambda: range(10))
    trainer = Mock(max_epochs=-1, max_steps=25, limit_train_batches=1.0, accumulate_grad_batches=2)
    trainer.datamodule = loader
    assert count_updates(trainer, "step") == 25
    assert count_updates(trainer, "epoch") == 5
