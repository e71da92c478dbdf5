"""Poolings: names, classes of one's own, and the maximum's own backward."""

import pytest
import torch

from seqtext.choices import POOLINGS
from seqtext.config.instantiate import build_from_config
from seqtext.config.trust import allow_any_class
from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import UserError
from seqtext.layers.pooling import amax_with_ties, build_pooling, max_over_time, prepare_pooling
from seqtext.models.base import TextClassifier
from tests.conftest import settings_of
from tests.layers.own_pooling import TopK

POOLING_MODELS = ("rnn", "lstm", "gru", "attention", "cnn", "text_cnn", "wide_and_deep")


@pytest.mark.parametrize("dim", [1, 2])
def test_maximum_and_its_gradients_are_those_of_amax(dim):
    states = torch.randint(3, (5, 6, 4)).double()  # many are the largest together
    weights = torch.randn(states.amax(dim).shape, dtype=torch.float64)
    gradients = []
    for largest in (amax_with_ties, torch.amax):
        leaf = states.clone().requires_grad_()
        values = largest(leaf, dim)
        assert torch.equal(values, states.amax(dim))
        (values * weights).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


def test_padding_is_never_the_largest_and_gets_no_gradient():
    states = -torch.rand(2, 5, 3)
    states[0, 3:] = 7
    leaf = states.requires_grad_()
    largest = max_over_time(leaf, torch.tensor([3, 5]))
    assert (largest < 0).all()
    largest.sum().backward()
    assert (leaf.grad[0, 3:] == 0).all()
    assert leaf.grad.sum() == 6


STATES = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([6, 1, 3])


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("directions", [1, 2])
def test_every_pooling_ignores_padding(name, directions):
    prepared, width = prepare_pooling(name, 4)
    pool = build_pooling(prepared, 4, "keras", directions)
    pooled = pool(STATES, LENGTHS)
    assert pooled.shape == (3, width)
    other = STATES.clone()
    other[1, 1:], other[2, 3:] = 7, -7
    torch.testing.assert_close(pool(other, LENGTHS), pooled)
    torch.testing.assert_close(pool(STATES[2:, :3], LENGTHS[2:]), pooled[2:])


def test_last_is_the_end_of_each_direction():
    pooled = build_pooling("last", 4, "keras", directions=2)(STATES, LENGTHS)
    torch.testing.assert_close(pooled[2], torch.cat([STATES[2, 2, :2], STATES[2, 0, 2:]]))


def options_of(model: str) -> dict:
    config = settings_of(f"model={model}")["model"]
    return config | {name: 0 for name in config if name.endswith("dropout")}


@pytest.fixture
def is_allowed():
    """Allow any class, as on the command line."""
    with allow_any_class():
        yield


def build(model: str, pooling: object) -> TextClassifier:
    config = options_of(model) | {"pooling": pooling}
    return build_from_config("model", config, embedding=RandomEmbedding(9, dim=4)).eval()


@pytest.mark.parametrize("model", POOLING_MODELS)
def test_a_class_of_ones_own(is_allowed, model):
    built = build(model, {"_target_": "tests.layers.own_pooling.TopK", "k": 3})
    assert isinstance(built.pool, TopK)
    assert built.pool.k == 3
    ids = torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0]])
    logits = built(ids, torch.tensor([4, 2]))
    assert logits.shape == (2,)
    torch.testing.assert_close(built(ids[1:, :2], torch.tensor([2])), logits[1:])
    assert built.attention_weights(ids, torch.tensor([4, 2])) is None


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ({"_target_": "tests.layers.own_pooling.Wrong"}, r"returns the shape \[2, 3, 100\]"),
        ({"_target_": "tests.layers.own_pooling.Failing"}, "Failing fails .TypeError"),
        (
            {"_target_": "tests.layers.own_pooling.TopK", "kk": 3},
            r"no option model.pooling.kk: known are k|did you mean model.pooling.k",
        ),
        ({"_target_": "tests.layers.own_pooling.Missing"}, "cannot be found"),
        ({"_target_": "os.getcwd"}, "model.pooling._target_=os.getcwd is not possible"),
        ("min", "model.pooling=min is not possible: it must be one of first, last, max, mean"),
        ({"k": 3}, "model.pooling"),
    ],
)
def test_unusable_poolings_are_refused(is_allowed, pooling, message):
    with pytest.raises(UserError, match=message):
        build("gru", pooling)


def test_a_checkpoint_may_not_name_a_class():
    with pytest.raises(UserError, match=r"own_pooling\.TopK is not allowed"):
        build("gru", {"_target_": "tests.layers.own_pooling.TopK"})
