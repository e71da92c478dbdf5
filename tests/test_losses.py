"""Losses: values, gradients, class weights, and the command line's choices."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seqtext.config.instantiate import build_loss, resolve_target
from seqtext.errors import UserError
from seqtext.losses import (
    LOSSES,
    ColumnLoss,
    check_loss,
    class_balanced,
    cross_entropy,
    focal,
    logit_adjusted,
)
from tests.conftest import settings_of

TWO = torch.tensor([0.3, -2.0, 4.0, 0.0])
THREE = torch.tensor([[0.3, 1.0, -1.0], [2.0, 0.0, 0.5], [0.0, 0.0, 0.0], [-1.0, 3.0, 1.0]])
LABELS = torch.tensor([1, 0, 1, 0])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0])


def as_two_columns(logits: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.zeros_like(logits), logits], dim=1)


@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1}], ids=["plain", "label_smoothing"]
)
def test_two_classes_are_two_columns(options):
    wanted = F.cross_entropy(as_two_columns(TWO), LABELS, **options)
    torch.testing.assert_close(cross_entropy(TWO, LABELS, **options), wanted)
    torch.testing.assert_close(
        cross_entropy(TWO, LABELS, WEIGHTS[:2], **options),
        cross_entropy(as_two_columns(TWO), LABELS, WEIGHTS[:2], **options),
    )


def test_smoothed_loss_of_more_classes():
    wanted = F.cross_entropy(THREE, LABELS, label_smoothing=0.1)
    torch.testing.assert_close(cross_entropy(THREE, LABELS, label_smoothing=0.1), wanted)


@pytest.mark.parametrize("logits", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weights"])
def test_focal_loss(logits, weights):
    weights = None if weights is None else weights[: 2 if logits.ndim == 1 else 3]
    columns = as_two_columns(logits) if logits.ndim == 1 else logits
    probs = columns.softmax(dim=1)[torch.arange(4), LABELS]
    each = (1 - probs) ** 2 * -probs.log()
    each = each if weights is None else each * weights[LABELS]
    torch.testing.assert_close(focal(logits, LABELS, weights), each.mean())
    torch.testing.assert_close(
        focal(logits, LABELS, weights, gamma=0), cross_entropy(logits, LABELS, weights)
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradients_are_finite_for_certain_predictions(gamma):
    logits = torch.tensor([200.0, -200.0, 200.0], requires_grad=True)
    focal(logits, torch.tensor([1, 0, 0]), gamma=gamma).backward()
    assert logits.grad.isfinite().all()


def test_class_balanced_loss():
    each = F.cross_entropy(THREE, LABELS, reduction="none")
    weights = torch.tensor([(1 - 0.9) / (1 - 0.9**n) for n in (10, 20, 70)])
    weights /= (weights * torch.tensor([0.1, 0.2, 0.7])).sum()  # a mean of 1 over training rows
    counts = [10, 20, 70]
    found = class_balanced(THREE, LABELS, class_counts=counts, beta=0.9)
    torch.testing.assert_close(found, (each * weights[LABELS]).mean())
    plain = class_balanced(THREE, LABELS, class_counts=counts, beta=0)
    torch.testing.assert_close(plain, cross_entropy(THREE, LABELS))
    near_one = class_balanced(THREE, LABELS, class_counts=counts, beta=1 - 1e-10)
    inverse = cross_entropy(THREE, LABELS, torch.tensor([10 / 3, 5 / 3, 10 / 21]))
    torch.testing.assert_close(near_one, inverse)
    both = class_balanced(THREE, LABELS, WEIGHTS, class_counts=counts, beta=0)
    torch.testing.assert_close(both, cross_entropy(THREE, LABELS, WEIGHTS))


def test_logit_adjusted_loss():
    shares = torch.tensor([0.1, 0.2, 0.7])
    found = logit_adjusted(THREE, LABELS, class_counts=[10, 20, 70], tau=1.5)
    torch.testing.assert_close(found, F.cross_entropy(THREE + 1.5 * shares.log(), LABELS))
    two = logit_adjusted(TWO, LABELS, class_counts=[90, 10])
    columns = as_two_columns(TWO) + torch.tensor([0.9, 0.1]).log()
    torch.testing.assert_close(two, F.cross_entropy(columns, LABELS))


def test_counts_are_those_of_the_training_rows():
    config = settings_of("loss=logit_adjusted")["loss"]
    loss = build_loss(config, 2, class_counts=[90, 10])
    torch.testing.assert_close(
        loss(TWO, LABELS), logit_adjusted(TWO, LABELS, class_counts=[90, 10])
    )


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_file_with_its_defaults(name):
    config = settings_of(f"loss={name}")["loss"]
    assert resolve_target("loss", config["_target_"]) is LOSSES[name]
    for classes in (2, 5) if name != "distill" else ():  # which needs a teacher
        assert build_loss(config, classes)(torch.zeros(3, classes), torch.tensor([0, 1, 1])) > 0


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, logits, labels, class_weights=None):
        return self.weight * cross_entropy(logits, labels, class_weights)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda logits: logits.sum(), r"fails for logits \[2, 2\] and labels \[2\] .TypeError"),
        (lambda logits, labels, class_weights: logits, r"a scalar .* it returns shape \[2\]"),
        (lambda logits, labels, class_weights: 3.0, "it returns float"),
        (lambda logits, labels, class_weights: logits.detach().sum(), "with a gradient"),
        (Weighted(), "Weighted has trainable parameters"),
    ],
)
def test_unusable_losses_are_refused(loss, message):
    with pytest.raises(UserError, match=message):
        check_loss(loss, 2)


def test_losses_of_ones_own_have_a_column_for_each_class():
    """As torch's losses do, also for two classes, of which a model has one logit."""
    wanted = F.cross_entropy(as_two_columns(TWO), LABELS)
    for loss in (F.cross_entropy, nn.CrossEntropyLoss()):
        torch.testing.assert_close(ColumnLoss(loss)(TWO, LABELS), wanted)
    assert ColumnLoss(F.cross_entropy)(THREE, LABELS) == F.cross_entropy(THREE, LABELS)


