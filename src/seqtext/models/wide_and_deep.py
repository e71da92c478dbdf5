"""Words and word pairs straight to the output, beside a recurrence that reads them in order."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.layers.pooling import masked_embedding_bag, max_over_time, mean_over_time
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.losses import cross_entropy
from seqtext.models.base import TextClassifier, get_embedding_dim
from seqtext.models.fasttext import bigram_scale, bigrams
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.validation import DropoutRate, NonNegativeFloat, PositiveInt, validate_args

BIGRAM_MULTIPLIER = (
    0x9E3779B97F4A7C1  # keeps pairs apart from words in the table: any large odd number
)


class HashedNgramLinear(nn.Module):
    """A weight for each word and each pair of neighbouring words, shared by those of one hash.

    They start from naive Bayes (Wang and Manning, 2012, "Baselines and Bigrams"), and a text's sum
    is divided by the square root of its number of terms.

    Args:
        outputs: K, 1 for two classes, else one for each class
        buckets: how many weights there are for words and pairs, for each output
        dropout: share of a text's terms that training leaves out
        nb_prior: share of naive Bayes' log-ratios that the weights start at
    """

    def __init__(self, outputs: int, buckets: int, dropout: float, nb_prior: float):
        super().__init__()
        self.nb_prior = nb_prior
        self.weight = nn.Parameter(torch.empty(1 + buckets, outputs).uniform_(-0.05, 0.05))
        self.scale = nn.Parameter(torch.ones(1))
        self.dropout = dropout

    def forward(self, ids: Tensor, token_scale: Tensor | None = None) -> Tensor:
        """[B, T] → [B, K]

        Args:
            token_scale: [B, T] how far each word counts; None: wholly
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
        """Sum of the weights [B, K], where a term is as present as its places are on average."""
        keys, order = self._keys(ids).sort(dim=1)
        runs = F.pad((keys[:, 1:] != keys[:, :-1]).cumsum(dim=1), (1, 0))  # of equal keys
        places = torch.zeros_like(keys).scatter_add(1, runs, torch.ones_like(keys)).gather(1, runs)
        each = torch.cat([token_scale, bigram_scale(token_scale)], dim=1).gather(1, order) / places
        return masked_embedding_bag(self.weight, keys, each)

    def hash_ngrams(self, ids: Tensor) -> Tensor:
        """[B, T] → [B, 2 T - 1] rows of the table, each once in a text; 0: there is no term."""
        terms = self._keys(ids).sort(dim=1).values
        repeats = F.pad(terms[:, 1:] == terms[:, :-1], (1, 0))
        return terms.masked_fill(repeats, PAD)

    def _keys(self, ids: Tensor) -> Tensor:
        """[B, 2 T - 1] rows of the table: of each word, then of each pair."""
        pairs, are_known = bigrams(ids)
        keys = torch.cat([ids, pairs * BIGRAM_MULTIPLIER], dim=1) % (len(self.weight) - 1) + 1
        known = torch.cat([ids > UNKNOWN, are_known], dim=1)
        return keys.masked_fill(~known, PAD)

    @torch.no_grad()
    def initialize_from_data(self, batches: Iterable[Batch], classes: int) -> None:
        """Start the weights at the log-ratios of each class's term counts in the training part."""
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
    """Wide and deep (Cheng et al., 2016): the mean of the logits of n-grams and of a recurrence.

    The words' states are pooled by their maximum and their mean.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        cell: kind of recurrence; None: the words' vectors are pooled as they are
        units: U, of each direction
        bidirectional: read from both ends
        variational_dropout: of the inputs of the recurrence, one mask per text for all its words
        buckets: weights that words and pairs share, for each output
        ngram_dropout: share of a text's words and pairs that training leaves out
        nb_prior: share of naive Bayes' log-ratios that these weights start at
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
        buckets: PositiveInt = 2**20,
        ngram_dropout: DropoutRate = 0.5,
        nb_prior: NonNegativeFloat = 0.3,
        **head: Any,
    ):
        width = units * (1 + bidirectional) if cell else get_embedding_dim(embedding)
        super().__init__(embedding, classes, features=2 * width, **head)
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

    def initialize_from_data(self, batches: Iterable[Batch]) -> None:
        """See `TextClassifier.initialize_from_data`."""
        self.terms.initialize_from_data(batches, self.classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        wide, deep = self._compute_both_logits(ids, lengths)
        return (wide + deep) / 2

    def compute_logits_and_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Each part learns as if it were alone: the terms, which learn faster, would leave the
        recurrence nothing to learn."""
        wide, deep = self._compute_both_logits(batch.ids, batch.lengths)
        loss = cross_entropy(wide, batch.labels, self.class_weights)
        loss = loss + cross_entropy(deep, batch.labels, self.class_weights)
        return (wide + deep).detach() / 2, loss

    def _compute_both_logits(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        terms = self.terms(ids, self.token_scale)
        terms = terms.squeeze(1) if self.classes == 2 else terms
        return terms, self.compute_logits(self._features(ids, lengths))

    def _features(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, F]"""
        states = self.embed(ids)
        if self.recurrence is not None:
            states = self.recurrence(states, lengths)
        return torch.cat([max_over_time(states, lengths), mean_over_time(states, lengths)], dim=1)
