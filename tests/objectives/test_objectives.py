"""Further terms of the loss, with every model: directions, equal dropout, values and gradients."""

import math

import pytest
import torch
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.errors import UserError
from seqtext.objectives.adversarial import Adversarial, VirtualAdversarial
from seqtext.objectives.base import TrainingPass, compute_objectives
from seqtext.objectives.consistency import ConfidencePenalty, EntropyMinimization, RDrop
from seqtext.objectives.mixup import Mixup
from tests.models.test_common import NAMES, batch_of, config_of, model_of, texts

DROPOUT = {"word_dropout": 0.3, "head_dropout": 0.5, "embedding_dropout": 0.3}
CLASSES = pytest.mark.parametrize("classes", [2, 3])


def start(name: str, objective=None, classes: int = 2, padding: int = 0, **options) -> TrainingPass:
    """Pass a batch through a model in training mode; without dropout unless options have it."""
    model = model_of(config_of(name, **options), classes).double().train()
    ids, lengths = texts()
    batch = batch_of(F.pad(ids, (0, padding)), lengths)
    needs_gradient = objective is not None and objective.needs_gradient
    return TrainingPass(model, batch, needs_gradient)


@pytest.mark.parametrize("name", NAMES)
def test_small_changes_add_the_norm_of_the_gradient(name):
    """The loss increases by the change's length times the gradient's, the most that is possible."""
    objective = Adversarial(epsilon=1e-4)
    step = start(name, objective)
    norms = (step.compute_embedding_gradient() * step.is_word).flatten(1).norm(dim=1)
    increase = float(objective.compute(step).detach() - step.loss.detach())
    assert increase == pytest.approx(1e-4 * float(norms.sum()), rel=0.02)
    assert increase > 0


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_most_sensitive_to_the_virtual_change(name):
    step = start(name)
    found = VirtualAdversarial(epsilon=0.1, xi=1e-3, iterations=3).compute(step).item()
    for _ in range(5):
        change = step.build_perturbation(random=True)
        change = 0.1 * change / change.flatten(1).norm(dim=1)[:, None, None]
        with step.repeat(change):
            logits = step.model.compute_batch_logits(step.batch)
        other = F.binary_cross_entropy_with_logits(logits, step.logits.sigmoid().detach())
        other -= F.binary_cross_entropy_with_logits(step.logits, step.logits.sigmoid()).detach()
        assert found > float(other.detach())


@CLASSES
@pytest.mark.parametrize("kind", [Adversarial, VirtualAdversarial, EntropyMinimization, RDrop])
def test_padding_adds_nothing(kind, classes, monkeypatch):
    noise = torch.randn(4, 20, 6)
    values = []
    for padding in (0, 3):
        step = start("gru", kind(), classes, padding)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randn", lambda *shape, device: noise[:, : shape[1]].double())
            values.append(kind().compute(step).item())
    assert values[0] == pytest.approx(values[1], abs=1e-12)


@pytest.mark.parametrize("name", ["gru", "text_cnn", "wide_and_deep", "transformer"])
def test_passes_of_a_step_have_the_same_dropout(name):
    step = start(name, **DROPOUT)
    before = torch.get_rng_state()
    with step.repeat():
        again = step.model.compute_batch_logits(step.batch)
    torch.testing.assert_close(again, step.logits, atol=1e-12, rtol=0)
    assert torch.equal(torch.get_rng_state(), before), "the run's random numbers go on"
    other = step.model.compute_batch_logits(step.batch)
    assert not torch.allclose(other, step.logits)


