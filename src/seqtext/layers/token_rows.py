"""The tokens of padded texts as rows without padding, and attention among the rows of each text."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqtext.layers.pooling import padding_mask

MIXED_ROWS = 64  # in bfloat16, N is a multiple of this: a CPU compiles each product's new shapes
GROUP_RATIO = 9 / 8  # of the longest and the shortest text that share one padded attention


class Group(NamedTuple):
    """Texts of like length, whose rows follow one another.

    start, end: their rows
    texts, steps: B and T of the group
    places: rows' places in [B T]; None: there is no padding
    is_token: [B, 1, 1, T] mask of the keys that may be attended to, or None
    """

    start: int
    end: int
    texts: int
    steps: int
    places: Tensor | None
    is_token: Tensor | None


class TokenRows:
    """The tokens of texts [B, T], as N rows, text by text, and unused rows of zeros at the end.

    On a CPU, texts are sorted by length and padding has no row, so that it costs nothing; attention
    runs over groups of texts of like length. Elsewhere all B T places are rows of one group with a
    mask: one large operation is faster there than several small ones.

    Args:
        lengths: [B]
        steps: T
    """

    def __init__(self, lengths: Tensor, steps: int):
        self.shape = lengths.shape[0], steps
        self.unused = 0  # of the N rows
        self.places: Tensor | None = None  # of used rows in [B T]; None: they are all of [B T]
        self.positions = torch.arange(steps, device=lengths.device).repeat(lengths.shape[0])  # [N]
        if torch.compiler.is_exporting() or lengths.device.type != "cpu":
            is_token = ~padding_mask(lengths, steps)[:, None, None]
            rows = self.shape[0] * steps
            self.groups = [Group(0, rows, *self.shape, None, is_token)]
            return
        ordered, order = lengths.sort(stable=True)
        if int(ordered[0]) < steps:
            is_row = (~padding_mask(ordered, steps)).flatten()
            kept = is_row.nonzero().squeeze(1)
            self.positions = kept % steps
            self.places = order[kept // steps] * steps + self.positions
        self.groups = list(_group(ordered))
        if is_autocast_to_cpu(lengths):
            self.unused = -len(self.positions) % MIXED_ROWS
            self.positions = F.pad(self.positions, (0, self.unused))

    def select(self, states: Tensor) -> Tensor:
        """Return the rows of tokens, [B, T, D] → [N, D]."""
        rows = states.flatten(0, 1)
        rows = rows if self.places is None else rows.index_select(0, self.places)
        return F.pad(rows, (0, 0, 0, self.unused)) if self.unused else rows

    def restore(self, rows: Tensor) -> Tensor:
        """Return padded states, [N, D] → [B, T, D]; padding is zero or undefined."""
        if self.unused:
            rows = rows[: -self.unused]
        if self.places is None:
            return rows.view(*self.shape, -1)
        states = rows.new_zeros(self.shape[0] * self.shape[1], rows.shape[1])
        return states.index_copy(0, self.places, rows).view(*self.shape, -1)

    def attend(self, query_key: Tensor, value: Tensor, dropout: float) -> Tensor:
        """Compute scaled dot-product attention of each text's tokens (Vaswani et al., 2017).

        Args:
            query_key: [N, 2, H, size] queries and keys of H heads
            value: [N, H, size]
            dropout: dropout rate of the attention weights

        Returns:
            [N, H × size]
        """
        parts = []
        is_mixed = is_autocast_to_cpu(value)
        for group in self.groups:
            rows = slice(group.start, group.end)
            with torch.autocast("cpu", enabled=False) if is_mixed else contextlib.nullcontext():
                parts.append(_attend(group, query_key[rows], value[rows], dropout))
        if self.unused:
            parts.append(value.new_zeros(self.unused, parts[0].shape[1]))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def is_autocast_to_cpu(states: Tensor) -> bool:
    """Return whether these states are on a CPU, within autocast."""
    return states.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def _attend(group: Group, query_key: Tensor, value: Tensor, dropout: float) -> Tensor:
    query, key = _pad(group, query_key).transpose(1, 3).unbind(2)  # [B, H, T, size] each
    attended = F.scaled_dot_product_attention(
        *(query, key, _pad(group, value).transpose(1, 2)),
        attn_mask=group.is_token,
        dropout_p=dropout,
    )
    rows = attended.transpose(1, 2).flatten(2).flatten(0, 1)
    return rows if group.places is None else rows.index_select(0, group.places)


def _pad(group: Group, rows: Tensor) -> Tensor:
    """[n, …] → [B, T, …]"""
    if group.places is not None:
        padded = rows.new_zeros(group.texts * group.steps, *rows.shape[1:])
        rows = padded.index_copy(0, group.places, rows)
    return rows.unflatten(0, (group.texts, group.steps))


def _group(ordered: Tensor) -> Iterator[Group]:
    """Yield groups of texts, given their lengths in ascending order."""
    lengths = ordered.tolist()
    first = start = 0
    for last, length in enumerate(lengths):
        if last + 1 < len(lengths) and lengths[last + 1] <= GROUP_RATIO * lengths[first]:
            continue
        of_group = ordered[first : last + 1]
        end, texts = start + int(of_group.sum()), last + 1 - first
        if lengths[first] == length:
            yield Group(start, end, texts, length, None, None)
        else:
            is_token = ~padding_mask(of_group, length)
            places = is_token.flatten().nonzero().squeeze(1)
            yield Group(start, end, texts, length, places, is_token[:, None, None])
        first, start = last + 1, end
