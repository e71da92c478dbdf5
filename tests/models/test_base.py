"""TextClassifier: training without Hydra, schedules, parameter groups."""

import math

import lightning as L
import pytest
import torch
from torch import nn

from seqtext.datasets.imdb import IMDB
from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import UserError
from seqtext.models.rnn import GRU, LSTM
from seqtext.optim import LRSchedule, OneCycle
from tests.models.invariance import without_dropout


@pytest.fixture
def data(kaggle_dir, tmp_path) -> IMDB:
    data = IMDB(dir=str(kaggle_dir), cache=str(tmp_path / "cache"), batch_size=16)
    data.setup()
    return data


def trainer(**options) -> L.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return L.Trainer(accelerator="cpu", enable_model_summary=False, **quiet, **options)


class LearningRates(L.Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, model, batch, batch_idx):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def test_without_hydra(data):
    torch.manual_seed(0)
    model = GRU(RandomEmbedding(len(data.vocabulary), dim=8), units=8)
    model.configure_training(lambda parameters: torch.optim.Adam(parameters, lr=0.05))
    fit = trainer(max_epochs=3)
    fit.fit(model, data)
    assert fit.callback_metrics["val/auroc"] > 0.95


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_epochs": 2}, 22),
        ({"max_epochs": 2, "limit_train_batches": 4}, 8),
        ({"max_epochs": 2, "limit_train_batches": 0.5}, 10),
    ],
)
def test_one_cycle_spans_the_run(data, options, steps):
    model = GRU(RandomEmbedding(len(data.vocabulary), dim=4), units=4)
    model.configure_training(
        lambda parameters: torch.optim.SGD(parameters, lr=0.5), LRSchedule(OneCycle)
    )
    rates = LearningRates()
    trainer(callbacks=[rates], **options).fit(model, data)
    assert len(rates.seen) == steps
    assert rates.seen == pytest.approx([0.5 * factor for factor in one_cycle(steps)[:-1]])


def one_cycle(steps: int, **options: object) -> list[float]:
    """Return the learning rate of each step, and that after the last one, for a peak of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = OneCycle(optimizer, steps, max_lr=1.0, **options)
    rates = []
    for _ in range(steps + 1):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def test_one_cycle_shape():
    factors = one_cycle(1000)
    peak = factors.index(max(factors))
    assert factors[0] == pytest.approx(0.04)
    assert peak == 300
    assert factors[peak] == pytest.approx(1)
    assert factors[-1] == pytest.approx(0, abs=1e-9)
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    expected = [0.04 + 0.96 * (1 - math.cos(math.pi * n / 300)) / 2 for n in range(300)]
    expected += [(1 + math.cos(math.pi * n / 700)) / 2 for n in range(701)]
    assert factors == pytest.approx(expected, abs=1e-12)
    assert one_cycle(1000, pct_start=0.1).index(1.0) == 100


def test_optimizer_gets_what_is_trainable():
    model = LSTM(RandomEmbedding(10), units=4)
    model.embedding.requires_grad_(False)
    (group,) = model.configure_optimizers()["optimizer"].param_groups
    trained = {id(p) for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in trained}
    assert names == {
        "layers.0.0.weight_ih_l0",
        "layers.0.0.weight_hh_l0",
        "layers.0.0.bias_ih_l0",
        "output.weight",
        "output.bias",
    }


def test_penalty_counts_in_training_only(data):
    plain, punished = (
        GRU(
            RandomEmbedding(len(data.vocabulary)),
            units=4,
            head_units=[3, 2],
            head_l2=l2,
            **without_dropout(GRU),
        )
        for l2 in (0, [0.5, 0.25])
    )
    punished.load_state_dict(plain.state_dict())
    batch = next(iter(data.train_dataloader()))
    penalty = sum(
        l2 * (d.linear.weight**2).sum()
        for l2, d in zip((0.5, 0.25), plain.head_layers, strict=True)
    )
    difference = punished.training_step(batch, 0) - plain.training_step(batch, 0)
    torch.testing.assert_close(difference, penalty)
    seen = [model._epoch_outputs["train"][0] for model in (plain, punished)]
    assert torch.equal(seen[0][0], seen[1][0]), "scores are made from logits, without it"


def test_embeddings_must_tell_their_dimension():
    with pytest.raises(UserError, match="Identity must have an attribute embedding_dim"):
        GRU(nn.Identity())
