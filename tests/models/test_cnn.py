"""Convolutional models: equal to Keras, and independent of padding."""

import pytest
import torch
from torch import nn

from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import OptionError, UserError
from seqtext.layers.conv import max_pool_1d
from seqtext.layers.normalization import BatchNorm
from seqtext.layers.rnn import variational_dropout
from seqtext.models.cnn import CNN
from seqtext.models.text_cnn import TextCNN
from tests.models.invariance import (
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    texts,
    trainable,
)
from tests.models.with_keras import keras

SMALL = {"filters": [4, 5, 6], "kernel_sizes": [5, 4, 3]}
CORNERS = [
    (CNN, SMALL),
    (CNN, {**SMALL, "pool_size": 3}),
    (CNN, {**SMALL, "pool_size": 1, "batch_norm": False}),
    (CNN, {"filters": [7], "kernel_sizes": [1]}),
    (TextCNN, {"filters": 4}),
    (TextCNN, {"filters": 3, "kernel_sizes": [1, 2, 9]}),
]


@pytest.fixture(params=CORNERS, ids=str)
def corner(request) -> tuple[type, dict]:
    return request.param


@pytest.mark.parametrize("classes", [2, 5])
def test_shapes(corner, classes):
    kind, options = corner
    for lengths in ([3, 1, 7, 2], [1], [1, 1]):
        logits = model_of(kind, classes, **options)(*texts(lengths))
        assert logits.shape == ((len(lengths),) if classes == 2 else (len(lengths), classes))
        assert logits.isfinite().all()


def test_padding_changes_nothing(corner):
    kind, options = corner
    model = model_of(kind, **options)
    for norm in (block.norm for block in model.blocks if block.norm):  # as after some training
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    assert_padding_changes_nothing(model)


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_no_gradient(corner, training):
    """Nor batch norm's statistics, which are those of the words."""
    kind, options = corner
    assert_padding_changes_no_gradient(lambda: model_of(kind, **options).train(training))


def test_batch_norm_learns_from_words_alone():
    states, lengths = torch.randn(3, 6, 4), torch.tensor([6, 2, 3])
    norm, alone = BatchNorm(4), BatchNorm(4)
    words = torch.cat([text[:n] for text, n in zip(states, lengths, strict=True)])
    expected = alone(words)
    normal = norm.forward_masked(states, lengths)
    torch.testing.assert_close(normal[0], expected[:6])
    torch.testing.assert_close(normal[2, :3], expected[8:])
    assert not normal[1, 2:].any()
    torch.testing.assert_close(norm.running_var, alone.running_var)


def test_training_on_one_word_alone():
    """A single word has no variance: the running statistics are used, and do not change."""
    model = model_of(CNN, **SMALL).train()
    logits = model(*texts([1]))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert model.blocks[0].norm.running_mean.tolist() == [0] * 4
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_pooling_keeps_a_rest():
    states = torch.arange(14.0).view(2, 7, 1)
    pooled = max_pool_1d(states, torch.tensor([7, 3]), 2)
    assert pooled[..., 0].tolist() == [[1, 3, 5, 6], [8, 9, -torch.inf, -torch.inf]]


@pytest.mark.parametrize("kind", [CNN, TextCNN])
def test_filters_start_as_asked(kind):
    spreads = {}
    for init in ("keras", "he_normal", "torch"):
        torch.manual_seed(0)
        layer = kind(RandomEmbedding(10, 50), init=init).blocks[0].convolution
        out, *window = layer.weight.shape
        inputs = window[0] * window[1]
        spreads[init] = layer.weight.std().item() / (2 / inputs) ** 0.5
        glorot = (inputs / (inputs + out * window[1])) ** 0.5
    assert spreads["he_normal"] == pytest.approx(1, rel=0.02)
    assert spreads["keras"] == pytest.approx(glorot, rel=0.02)
    assert spreads["torch"] == pytest.approx((1 / 6) ** 0.5, rel=0.02)


def test_parameters_by_hand():
    embedding = RandomEmbedding(10, 50)
    convolutions = (5 * 50 + 1) * 64 + (5 * 64 + 1) * 128 + (3 * 128 + 1) * 256
    assert trainable(CNN(embedding)) == convolutions + 2 * (64 + 128 + 256) + 257
    assert trainable(CNN(embedding, 5, batch_norm=False)) == convolutions + 257 * 5
    assert trainable(TextCNN(embedding)) == (3 + 4 + 5) * 50 * 100 + 300 + 301


def keras_convolution(layer: nn.Conv1d):
    other = keras.layers.Conv1D(layer.out_channels, layer.kernel_size[0], padding="same")
    other.build((None, None, layer.in_channels))
    kernel = layer.weight.detach().permute(2, 1, 0).numpy()  # [width, in, out]
    other.set_weights([kernel, layer.bias.detach().numpy()])
    return other


def keras_norm(norm: BatchNorm):
    other = keras.layers.BatchNormalization()
    other.build((None, None, norm.num_features))
    names = ("weight", "bias", "running_mean", "running_var")
    other.set_weights([getattr(norm, name).detach().numpy() for name in names])
    return other


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 8, 13])
def test_cnn_equals_keras(length, training):
    """Texts of one length, without padding; with batch and with running statistics."""
    model = model_of(CNN, **SMALL).train(training)
    for block in model.blocks:
        block.norm.running_mean.uniform_(-1, 1)
        block.norm.running_var.uniform_(0.5, 2)
    ids, lengths = texts([length] * 4)
    states = model.embedding(ids).detach()
    for block in model.blocks:
        states = keras_convolution(block.convolution)(states).relu()
        states = keras_norm(block.norm)(states, training=training)
        states = keras.layers.MaxPooling1D(2, padding="same")(states)
    expected = model.output(keras.layers.GlobalMaxPooling1D()(states)).squeeze(1)
    torch.testing.assert_close(model(ids, lengths), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 4, 9])
def test_kim_equals_keras(length):
    model = model_of(TextCNN, filters=4, kernel_sizes=[2, 3, 5])
    ids, lengths = texts([length] * 3)
    vectors = model.embedding(ids).detach()
    pooled = [
        keras.layers.GlobalMaxPooling1D()(keras_convolution(block.convolution)(vectors).relu())
        for block in model.blocks
    ]
    expected = model.output(torch.cat(pooled, dim=1)).squeeze(1)
    torch.testing.assert_close(model(ids, lengths), expected, atol=1e-5, rtol=1e-5)


def test_dropout_takes_whole_features():
    torch.manual_seed(0)
    dropped = variational_dropout(torch.ones(4, 9, 100), 0.3, training=True)
    assert (dropped == dropped[:, :1]).all()
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (variational_dropout(dropped, 0.3, training=False) == dropped).all()


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        (CNN, {"filters": [4], "kernel_sizes": [3, 3]}, "model.filters has 1 numbers"),
        (CNN, {"filters": [], "kernel_sizes": []}, "model.filters has 0 numbers"),
        (TextCNN, {"kernel_sizes": []}, "model.kernel_sizes is empty"),
    ],
)
def test_wrong_lists_are_refused(kind, wrong, words):
    with pytest.raises(UserError, match=words):
        kind(RandomEmbedding(10), **wrong)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(CNN, {"filters": [4, 0, 3]}), (CNN, {"pool_size": 0}), (TextCNN, {"kernel_sizes": [3, 2.5]})],
)
def test_wrong_options_are_refused(kind, wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        kind(RandomEmbedding(10), **wrong)