@CLASSES
@pytest.mark.parametrize("name", NAMES)
def test_all_terms_are_added(name, classes):
    objectives = [
        Adversarial(0.5), VirtualAdversarial(2.0), EntropyMinimization(0.3), RDrop(0.7), Mixup(0.2),
        RDrop(0),
    ]  # fmt: skip
    model = model_of(config_of(name, **DROPOUT), classes).train()
    batch = batch_of(*texts())
    torch.manual_seed(3)
    logits, loss = compute_objectives(model, batch, objectives)
    assert logits.shape == ((4,) if classes == 2 else (4, classes))
    torch.manual_seed(3)
    step = TrainingPass(model, batch, True)
    terms = [(o.weight * o.compute(step)).item() for o in objectives[:-1]]
    assert float(loss.detach()) == pytest.approx(float(step.loss.detach()) + sum(terms), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert model.perturbation is None


def test_entropy_of_known_predictions():
    step = start("gru")
    step.logits = torch.tensor([0.0, math.log(3)], requires_grad=True)  # 1/2 and 3/4
    expected = (math.log(2) - 0.75 * math.log(0.75) - 0.25 * math.log(0.25)) / 2
    assert float(EntropyMinimization().compute(step)) == pytest.approx(expected)
    assert float(ConfidencePenalty().compute(step)) == pytest.approx(-expected)
    step.logits = torch.zeros(2, 5, requires_grad=True)
    assert float(EntropyMinimization().compute(step)) == pytest.approx(math.log(5))


def test_mixed_texts_have_mixed_logits():
    """The output layer is linear, so that logits are mixed as the vectors are."""
    step = start("gru")
    order, share = torch.tensor([3, 0, 1, 2]), 0.3
    with step.model.mix_features(order, share):
        mixed = step.model.compute_batch_logits(step.batch)
    torch.testing.assert_close(mixed, 0.3 * step.logits + 0.7 * step.logits[order])
    again = step.model.compute_batch_logits(step.batch)
    torch.testing.assert_close(again, step.logits)


def test_the_linear_part_of_wide_and_deep_is_not_mixed():
    step = start("wide_and_deep", linear_C=None, max_n=0, deep_weight=0.5)
    model, order, share = step.model, torch.tensor([3, 0, 1, 2]), 0.3
    wide = model.terms(step.batch.ids).squeeze(1)
    deep = 2 * step.model.compute_batch_logits(step.batch) - wide
    with model.mix_features(order, share):
        mixed = model.compute_trained_logits(step.batch)
    torch.testing.assert_close(mixed, 0.3 * deep + 0.7 * deep[order])


@CLASSES
def test_mixup_of_one_text_is_its_loss(classes):
    step = start("lstm", classes=classes)
    step.batch = batch_of(step.batch.ids[1:2], step.batch.lengths[1:2])
    expected = step.model.compute_logits_and_loss(step.batch)[1]
    torch.testing.assert_close(Mixup(alpha=0.5).compute(step), expected)


def test_terms_without_labels_are_means_over_all_texts():
    model = model_of(config_of("gru")).double().train()
    batch, further = batch_of(*texts()), batch_of(*texts([5, 2]))
    objectives = [EntropyMinimization(2.0), Adversarial(0.5)]
    _, loss = compute_objectives(model, batch, objectives, further)
    entropies = [
        EntropyMinimization().compute(TrainingPass(model, each)) for each in (batch, further)
    ]
    step = TrainingPass(model, batch, needs_gradient=True)
    entropy = (4 * entropies[0] + 2 * entropies[1]) / 6
    expected = step.loss + 2 * entropy + 0.5 * Adversarial().compute(step)
    torch.testing.assert_close(loss, expected)


def test_no_dropout_no_difference():
    assert float(RDrop().compute(start("gru"))) == pytest.approx(0, abs=1e-12)
    assert float(RDrop().compute(start("gru", **DROPOUT))) > 1e-4


def test_models_that_read_no_word_vectors_are_refused():
    step = start("gru", Adversarial())
    step.loss = step.model.output.bias.sum()
    with pytest.raises(UserError, match="which this model does not compute in training"):
        Adversarial().compute(step)


def test_the_empty_batch_of_a_process_has_no_weight():
    model = model_of(config_of("gru")).train()
    model.configure_training(torch.optim.Adam, objectives=[EntropyMinimization()])
    batch = Batch(*batch_of(*texts())[:4], weight=0.0)
    assert float(model.training_step(batch, 0).detach()) == 0
