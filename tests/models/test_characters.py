"""Models for characters: the papers' sizes, plain references, and independence of padding."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.one_hot import MAX_TOKENS, OneHotEmbedding
from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import OptionError, UserError
from seqtext.layers.pooling import k_max_over_time
from seqtext.models.char_cnn import CharCNN
from seqtext.models.char_rnn import CharRNN
from seqtext.models.vdcnn import VDCNN
from tests.models.invariance import (
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    texts,
    trainable,
)

SMALL_CNN = {"filters": 5, "head_units": None, "length": 40}
CORNERS = [
    (CharCNN, {**SMALL_CNN, "kernel_sizes": [4, 3], "pool_sizes": [3, 2]}),
    (CharCNN, {**SMALL_CNN, "kernel_sizes": [1, 2, 6], "pool_sizes": [2, 1, 4], "length": 24}),
    (VDCNN, {"filters": 4, "head_units": 5, "shortcut": True, "k_max": 3}),
    (VDCNN, {"filters": 4, "head_units": 5, "halving": "k_max", "k_max": 1}),
    (VDCNN, {"filters": 4, "head_units": 5, "halving": "convolution", "shortcut": True}),
    (CharRNN, {"filters": [4, 5], "units": 3, "pool_size": 3, "cell": "gru"}),
    (CharRNN, {"filters": [4], "kernel_sizes": [2], "units": 3, "pooling": "last"}),
]


@pytest.fixture(params=CORNERS, ids=str)
def corner(request) -> tuple[type, dict]:
    return request.param


def test_padding_changes_nothing(corner):
    kind, options = corner
    assert_padding_changes_nothing(model_of(kind, **options))


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_no_gradient(corner, training):
    """Nor batch norm's statistics, which are those of the characters."""
    kind, options = corner
    assert_padding_changes_no_gradient(lambda: model_of(kind, **options).train(training))


def alphabet_of(characters: int) -> OneHotEmbedding:
    return OneHotEmbedding(characters + 2)


@pytest.mark.parametrize(("filters", "units"), [(256, 1024), (1024, 2048)])
def test_parameters_of_zhang(filters, units):
    """70 characters, and (1014 - 96) / 27 = 34 outputs for each filter."""
    with torch.device("meta"):
        model = CharCNN(alphabet_of(70), 4, filters=filters, head_units=[units, units])
    convolutions = (70 * 7 + 1) + (filters * 7 + 1) + 4 * (filters * 3 + 1)
    dense = (34 * filters + 1) * units + (units + 1) * units + (units + 1) * 4
    assert trainable_numbers(model) == convolutions * filters + dense
    assert model.outputs == (1014 - 96) // 27


def trainable_numbers(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def compute_plainly(model: CharCNN, ids: Tensor, pools: list[int]) -> Tensor:
    """Compute logits of texts that are filled up to the model's length."""
    vectors = model.embedding(ids).masked_fill((ids == 0)[..., None], 0)
    states = F.pad(vectors, (0, 0, 0, model.length))[:, : model.length].transpose(1, 2)
    for block, pool in zip(model.blocks, pools, strict=True):
        states = F.max_pool1d(block.convolution(states).relu(), pool)
    return model.output(states.transpose(1, 2).flatten(1)).squeeze(1)


@pytest.mark.parametrize("length", [1, 13, 36, 40, 55])
def test_char_cnn_reads_texts_of_one_length(length):
    pools = [3, 2]
    model = model_of(CharCNN, **SMALL_CNN, kernel_sizes=[4, 3], pool_sizes=pools)
    ids, lengths = texts([length, max(1, length - 5)])
    expected = compute_plainly(model, ids, pools)
    torch.testing.assert_close(model(ids, lengths), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("depth", "convolutions"), [(9, 2), (17, 4), (29, [10, 10, 4, 4]), (49, [16, 16, 10, 6])]
)
def test_depths_of_conneau(depth, convolutions):
    """The numbers of convolutions in the paper's table; 64, 128, 256 and 512 filters."""
    with torch.device("meta"):
        model = VDCNN(RandomEmbedding(71, 16), 5, depth=depth)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv1d)]
    assert len(layers) == depth
    counts = convolutions if isinstance(convolutions, list) else [convolutions] * 4
    widths = [64, *(n for n, c in zip((64, 128, 256, 512), counts, strict=True) for _ in range(c))]
    assert [layer.out_channels for layer in layers] == widths
    inputs = [16, *widths[:-1]]
    expected = 64 + sum(3 * n * m for n, m in zip(inputs, widths, strict=True))  # one bias
    expected += sum(2 * n for n in widths[1:])  # of batch norm
    expected += (8 * 512 + 1) * 2048 + 2049 * 2048 + 2049 * 5
    assert trainable(model) == expected


