"""Wide and deep: a linear model of words and bigrams beside a recurrent network."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.layers.pooling import (
    Pooling,
    build_pooling,
    masked_embedding_bag,
    prepare_pooling,
)
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.models.base import TextClassifier
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.validation import DropoutRate, NonNegativeFloat, PositiveInt, validate_args

MULTIPLIER = 116_049_371  # of the left id of a bigram
# hash multiplier: any large odd number separates bigrams from words
BIGRAM_MULTIPLIER = 0x9E3779B97F4A7C1


class HashedNgramLinear(nn.Module):
    """Linear model with hashed weights of words and bigrams.

    The weights are initialized from naive Bayes (Wang and Manning, 2012, "Baselines and Bigrams").
    A text's sum is divided by the square root of its number of terms.

    Args:
        outputs: K, 1 for two classes, else one per class
        buckets: number of weights per output
        dropout: dropout rate of a text's terms
        nb_prior: factor of naive Bayes' log-ratios in the initial weights
    """

    def __init__(self, outputs: int, buckets: int, dropout: float, nb_prior: float):
        super().__init__()
        self.nb_prior = nb_prior
        self.weight = nn.Parameter(torch.empty(1 + buckets, outputs).uniform_(-0.05, 0.05))
        self.scale = nn.Parameter(torch.ones(1))
        self.dropout = dropout

    def forward(self, ids: Tensor, token_scale: Tensor | None = None) -> Tensor:
        """Compute logits, ids [B, T] → [B, K].

        Args:
            token_scale: [B, T] scale of each word (see `TextClassifier.scale_tokens`); None: 1
        """
        terms = self.hash_ngrams(ids)
        if self.training and self.dropout:
            dropped = torch.rand(terms.shape, device=terms.device) < self.dropout
            terms = terms.masked_fill(dropped, PAD)
        count = (terms != PAD).sum(dim=1, keepdim=True).clamp(min=1)
        total = (
            masked_embedding_bag(self.weight, terms)
            if token_scale is None
            else self._sum_scaled_weights(ids, token_scale)
        )
        return self.scale * total / count.sqrt()

    def _sum_scaled_weights(self, ids: Tensor, token_scale: Tensor) -> Tensor:
        """Return sums of weights [B, K], each term scaled by the mean over its occurrences."""
        keys, order = self._hash_keys(ids).sort(dim=1)
        runs = F.pad(
            (keys[:, 1:] != keys[:, :-1]).cumsum(dim=1), (1, 0)
        )  # index of the run of equal keys
        places = torch.zeros_like(keys).scatter_add(1, runs, torch.ones_like(keys)).gather(1, runs)
        each = torch.cat([token_scale, bigram_scale(token_scale)], dim=1).gather(1, order) / places
        return masked_embedding_bag(self.weight, keys, each)

    def hash_ngrams(self, ids: Tensor) -> Tensor:
        """Return distinct table rows of a text's terms, [B, T] → [B, 2 T - 1], filled with 0."""
        terms = self._hash_keys(ids).sort(dim=1).values
        repeats = F.pad(terms[:, 1:] == terms[:, :-1], (1, 0))
        return terms.masked_fill(repeats, PAD)

    def _hash_keys(self, ids: Tensor) -> Tensor:
        """Return table rows [B, 2 T - 1] of all words, then of all bigrams."""
        pairs, are_known = bigrams(ids)
        keys = torch.cat([ids, pairs * BIGRAM_MULTIPLIER], dim=1) % (len(self.weight) - 1) + 1
        known = torch.cat([ids > UNKNOWN, are_known], dim=1)
        return keys.masked_fill(~known, PAD)

    @torch.no_grad()
    def initialize_from_data(self, batches: Iterable[Batch], classes: int) -> None:
        """Initialize the weights from log-ratios of the classes' term counts in training."""
        counts = torch.ones(classes, len(self.weight))
        for batch in batches:
            terms = self.hash_ngrams(batch.ids)
            for number in batch.labels.unique().tolist():
                of_class = terms[batch.labels == number].flatten()
                counts[number] += torch.bincount(of_class, minlength=len(self.weight))
        counts[:, PAD] = 1
        own = counts / counts.sum(dim=1, keepdim=True)
        others = counts.sum(dim=0) - counts
        ratios = (own / (others / others.sum(dim=1, keepdim=True))).log()
        ratios = ratios[1:] if classes == 2 else ratios
        self.weight.copy_(self.nb_prior * ratios.T)
        self.weight[PAD] = 0


