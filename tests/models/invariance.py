"""Checks that a model's logits do not depend on padding or on other texts."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqtext.embeddings.random import RandomEmbedding
from seqtext.models.base import TextClassifier
from seqtext.validation import get_option_hints

WORDS, DIM = 50, 6
LENGTHS = [3, 1, 7, 2, 12]


def model_of(kind: type, classes: int = 2, **options) -> TextClassifier:
    """Always the same one, in evaluation, with weights that are large enough to matter.

    Without dropout, where `options` do not say otherwise.
    """
    torch.manual_seed(0)
    model = kind(RandomEmbedding(WORDS, DIM), classes, **(without_dropout(kind) | options))
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.5)
    return model.eval()


def without_dropout(kind: type) -> dict[str, float]:
    """Return the options of a model that turn off what training drops at random."""
    names = get_option_hints(kind)
    return {name: 0.0 for name in names if name.endswith("dropout")}


def texts(lengths: list[int], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Return ids [B, T], zeros after the end of each text, and lengths [B]."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, WORDS, (len(lengths), max(lengths) + padding), generator=generator)
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    return ids, torch.tensor(lengths)


def padded(ids: Tensor, count: int) -> Tensor:
    """[B, T] → [B, T + count]"""
    return nn.functional.pad(ids, (0, count))


def assert_padding_changes_nothing(model: TextClassifier) -> None:
    """Check that logits do not depend on padding, its vector, or the other texts of the batch."""
    ids, lengths = texts(LENGTHS)
    expected = model(ids, lengths)
    for count in (1, 2, 3, 40):
        _assert_close(model(padded(ids, count), lengths), expected)
    alone = [model(ids[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(LENGTHS)]
    _assert_close(torch.cat(alone), expected)
    order = torch.tensor([4, 2, 0, 3, 1])
    _assert_close(model(ids[order], lengths[order]), expected[order])
    with torch.no_grad():
        model.embedding.weight[0] = 1e3
    _assert_close(model(padded(ids, 5), lengths), expected)


def assert_padding_changes_no_gradient(make: Callable[[], TextClassifier]) -> None:
    """Check the same for gradients, and that every parameter has one."""
    gradients = []
    for count in (0, 9):
        model, (ids, lengths) = make(), texts(LENGTHS)
        logits = model(padded(ids, count), lengths)
        (logits * torch.linspace(1, 2, logits.numel()).view_as(logits)).sum().backward()
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        assert all(p.grad.abs().sum() > 0 for _, p in named), [n for n, _ in named]
        gradients.append([p.grad for _, p in named])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def trainable(model: nn.Module) -> int:
    """Return the number of trainable parameters, without the embedding."""
    table = model.embedding.weight.numel()
    return sum(p.numel() for p in model.parameters() if p.requires_grad) - table


def _assert_close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
