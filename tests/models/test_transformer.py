"""Transformer: equal to torch's encoder and to the published equations, packing, positions."""

import pytest
import torch
from torch import Tensor, nn

from seqtext.errors import UserError
from seqtext.layers import token_rows
from seqtext.layers.token_rows import TokenRows
from seqtext.layers.transformer import build_rotation, rotate
from seqtext.models.transformer import Transformer
from tests.models.invariance import (
    assert_padding_changes_no_gradient,
    assert_padding_changes_nothing,
    model_of,
    texts,
)

SMALL = {"units": 8, "heads": 2, "feedforward_units": 12}


def copy_layer(own: nn.Module, peer: nn.TransformerEncoderLayer) -> None:
    """Copy the weights of a layer to torch's."""
    pairs = [
        (own.attention_norm, peer.norm1),
        (own.attention_output, peer.self_attn.out_proj),
        (own.norm, peer.norm2),
        (own.hidden, peer.linear1),
        (own.output, peer.linear2),
    ]
    for one, other in pairs:
        other.load_state_dict(one.state_dict())
    peer.self_attn.in_proj_weight.data.copy_(own.attention_input.weight.data)
    peer.self_attn.in_proj_bias.data.copy_(own.attention_input.bias.data)


def test_equals_torchs_encoder():
    """With learned positions; texts of several groups, with and without padding."""
    model = model_of(Transformer, **SMALL, layers=2, positions="learned").double()
    ids, lengths = texts([3, 1, 20, 20, 19, 9])
    layer = nn.TransformerEncoderLayer(
        *(8, 2, 12, 0.0, nn.functional.gelu), batch_first=True, norm_first=True
    ).double()
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8), enable_nested_tensor=False).double()
    for own, peer in zip(model.layers, encoder.layers, strict=True):
        copy_layer(own, peer)
    encoder.norm.load_state_dict(model.output_norm.state_dict())
    vectors = model.input_norm(model.project(model.embedding(ids))) + model.positions[:20]
    mask = torch.arange(20) >= lengths[:, None]
    wanted = encoder.train()(vectors, src_key_padding_mask=mask)  # not its path of inference
    states = model.compute_states(ids, lengths)
    torch.testing.assert_close(states[~mask], wanted[~mask], atol=1e-12, rtol=0)