class WideAndDeep(TextClassifier):
    """Averages the logits of an n-gram model and of a recurrent network (Cheng et al., 2016).

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        cell: kind of the recurrent layer; None: pool the word vectors without one
        units: U, width of each direction
        bidirectional: whether to concatenate the states of a forward and a backward pass
        variational_dropout: dropout rate of the recurrent layer's inputs, with one mask per text
        pooling: pooling of the states; see `RNNClassifier`
        buckets: number of weights shared by words and bigrams, per output
        ngram_dropout: dropout rate of a text's words and bigrams
        nb_prior: factor of naive Bayes' log-ratios in the initial weights of words and bigrams
        head: see `TextClassifier`
    """

    name = "wide_and_deep"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: CellName | None = "lstm",
        units: PositiveInt = 64,
        bidirectional: bool = True,
        variational_dropout: DropoutRate = 0.5,
        pooling: Pooling = "max_mean",
        buckets: PositiveInt = 2**20,
        ngram_dropout: DropoutRate = 0.5,
        nb_prior: NonNegativeFloat = 0.3,
        **head: Any,
    ):
        width = units * (1 + bidirectional) if cell else get_embedding_dim(embedding)
        prepared, features = prepare_pooling(pooling, width)
        super().__init__(embedding, classes, features, **head)
        self.terms = HashedNgramLinear(
            1 if classes == 2 else classes, buckets, ngram_dropout, nb_prior
        )
        self.recurrence = None
        if cell:
            self.recurrence = RNNLayer(
                cell,
                get_embedding_dim(embedding),
                units,
                bidirectional,
                variational_dropout=variational_dropout,
                init=self.init,
            )
        directions = 2 if cell and bidirectional else 1
        self.pool = build_pooling(prepared, width, self.init, directions)

    def initialize_from_data(self, batches: Iterable[Batch]) -> None:
        """See `TextClassifier.initialize_from_data`."""
        self.terms.initialize_from_data(batches, self.classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        wide, deep = self._compute_both_logits(ids, lengths)
        return (wide + deep) / 2

    def compute_logits_and_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean logits and the sum of both parts' losses.

        With a loss of the mean logits, the n-gram part, which learns faster, would dominate the
        gradient.
        """
        wide, deep = self._compute_both_logits(batch.ids, batch.lengths)
        loss = self.loss(wide, batch.labels, self.class_weights)
        loss = loss + self.loss(deep, batch.labels, self.class_weights)
        return (wide + deep).detach() / 2, loss

    def _compute_both_logits(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        terms = self.terms(self.hide_unknown_tokens(ids), self.token_scale)
        terms = terms.squeeze(1) if self.classes == 2 else terms
        return terms, self.compute_logits(self._pool_features(ids, lengths))

    def _pool_features(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return text vectors [B, F]."""
        states = self.embed(ids)
        if self.recurrence is not None:
            states = self.recurrence(states, lengths)
        return self.pool(states, lengths)


def bigram_scale(token_scale: Tensor) -> Tensor:
    """Return the scale of each bigram, the mean of its tokens': [B, T] → [B, T - 1]."""
    return (token_scale[:, :-1] + token_scale[:, 1:]) / 2


def bigrams(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return a number per bigram and whether both tokens are known: [B, T] → 2 × [B, T - 1]."""
    left, right = ids[:, :-1], ids[:, 1:]
    return left * MULTIPLIER + right, (left > UNKNOWN) & (right > UNKNOWN)
