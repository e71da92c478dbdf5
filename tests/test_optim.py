"""Schedules, clipping, weight decay, and every optimizer of the configuration."""

import pytest
import torch
from torch import nn

from seqtext.embeddings.random import RandomEmbedding
from seqtext.models.rnn import GRU
from seqtext.optim import Cosine, Plateau, Scheduler, build_parameter_groups, clip_gradients, cosine
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


def test_cosine():
    assert [cosine(share) for share in (0, 0.5, 1, 1.5)] == pytest.approx([1, 0.5, 0, 0])


def rates(maker: Scheduler, scores: list[float], mode: str = "max") -> list[float]:
    """Return the learning rate after each epoch with these scores."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = maker.build(optimizer, lambda: 4, "val/f1", mode)["scheduler"]
    seen = []
    for score in scores:
        optimizer.step()
        scheduler.step(score) if isinstance(maker, Plateau) else scheduler.step()
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def test_plateau_halves():
    assert rates(Plateau(), [0.5, 0.6, 0.6, 0.55, 0.7, 0.7, 0.6]) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert rates(Plateau(), [0.5, 0.4, 0.4, 0.45], mode="min") == [1, 1, 1, 0.5]


def test_cosine_over_the_steps():
    assert rates(Cosine(), [0] * 4) == pytest.approx([cosine(n / 4) for n in (1, 2, 3, 4)])


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
def test_every_optimizer_learns(small, tmp_path, optimizer):
    options = [option for option in small if not option.startswith("optimizer.")]
    folder = RunDir(tmp_path / "run")
    options += [f"optimizer={optimizer}", f"optimizer.lr={RATES.get(optimizer, 0.05)}"]
    train_and_evaluate(settings_of(*options, "optimizer.weight_decay=1e-4"), folder)

    metrics = folder.read_metrics()
    assert metrics["test"]["auroc"] > 0.9
    assert metrics["settings"]["optimizer"]["_target_"].lower() == f"torch.optim.{optimizer}"


@pytest.mark.parametrize("scheduler", ["none", "cosine", "plateau"])
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
