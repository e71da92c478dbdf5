"""RCNN, DPCNN and HAN equal the published equations, text by text."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.models.dpcnn import DPCNN, halve
from seqtext.models.han import HAN
from seqtext.models.rcnn import RCNN
from tests.models.invariance import (
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    texts,
)

LENGTHS = [3, 1, 8, 2]
OPTIONS = {
    RCNN: {"units": 4, "filters": 5, "cell": "rnn"},
    DPCNN: {"filters": 5, "blocks": 3},
    HAN: {"units": 3, "segment_length": 3},
}


def run(cell: nn.RNNBase, text: Tensor) -> Tensor:
    """Return the states of torch's module on one text, [T, D] → [T, U]."""
    return cell(text[None])[0][0]


def both(layer, text: Tensor) -> tuple[Tensor, Tensor]:
    forward, backward = layer
    return run(forward, text), run(backward, text.flip(0)).flip(0)


def attend(attention, states: Tensor) -> Tensor:
    """Return Σ softmax(v · tanh(W h + b)) h of one text, [T, D] → [D]."""
    scores = attention.score.weight[0] @ torch.tanh(attention.hidden(states)).T
    return scores.softmax(0) @ states


def rcnn(model: RCNN, text: Tensor) -> Tensor:
    forward, backward = both(model.recurrence, text)
    nothing = torch.zeros_like(forward[0])
    words = []
    for t in range(len(text)):
        left = forward[t - 1] if t else nothing
        right = backward[t + 1] if t + 1 < len(text) else nothing
        words.append(torch.tanh(model.dense(torch.cat([left, text[t], right]))))
    return torch.stack(words).amax(0)


def dpcnn(model: DPCNN, text: Tensor) -> Tensor:
    def convolve(block, states: Tensor) -> Tensor:
        return F.conv1d(states, block.convolution.weight, block.convolution.bias, padding=1)

    states = convolve(model.regions, text.T)  # [F, T]
    for number, (first, second) in enumerate(model.blocks):
        if number:
            states = F.max_pool1d(F.pad(states, (0, 2), value=-torch.inf)[None], 3, 2)[0]
            states = states[:, states.isfinite().all(0)]
        states = states + convolve(second, convolve(first, states.relu()).relu())
    return states.amax(1)


def han(model: HAN, text: Tensor) -> Tensor:
    parts = text.split(model.segment_length)
    vectors = [attend(model.word_attention, torch.cat(both(model.words, p), 1)) for p in parts]
    states = torch.cat(both(model.segments, torch.stack(vectors)), 1)
    return attend(model.segment_attention, states)


@pytest.mark.parametrize(("kind", "reference"), [(RCNN, rcnn), (DPCNN, dpcnn), (HAN, han)])
def test_equals_the_published_equations(kind, reference):
    model = model_of(kind, **OPTIONS[kind]).double()
    ids, lengths = texts(LENGTHS)
    with torch.no_grad():
        features = [
            reference(model, model.embedding(ids[row, :length]))
            for row, length in enumerate(LENGTHS)
        ]
        wanted = model.compute_logits(torch.stack(features))
        torch.testing.assert_close(model(ids, lengths), wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", OPTIONS)
def test_padding_changes_nothing(kind):
    assert_padding_changes_nothing(model_of(kind, **OPTIONS[kind]))
    assert_padding_changes_no_gradient(lambda: model_of(kind, **OPTIONS[kind]))


def test_halving():
    states = torch.tensor([-5.0, -3, -4, -1, -2, 9]).view(1, 6, 1)
    halved = halve(states, torch.tensor([5]))
    assert halved.flatten().tolist() == [-3, -1, -2]
    assert halve(states, torch.tensor([1])).flatten().tolist() == [-5, 0, 0]


def test_attention_weights():
    """Weights of words sum to 1 over a text, and to the segment's weight over a segment."""
    model = model_of(HAN, **OPTIONS[HAN])
    ids, lengths = texts(LENGTHS)
    weights = model.attention_weights(ids, lengths)
    assert weights.shape == ids.shape
    torch.testing.assert_close(weights.sum(1), torch.ones(len(ids)))
    assert not weights[ids == 0].any()
    states, counts = model._read_segments(*model._read_words(ids, lengths), lengths)
    by_segment = model.segment_attention.weights(states, counts)
    torch.testing.assert_close(weights[2, 3:6].sum(), by_segment[2, 1])
