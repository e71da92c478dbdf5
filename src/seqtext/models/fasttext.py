"""Word vectors and word-pair vectors, averaged: no order beyond pairs, and fast."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.layers.pooling import masked_embedding_bag, padding_mask
from seqtext.models.base import TextClassifier, get_embedding_dim
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.validation import DropoutRate, PositiveInt, validate_args

MULTIPLIER = 116_049_371  # fastText's


class FastText(TextClassifier):
    """fastText (Joulin et al., 2017): the mean vector of all words and of all neighbouring pairs.

    Pairs share a table of `buckets` vectors by a hash of their words' ids. A pair with an unknown
    word does not count; while training, `word_dropout` leaves out the same share of the pairs.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        bigrams: use pairs of neighbouring tokens, not single ones alone
        buckets: how many vectors [E] the pairs share; Adam moves all of them at every step:
            200,000 take three times as long as 65,536
        head_dropout, head: see `TextClassifier`
    """

    name = "fasttext"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        bigrams: bool = True,
        buckets: PositiveInt = 2**16,
        head_dropout: DropoutRate = 0.0,
        **head: Any,
    ):
        dim = get_embedding_dim(embedding)
        super().__init__(embedding, classes, dim, head_dropout=head_dropout, **head)
        self.bigram_embedding = None
        if bigrams:
            self.bigram_embedding = BigramEmbeddingBag(
                1 + buckets, dim, mode="sum", padding_idx=PAD
            )
            nn.init.uniform_(self.bigram_embedding.weight, -0.05, 0.05)
            with torch.no_grad():
                self.bigram_embedding.weight[PAD] = 0

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        vectors = self.embed(ids)  # [B, T, E]
        mask = padding_mask(lengths, ids.shape[1])
        total, count = vectors.masked_fill(mask[..., None], 0).sum(dim=1), lengths[:, None]
        if self.bigram_embedding:
            padded = F.pad(ids, (0, 1))  # a single word gets a pair that is none
            pairs = self.bigram_embedding.bigram_ids(padded)
            if self.training and self.word_dropout:
                dropped = torch.rand(pairs.shape, device=ids.device) < self.word_dropout
                pairs = pairs.masked_fill(dropped, PAD)
            scale = self.token_scale  # [B, T]; None: 1
            scale = None if scale is None else bigram_scale(F.pad(scale, (0, 1)))
            total = total + self.bigram_embedding(pairs, per_sample_weights=scale)
            count = count + (pairs != PAD).sum(dim=1, keepdim=True)
        return self.compute_logits(total / count)


class BigramEmbeddingBag(nn.EmbeddingBag):
    """Sums bigram vectors without a vector for each bigram in memory."""

    def bigram_ids(self, ids: Tensor) -> Tensor:
        """[B, T] → [B, T - 1] rows of the table; 0, a row of zeros, where no bigram counts."""
        pairs, are_known = bigrams(ids)
        return (1 + pairs % (self.num_embeddings - 1)).masked_fill(~are_known, PAD)

    def forward(  # type: ignore[override]  # a text is a row: there are no offsets
        self, rows: Tensor, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        """Sum rows [B, M], times factors [B, M] if given → [B, E]."""
        return masked_embedding_bag(self.weight, rows, per_sample_weights)


def bigram_scale(token_scale: Tensor) -> Tensor:
    """Return the scale of each bigram, the mean of its tokens': [B, T] → [B, T - 1]."""
    return (token_scale[:, :-1] + token_scale[:, 1:]) / 2


def bigrams(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return a number per bigram and whether both tokens are known: [B, T] → 2 × [B, T - 1]."""
    left, right = ids[:, :-1], ids[:, 1:]
    return left * MULTIPLIER + right, (left > UNKNOWN) & (right > UNKNOWN)