@pytest.mark.parametrize("training", [False, True])
def test_vdcnn_equals_a_plain_one(training):
    """Texts of one length, without padding, in PyTorch's own layers."""
    model = model_of(VDCNN, filters=4, head_units=None, shortcut=True, k_max=2).train(training)
    ids, lengths = texts([37] * 3)
    states = model.first.convolution(F.pad(model.embedding(ids).transpose(1, 2), (1, 1)))
    for number, block in enumerate(model.blocks):
        states = F.max_pool1d(states, 3, 2, padding=1) if number else states
        hidden = states
        for n, layer in enumerate((block.first, block.second)):
            hidden = layer.convolution(F.pad(hidden.relu() if n else hidden, (1, 1)))
            norm = nn.BatchNorm1d(hidden.shape[1]).train(training)
            norm.load_state_dict(layer.norm.state_dict())
            hidden = norm(hidden)
        if block.shortcut:
            states = block.shortcut(states.transpose(1, 2)).transpose(1, 2)
        states = (hidden + states).relu()
    assert states.shape[2] == 5
    largest = k_max_over_time(states.transpose(1, 2), torch.full((3,), 5), 2)
    expected = model.output(largest.flatten(1)).squeeze(1)
    torch.testing.assert_close(model(ids, lengths), expected, atol=1e-3, rtol=1e-4)


def test_k_max():
    states = torch.tensor([[4.0, 9, 4, 7, 5], [3, 1, 2, 8, 8]])[..., None]
    lengths = torch.tensor([5, 3])
    assert k_max_over_time(states, lengths, 2)[..., 0].tolist() == [[9, 7], [3, 2]]
    largest = k_max_over_time(states, lengths, 4, torch.tensor([4, 2]))
    assert largest[..., 0].tolist() == [[4, 9, 7, 5], [3, 2, 0, 0]]
    assert k_max_over_time(states, lengths, 5)[1, :, 0].tolist() == [3, 1, 2, 0, 0]


def test_one_hot():
    embedding = OneHotEmbedding(5)
    assert embedding.embedding_dim == 3
    vectors = embedding(torch.tensor([0, 1, 2, 4]))
    assert vectors.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert not embedding.weight.requires_grad
    with pytest.raises(UserError, match="use tokenizer=characters"):
        OneHotEmbedding(MAX_TOKENS + 1)


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        (CharCNN, {"kernel_sizes": [3, 3]}, "model.kernel_sizes has 2 numbers"),
        (CharCNN, {"length": 122}, "model.length=122 is too small: .* reads 123 characters"),
        (CharRNN, {"filters": []}, "model.filters has 0 numbers"),
    ],
)
def test_wrong_options_are_refused(kind, wrong, words):
    with pytest.raises(UserError, match=words):
        kind(RandomEmbedding(10), **wrong)


@pytest.mark.parametrize(("kind", "wrong"), [(VDCNN, {"depth": 10}), (VDCNN, {"halving": "mean"})])
def test_unknown_choices_are_refused(kind, wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        kind(RandomEmbedding(10), **wrong)
