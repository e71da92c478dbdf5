"""fastText: the mean of word and bigram vectors."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.layers.pooling import masked_embedding_bag, padding_mask
from seqtext.models.base import TextClassifier
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.validation import DropoutRate, PositiveInt, validate_args

MULTIPLIER = 116_049_371  # that of fastText


class FastText(TextClassifier):
    """Averages the vectors of all words and word bigrams: fastText (Joulin et al., 2017).

    Bigrams share a table of `buckets` vectors by a hash of their words' ids. Bigrams with an
    unknown word are ignored; in training, `word_dropout` drops bigrams at the same rate.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        bigrams: whether to use bigrams in addition to words
        buckets: number of bigram vectors [E]; Adam updates all of them at every step: with
            200,000 a step takes three times as long as with 65,536
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
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        vectors = self.embed(ids)  # [B, T, E]
        mask = padding_mask(lengths, ids.shape[1])
        total, count = vectors.masked_fill(mask[..., None], 0).sum(dim=1), lengths[:, None]
        if self.bigram_embedding:
            padded = F.pad(ids, (0, 1))  # an empty bigram for texts of one word
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
    """Sums bigram vectors without materializing a vector per bigram."""

    def bigram_ids(self, ids: Tensor) -> Tensor:
        """Return table rows of the bigrams, [B, T] → [B, T - 1]; 0 for ignored bigrams."""
        pairs, are_known = bigrams(ids)
        return (1 + pairs % (self.num_embeddings - 1)).masked_fill(~are_known, PAD)

    def forward(  # type: ignore[override]  # one text per row, no offsets
        self, rows: Tensor, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        """Sum the vectors of rows [B, M], weighted by [B, M] if given → [B, E]."""
        return masked_embedding_bag(self.weight, rows, per_sample_weights)


def bigram_scale(token_scale: Tensor) -> Tensor:
    """Return the scale of each bigram, the mean of its tokens': [B, T] → [B, T - 1]."""
    return (token_scale[:, :-1] + token_scale[:, 1:]) / 2


def bigrams(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return a number per bigram and whether both tokens are known: [B, T] → 2 × [B, T - 1]."""
    left, right = ids[:, :-1], ids[:, 1:]
    return left * MULTIPLIER + right, (left > UNKNOWN) & (right > UNKNOWN)
