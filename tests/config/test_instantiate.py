"""Configurations from strangers may build only known classes: this package's and torch's."""

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from seqtext.config import trainer
from seqtext.config.instantiate import (
    build_from_config,
    build_lr_schedule,
    build_optimizer_factory,
    validate_group,
)
from seqtext.config.trainer import build_trainer
from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import UserError


@pytest.mark.parametrize(
    ("group", "target"),
    [
        ("model", "os.system"),
        ("model", "builtins.eval"),
        ("model", "torch.nn.GRU"),
        ("model", "torch.optim.Adam"),
        ("model", "seqtext.models.rnn.nn.Module"),
        ("model", "seqtext.models.rnn.torch.load"),
        ("model", "seqtext.models.rnn.Pooling"),
        ("model", "seqtext.models.rnn.TextClassifier.load_from_checkpoint"),
        ("model", "seqtext.models.rnn.Missing"),
        ("model", "seqtext.models.missing.GRU"),
        ("model", "seqtext.training.train.Options"),
        ("model", "seqtext.datasets.imdb.IMDB"),
        ("dataset", "seqtext.models.rnn.GRU"),
        ("embedding", "seqtext.datasets.imdb.Path"),
        ("optimizer", "torch.load"),
        ("optimizer", "torch.optim.lr_scheduler.LambdaLR"),
        ("optimizer", "seqtext.models.rnn.GRU"),
        ("model", "None"),
    ],
)
def test_other_targets_are_refused(group, target):
    with pytest.raises(UserError, match=f"{group}._target_={target}"):
        build_from_config(group, {"_target_": target})


def test_a_target_hidden_in_an_option_is_refused():
    config = {"_target_": "seqtext.models.rnn.GRU", "units": {"_target_": "os.getcwd"}}
    with pytest.raises(UserError):
        build_from_config("model", config, embedding=RandomEmbedding(5))
    optimizer = {"_target_": "torch.optim.Adam", "lr": {"_target_": "os.getcwd"}, "_partial_": True}
    with pytest.raises(UserError):
        build_from_config("optimizer", optimizer)


@pytest.mark.parametrize(
    "options",
    [
        {"_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": {"_target_": "os.system"}},
        {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": {"_target_": "os.system"}},
        {"_target_": "torch.optim.lr_scheduler.SequentialLR", "schedulers": [{}], "milestones": []},
        {"_target_": "torch.optim.lr_scheduler.partial"},
        {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 1, "last_epoch": 3},
    ],
)
def test_schedules_from_strangers(options):
    make = build_optimizer_factory({"_target_": "torch.optim.SGD"})
    with pytest.raises(UserError):
        build_lr_schedule(options, make)


def test_allowed_targets():
    embedding = build_from_config(
        "embedding",
        {"_target_": "seqtext.embeddings.random.RandomEmbedding", "dim": 4},
        vocabulary_size=9,
    )
    model = build_from_config(
        "model", {"_target_": "seqtext.models.rnn.GRU", "units": 3}, embedding=embedding
    )
    factory = build_optimizer_factory({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5})
    assert isinstance(factory(model.parameters()), torch.optim.SGD)


def test_options_are_checked_before_anything_is_made():
    with pytest.raises(UserError, match=r"model\.units=0"):
        validate_group("model", {"_target_": "seqtext.models.rnn.GRU", "units": 0})


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps"])
def test_a_device_that_is_not_there(accelerator, monkeypatch):
    for kind in (trainer.CUDAAccelerator, trainer.MPSAccelerator):
        monkeypatch.setattr(kind, "is_available", lambda: False)
    with pytest.raises(UserError, match=rf"trainer\.accelerator={accelerator}.*trainer=cpu or "):
        build_trainer({"accelerator": accelerator})


def test_messages_of_libraries_end_in_one_stop():
    with pytest.raises(UserError, match=r"^optimizer: .*[^.]\.$"):  # torch's, without a stop
        build_optimizer_factory({"_target_": "torch.optim.SGD", "_partial_": True, "lr": -1.0})
    with pytest.raises(UserError, match=r"^trainer: .*[^.]\.$"):  # Lightning's, with a stop
        build_trainer({"accelerator": "abacus"})


def test_one_process_needs_no_ddp():
    for strategy in ("ddp", "auto"):
        built = build_trainer({"strategy": strategy, "accelerator": "cpu", "devices": 1})
        assert isinstance(built.strategy, SingleDeviceStrategy)