def attend_plainly(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute attention of one text and head with rotary positions, [T, K] each."""
    features = query.shape[1]
    scores = torch.zeros(len(query), len(query), dtype=query.dtype)
    for m in range(len(query)):
        for n in range(len(query)):
            for pair in range(features // 2):
                angle = torch.tensor((m - n) * 10_000 ** (-2 * pair / features))
                a, b = (torch.complex(*x[2 * pair : 2 * pair + 2]) for x in (query[m], key[n]))
                scores[m, n] += (a * b.conj() * torch.polar(torch.ones(()), angle)).real
    return (scores / features**0.5).softmax(dim=1) @ value


def test_rotary_attention_equals_the_published_equations():
    torch.manual_seed(0)
    lengths = torch.tensor([4, 2])
    tokens = TokenRows(lengths, 4)
    qkv = torch.randn(6, 3, 2, 4, dtype=torch.float64)
    attended = tokens.attend(rotate(qkv[:, :2], build_rotation(tokens.positions, 4)), qkv[:, 2], 0)
    texts_of_rows = [qkv[:2], qkv[2:]]  # the shorter one first
    wanted = [
        torch.cat([attend_plainly(*text[:, :, head].unbind(1)) for head in range(2)], dim=1)
        for text in texts_of_rows
    ]
    torch.testing.assert_close(attended, torch.cat(wanted), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "options",
    [{"pooling": "first", "layers": 2}, {"positions": "learned", "max_positions": 5}],
    ids=str,
)
def test_padding_changes_nothing(options):
    def make() -> Transformer:
        return model_of(Transformer, **(SMALL | options))

    assert_padding_changes_nothing(make())
    if "max_positions" not in options:  # of short texts only, the last positions have no gradient
        assert_padding_changes_no_gradient(make)


def test_padding_has_no_row():
    tokens = TokenRows(torch.tensor([3, 9, 1, 9, 8]), 12)
    states = torch.randn(5, 12, 2)
    rows = tokens.select(states)
    assert len(rows) == 30
    assert [(group.texts, group.steps) for group in tokens.groups] == [(1, 1), (1, 3), (3, 9)]
    assert [group.is_token is None for group in tokens.groups] == [True, True, False]
    restored = tokens.restore(rows)
    mask = torch.arange(12) >= torch.tensor([3, 9, 1, 9, 8])[:, None]
    assert torch.equal(restored, states.masked_fill(mask[..., None], 0))


def test_unused_rows_change_nothing(monkeypatch):
    """In bfloat16, the number of rows is a multiple of 64, so that few shapes are compiled."""
    wanted = []
    for rows in (1, 64):
        monkeypatch.setattr(token_rows, "MIXED_ROWS", rows)
        model = model_of(Transformer, **SMALL, layers=2)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(*texts([3, 1, 9, 9]))
        logits.sum().backward()
        wanted.append([logits.detach(), *(p.grad for p in model.parameters())])
    for one, other in zip(*wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-2, rtol=1e-2)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = TokenRows(torch.tensor([3, 9, 70]), 70)
        states = torch.randn(3, 70, 2)
        assert len(tokens.select(states)) == len(tokens.positions) == 128
    mask = torch.arange(70) >= torch.tensor([3, 9, 70])[:, None]
    restored = tokens.restore(tokens.select(states))
    assert torch.equal(restored, states.masked_fill(mask[..., None], 0))


def test_without_packing(monkeypatch):
    """As on a GPU: all places are rows, and a mask hides padding."""
    model, batch = model_of(Transformer, **SMALL).double(), texts([3, 1, 7])
    wanted = model(*batch)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    tokens = TokenRows(batch[1], 7)
    assert tokens.places is None
    monkeypatch.undo()
    monkeypatch.setattr("seqtext.models.transformer.TokenRows", lambda *_: tokens)
    torch.testing.assert_close(model(*batch), wanted, atol=1e-12, rtol=0)
    assert token_rows.TokenRows is TokenRows


def test_attention_has_float32_within_autocast(monkeypatch):
    """On a CPU, the backward of attention is several times slower in bfloat16."""
    model, dtypes = model_of(Transformer, **SMALL), []
    attend = token_rows.F.scaled_dot_product_attention

    def record(*arguments, **options):
        dtypes.append(attend(*arguments, **options).dtype)
        return attend(*arguments, **options)

    monkeypatch.setattr(token_rows.F, "scaled_dot_product_attention", record)
    with torch.autocast("cpu", torch.bfloat16):
        model(*texts([3, 1, 9])).sum().backward()
    assert {*dtypes} == {torch.float32}


def test_order_of_words_matters():
    model = model_of(Transformer, **SMALL)
    ids = torch.tensor([[5, 6, 7], [7, 6, 5]])
    one, other = model(ids, torch.tensor([3, 3]))
    assert abs(one - other) > 1e-4


def test_dropout_trains_only():
    model = model_of(Transformer, **SMALL, dropout=0.5, attention_dropout=0.5)
    batch = texts([5, 3])
    assert torch.equal(model(*batch), model(*batch))
    assert not torch.equal(model.train()(*batch), model(*batch))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": 9, "heads": 2}, ["model.units=9", "model.heads=2", "2 × model.heads"]),
        ({"units": 6, "heads": 4, "positions": "learned"}, ["a multiple of model.heads"]),
    ],
)
def test_wrong_widths_are_refused(options, words):
    with pytest.raises(UserError) as caught:
        model_of(Transformer, **options)
    assert all(word in str(caught.value) for word in words)