def test_class_weights_need_an_argument():
    with pytest.raises(UserError, match="loss cross_entropy has no argument class_weights"):
        check_loss(ColumnLoss(F.cross_entropy), 2, has_class_weights=True)
    check_loss(ColumnLoss(cross_entropy), 2, has_class_weights=True)


WEIGHTED = ["sampling=class_weights", "class_weights=[1,3]"]
OWN_LOSS = """
from torch.nn import functional as F

def my_loss(logits, labels, class_weights=None, power: float = 1.0):
    return F.cross_entropy(logits, labels, class_weights) ** power
"""


@pytest.mark.parametrize(
    "typed",
    [
        [
            "+loss._target_=own_losses.my_loss",
            "loss.power=2",
            "sampling=class_weights",
            "class_weights=[1,3]",
        ],
        ["loss._target_=torch.nn.CrossEntropyLoss", "loss.label_smoothing=0.1"],
    ],
)
def test_losses_of_ones_own_as_typed(train, small, tmp_path, typed):
    Path("own_losses.py").write_text(OWN_LOSS)
    status, _, error = train(*small, "trainer.max_epochs=3", "optimizer.lr=0.01", *typed)
    assert (status or 0) == 0, error
    assert read_metrics(tmp_path)["test"]["auroc"] > 0.7


def test_own_loss_without_class_weights(train, small):
    status, _, error = train(
        *small, "loss._target_=torch.nn.CrossEntropyLoss", "sampling=class_weights"
    )
    assert (status, error.count("\n")) == (2, 1)
    assert "sampling=class_weights is not possible: loss CrossEntropyLoss has no" in error


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("gamma", "There is no option loss.gamma"),
        ("label_smooth", "did you mean loss.label_smoothing"),
    ],
)
def test_unknown_options(option, message):
    config = settings_of()["loss"] | {option: 1.0}
    with pytest.raises(UserError, match=message):
        build_loss(config, 2)


def read_metrics(folder: Path) -> dict:
    (path,) = folder.glob("outputs/*/metrics.json")
    return json.loads(path.read_text())


def test_label_smoothing(train, small, tmp_path):
    status, _, error = train(*small, "loss=cross_entropy", "loss.label_smoothing=0.1")
    assert status == 0, error
    metrics = read_metrics(tmp_path)
    assert metrics["settings"]["loss"]["label_smoothing"] == 0.1
    assert metrics["test"]["auroc"] > 0.9


@pytest.mark.parametrize("model", ["gru", pytest.param("wide_and_deep", marks=pytest.mark.slow)])
def test_focal_loss_with_class_weights(train, small, tmp_path, model):
    options = [f"model={model}", "sampling=class_weights", "loss=focal", "loss.gamma=3"]
    status, _, error = train(*small, *options)
    assert status == 0, error
    assert read_metrics(tmp_path)["test"]["auroc"] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["loss=focal", "loss.gamma=-1"], "loss.gamma=-1 is not possible: it must be a number"),
        (["loss=focall"], "did you mean focal?"),
        (["model=tfidf", "loss=focal"], "loss is not possible with model=tfidf"),
        (["loss=logit_adjusted", "sampling=oversample"], "both correct for the classes' shares"),
        (["loss=class_balanced", "sampling=class_weights"], "leave one of them out"),
        (["loss=logit_adjusted", "loss.tau=inf"], "loss.tau=Infinity is not possible"),
    ],
)
def test_one_sentence_for_what_is_wrong(train, small, options, message):
    kept = [option for option in small if "tfidf" not in options[0] or "model." not in option]
    status, _, error = train(*kept, *options)
    assert status == 2
    assert message in error
    assert "Traceback" not in error
