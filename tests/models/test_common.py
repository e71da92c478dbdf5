"""Tests that every model in conf/model passes, with extreme values of its options."""

import copy
import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.config.instantiate import build_from_config, validate_group
from seqtext.data.loaders import Batch
from seqtext.embeddings.ngrams import NgramEmbedding
from seqtext.embeddings.random import RandomEmbedding
from seqtext.embeddings.spelling import set_tokens
from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.tokenizers.vocabulary import OpenVocabulary, Vocabulary
from seqtext.training.model_summary import format_model_summary
from tests.conftest import ROOT, settings_of
from tests.models.tiny_encoder import get_common_encoder

DIRECT = ("tfidf",)  # fitted at once: no TextClassifier
NAMES = sorted({path.stem for path in (ROOT / "conf" / "model").glob("[!_]*.yaml")} - {*DIRECT})
DROPPING = {
    "variational_dropout": 0.2,
    "recurrent_dropout": 0.2,
    "embedding_dropout": 0.1,
    "inter_layer_dropout": 0.1,
    "word_dropout": 0.2,
    "head_dropout": 0.2,
    "head_units": 7,
    "head_units_dropout": 0.2,
}
CORNERS = [  # those of its options that a model does not have are left out
    {},
    {"head_units": [7, 5], "head_activation": ["tanh", "softmax"], "head_l2": [0.01, 0]},
    {"head_units": 4, "head_batch_norm": True, "init": "he_normal"},
    {"init": "torch"},
    {"bidirectional": True, "pooling": "last", "layers": 2, "positions": "learned"},
    {"units": [5, 3, 4], "bidirectional": True, "batch_norm": True, "pooling": "max_mean"},
    {"units": [4, 6], "activation": "relu", "pooling": "attention", "head_units": 3},
    {"pooling": "attention_per_feature"},
    {"activation": "softsign", "recurrent_activation": "hard_sigmoid", "pooling": "mean"},
    DROPPING,
    {**DROPPING, "units": [4, 3], "bidirectional": True, "batch_norm": True},
]
LIKE_ANOTHER = ("minlstm", "qrnn")  # same code as mingru: most corners are slow tests
LENGTHS = [3, 1, 7, 2]
SMALL = {  # sizes of models whose defaults are large
    "char_cnn": {"filters": 16, "length": 180, "head_units": 8},
    "vdcnn": {"filters": 8, "head_units": 16},
    "char_rnn": {"filters": [5, 6]},
    "dpcnn": {"filters": 5, "blocks": 2},
    "rcnn": {"filters": 5},
    "han": {"segment_length": 3},
    "s4d": {"state_size": 4},
    "transformer": {"units": 8, "heads": 2, "feedforward_units": 8},
}


@functools.cache
def options_of(name: str) -> dict[str, Any]:
    return settings_of(f"model={name}")["model"]


def config_of(name: str, **options: Any) -> dict[str, Any]:
    """Compose the model's configuration, small, without dropout, with options that it has."""
    config = options_of(name)
    small = {option: 0 for option in config if option.endswith("dropout")} | {"units": 5}
    small |= SMALL.get(name, {})
    if name == "pretrained":
        small |= {"path": get_common_encoder(), "frozen": False}
    return config | {k: v for k, v in (small | options).items() if k in config}


def cases() -> list:
    """Return (name, options) of all models and extreme options, without duplicates."""
    found, seen = [], []
    for name in NAMES:
        for corner in CORNERS:
            config = config_of(name, **corner)
            try:
                validate_group("model", config)
            except UserError:  # a value that belongs to another model's option of this name
                continue
            if config not in seen:
                seen.append(config)
                number = CORNERS.index(corner)
                is_slow = name in LIKE_ANOTHER and corner not in (CORNERS[4], CORNERS[-1])
                marks = [pytest.mark.slow] if is_slow else []
                found.append(pytest.param(config, id=f"{name}-{number}", marks=marks))
    return found


@pytest.fixture(params=cases())
def config(request) -> dict[str, Any]:
    return request.param


@pytest.fixture(params=NAMES)
def plain(request) -> dict[str, Any]:
    return config_of(request.param, head_units=6)


def model_of(config: dict[str, Any], classes: int = 2) -> TextClassifier:
    torch.manual_seed(0)
    model = build_from_config(
        "model", config, embedding=RandomEmbedding(50, dim=6), classes=classes
    )
    nn.init.normal_(model.embedding.weight)  # larger than at the start: differences show
    with torch.no_grad():
        model.embedding.weight[0] = 0
    return model.eval()


def texts(lengths: list[int] = LENGTHS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 50, (len(lengths), max(lengths)), generator=generator)
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    return ids, torch.tensor(lengths)


def batch_of(ids: Tensor, lengths: Tensor) -> Batch:
    rows = torch.arange(len(ids))
    return Batch(ids, lengths, rows % 2, rows)


