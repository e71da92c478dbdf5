"""Hash n-grams of neighboring tokens, those of unknown tokens by their spelling."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.character_ngrams import hash_words
from seqtext.token_ids import PAD, UNKNOWN

WordNgramOrder = Annotated[int, Interval(ge=1, le=10)]
MULTIPLIER = 116_049_371  # that of fastText
MODULUS = 2**31 - 1  # a hash times the multiplier fits into 64 bits


class WordNgrams(nn.Module):
    """Computes table rows of the n-grams of `shortest` to `order` neighboring tokens.

    A token is hashed by its spelling, or by its id before `set_tokens`. N-grams with the unknown
    token's id are ignored: its spelling is not known.

    Args:
        order: largest number of tokens of an n-gram
        buckets: number of different hash values
        shortest: smallest number of tokens of an n-gram, at most `order`
    """

    hashes: Tensor  # [tokens] int64

    def __init__(self, order: int, buckets: int, shortest: int = 2):
        super().__init__()
        self.order, self.buckets, self.shortest = order, buckets, shortest
        self.register_buffer("hashes", None, persistent=False)
        self.vocabulary_size = 0  # number of known tokens; 0 before `set_tokens`

    def set_tokens(self, tokens: Sequence[str]) -> None:
        """Hash the known tokens: see `seqtext.embeddings.spelling`."""
        self.vocabulary_size = len(tokens)
        self._set_hashes(torch.from_numpy(hash_words(tokens) % MODULUS))

    def set_unknown_tokens(self, tokens: Sequence[str]) -> None:
        """Hash the unknown tokens, whose ids follow those of the known ones."""
        known = self.hashes[: self.vocabulary_size].cpu()
        self._set_hashes(torch.cat([known, torch.from_numpy(hash_words(tokens) % MODULUS)]))

    def look_up(self, ids: Tensor) -> Tensor:
        """Return rows from 1 to `buckets`, [B, T] → [B, M]; 0 for ignored n-grams.

        They are in the order of their numbers of tokens, then of their first tokens.
        """
        ids = self._pad(ids)
        hashes, is_known = ids, ids > UNKNOWN
        if self.hashes is not None:
            if self.hashes.device != ids.device:
                self.to(ids.device)
            hashes = self.hashes[ids]
        rows, state, is_used = [], hashes, is_known  # of the n-grams so far
        for n in range(1, self.order + 1):
            if n > 1:
                state = (state[:, :-1] * MULTIPLIER + hashes[:, n - 1 :]) % MODULUS
                is_used = is_used[:, :-1] & is_known[:, n - 1 :]
            if n >= self.shortest:
                rows.append((1 + state % self.buckets).masked_fill(~is_used, PAD))
        return torch.cat(rows, dim=1)

    def scale(self, token_scale: Tensor) -> Tensor:
        """Return the scale of each n-gram, the mean of its tokens': [B, T] → [B, M]."""
        token_scale = self._pad(token_scale)
        total, scales = token_scale, []
        for n in range(1, self.order + 1):
            if n > 1:
                total = total[:, :-1] + token_scale[:, n - 1 :]
            if n >= self.shortest:
                scales.append(total / n)
        return torch.cat(scales, dim=1)

    def _pad(self, tokens: Tensor) -> Tensor:
        """Pad [B, T] so that there are n-grams, ignored ones, in texts of few tokens."""
        return F.pad(tokens, (0, self.order - 1))

    def _set_hashes(self, hashes: Tensor) -> None:
        self.hashes = hashes.to("cpu" if self.hashes is None else self.hashes.device)