def equal(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def test_models_are_found():
    assert {"rnn", "lstm", "gru"} <= set(NAMES)
    assert len(cases()) >= 2 * len(NAMES)


@pytest.mark.parametrize("classes", [2, 5])
def test_shapes(config, classes):
    logits = model_of(config, classes)(*texts())
    assert logits.shape == ((4,) if classes == 2 else (4, classes))
    assert logits.isfinite().all()


def test_padding_changes_nothing(config):
    model, (ids, lengths) = model_of(config).double(), texts()
    expected = model(ids, lengths)
    assert expected.dtype == torch.float64
    equal(model(F.pad(ids, (0, 11)), lengths), expected)
    with torch.no_grad():
        model.embedding.weight[0] = 1e6  # even if padding had a vector
    equal(model(F.pad(ids, (0, 11)), lengths), expected)


def test_padding_changes_no_gradient(config):
    gradients = []
    for padding in (0, 9):
        model, (ids, lengths) = model_of(config).double(), texts()
        model(F.pad(ids, (0, padding)), lengths).sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    for one, other in zip(*gradients, strict=True):
        equal(one, other)


def test_company_and_order_change_nothing(config):
    model, (ids, lengths) = model_of(config).double(), texts()
    together = model(ids, lengths)
    alone = [model(ids[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    equal(torch.cat(alone), together)
    order = torch.tensor([2, 0, 3, 1])
    equal(model(ids[order], lengths[order]), together[order])


def test_short_and_unknown_texts(config):
    model, ids = model_of(config).double(), torch.tensor([[5, 0, 0], [1, 1, 1], [7, 0, 0]])
    logits = model(ids, torch.tensor([1, 3, 1]))
    assert logits.isfinite().all()
    equal(model(ids[[0, 2], :1], torch.tensor([1, 1])), logits[[0, 2]])


def test_gradients_reach_every_trainable_parameter(config):
    """Gradients of a training step's loss, in several tries because of dropout."""
    model = model_of(config).train()
    for seed in range(5):
        torch.manual_seed(seed)
        model.training_step(batch_of(*texts([3, 1, 7, 2, 5, 6])), 0).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("words", [1, 4])
def test_batch_of_one(config, words):
    model = model_of(config).train()
    loss = model.training_step(batch_of(*texts([words])), 0)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_presence(config):
    """A scale of 1 changes nothing, and padding has no effect."""
    model, (ids, lengths) = model_of(config).double(), texts()
    expected = model(ids, lengths)
    presence = torch.ones(ids.shape, dtype=torch.float64, requires_grad=True)
    with model.scale_tokens(presence):
        logits = model(ids, lengths)
    equal(logits, expected)
    (gradient,) = torch.autograd.grad(logits.sum(), presence)
    assert not gradient[ids == 0].any()
    assert not gradient[ids == 1].any(), "an unknown word is one at any presence"
    assert gradient[ids > 1].abs().sum() > 0
    with model.scale_tokens(presence.detach() * (ids != ids[0, 0])):
        less = model(ids, lengths)
    assert (less[0] - expected[0]).abs() > 1e-7
    equal(model(ids, lengths), expected)


def test_copies(config):
    model, batch = model_of(config), texts()
    expected = model(*batch)
    other = model_of(config)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    other.load_state_dict(model.state_dict())
    for twin in (other, copy.deepcopy(model)):
        assert torch.equal(twin(*batch), expected)


def test_same_seed_same_numbers(config):
    losses = []
    for _ in range(2):
        model = model_of(config).train()
        losses.append([model.training_step(batch_of(*texts()), 0) for _ in range(2)])
    assert losses[0] == losses[1]


def test_precisions(config):
    model, (ids, lengths) = model_of(config), texts()
    expected = model(ids, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(ids, lengths).float(), expected, atol=0.05, rtol=0.05)
        loss = model.train().training_step(batch_of(ids, lengths), 0)
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    double = model_of(config).double()
    torch.testing.assert_close(double(ids, lengths).float(), expected, atol=1e-5, rtol=0)
    double.train().training_step(batch_of(ids, lengths), 0).backward()


def test_overfits_eight_texts(plain):
    model, batch = model_of(plain).train(), batch_of(*texts([5, 3, 8, 2, 6, 4, 7, 1]))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        loss = model.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break
    assert loss < 0.05


def test_unknown_words_are_spelled(plain):
    """With character n-grams, unknown words are told apart: those of a similar word are similar."""
    torch.manual_seed(0)
    embedding = NgramEmbedding(50, dim=6, buckets=5000)
    model = build_from_config("model", plain, embedding=embedding, classes=2)
    set_tokens(model, OpenVocabulary(Vocabulary([f"token{n}" for n in range(48)]), ["tokens", "x"]))
    ids, lengths = texts()
    ids[0, :2] = torch.tensor([50, 51])
    logits = model.eval()(ids, lengths)
    assert logits.isfinite().all()
    torch.testing.assert_close(model(F.pad(ids, (0, 3)), lengths), logits)
    with torch.no_grad():
        embedding.ngrams.weight.normal_()
    swapped = ids.clone()
    swapped[0, :2] = 51
    assert not torch.allclose(model(swapped, lengths)[0], model(ids, lengths)[0])
    model.train().training_step(batch_of(ids, lengths), 0).backward()
    assert embedding.ngrams.weight.grad.any()


def test_summary(config):
    """Each layer has a shape and a number of parameters; these sum to the trainable ones."""
    model = model_of(config, classes=5)
    lines = format_model_summary(model).splitlines()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert lines[-1].split() == ["together", f"{trained:,}"]
    assert lines[-2].startswith("output")
    assert "B × 5" in lines[-2]
