"""Wide and deep: a linear model of words and n-grams beside a recurrent network."""

import logging
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from seqtext.data.loaders import Batch
from seqtext.embeddings.character_ngrams import MaxNgramLength, NgramLength
from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.embeddings.word_ngrams import WordNgramOrder
from seqtext.errors import OptionError
from seqtext.layers.pooling import (
    Pooling,
    build_pooling,
    prepare_pooling,
)
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.losses import cross_entropy
from seqtext.models.base import TextClassifier
from seqtext.models.fitted_linear import FittedNgramLinear
from seqtext.models.hashed_linear import HashedNgramLinear
from seqtext.validation import (
    DropoutRate,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    validate_args,
)

log = logging.getLogger(__name__)

NGRAM_DROPOUT, NB_PRIOR = 0.5, 0.3  # with these defaults, neither option was given


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
        word_ngrams: largest number of words of a word n-gram; 1: words only
        min_n: number of characters of the shortest character n-grams of words
        max_n: number of characters of the longest; 0: no character n-grams. With them, or with
            `word_ngrams` above 2, words outside of the vocabulary have terms too
        buckets: number of weights shared by words and n-grams, per output
        linear_C: inverse strength of the L2 regularization with which the n-gram model is fitted
            before training, see `FittedNgramLinear`; it is not trained with the network. None: it
            is trained with the network
        ngram_dropout: with ``linear_C=None``, dropout rate of a text's words and n-grams
        nb_prior: with ``linear_C=None``, factor of naive Bayes' log-ratios in the initial weights
            of words and n-grams
        deep_weight: weight of the recurrent network's logits in the mean
        head: see `TextClassifier`
    """

    name = "wide_and_deep"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: CellName | None = "gru",
        units: PositiveInt = 64,
        bidirectional: bool = False,
        variational_dropout: DropoutRate = 0.3,
        pooling: Pooling = "max_mean",
        word_ngrams: WordNgramOrder = 3,
        min_n: NgramLength = 2,
        max_n: MaxNgramLength = 5,
        buckets: PositiveInt = 2**20,
        linear_C: PositiveFloat | None = 64.0,
        ngram_dropout: DropoutRate = NGRAM_DROPOUT,
        nb_prior: NonNegativeFloat = NB_PRIOR,
        deep_weight: Fraction = 0.3,
        **head: Any,
    ):
        width = units * (1 + bidirectional) if cell else get_embedding_dim(embedding)
        prepared, features = prepare_pooling(pooling, width)
        super().__init__(embedding, classes, features, **head)
        if 0 < max_n < min_n:
            raise OptionError("max_n", max_n, f"at least min_n, {min_n}, or 0")
        if linear_C is not None:
            for option, value, default in (
                ("ngram_dropout", ngram_dropout, NGRAM_DROPOUT),
                ("nb_prior", nb_prior, NB_PRIOR),
            ):
                if value not in (0, default):
                    raise OptionError(option, value, f"{default} unless model.linear_C=null")
        outputs = 1 if classes == 2 else classes
        self.linear_C, self.deep_weight = linear_C, deep_weight
        ngrams = word_ngrams, min_n, max_n
        self.terms: HashedNgramLinear | FittedNgramLinear = (
            HashedNgramLinear(outputs, buckets, ngram_dropout, nb_prior, *ngrams)
            if linear_C is None
            else FittedNgramLinear(outputs, buckets, *ngrams)
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
        if isinstance(self.terms, HashedNgramLinear):
            self.terms.initialize_from_data(batches, self.classes)
        else:
            assert self.linear_C
            if getattr(self.loss, "func", self.loss) is not cross_entropy:
                log.warning(
                    "The linear part is fitted with the cross-entropy, and the network alone is "
                    "trained with loss=: with model.linear_C=null, both are."
                )
            self.terms.fit(batches, self.classes, self.linear_C, self.class_weights)

    def count_parameters(self) -> int:
        """Return the number of weights of the network and of the n-gram part, fitted or not."""
        fitted = self.terms.count_weights() if isinstance(self.terms, FittedNgramLinear) else 0
        return super().count_parameters() + fitted

    def prepare_for_export(self) -> None:
        """Compute what a graph without spelling needs."""
        self.terms.prepare_for_export()

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        return self._mix(self._compute_wide_logits(ids), self._compute_deep_logits(ids, lengths))

    def compute_logits_and_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean logits and the network's loss, plus that of an n-gram part in training.

        With a loss of the mean logits, the n-gram part, which learns faster, would dominate the
        gradient.
        """
        deep = self._compute_deep_logits(batch.ids, batch.lengths)
        loss = self.compute_loss(deep, batch.labels, batch.rows)
        if isinstance(self.terms, FittedNgramLinear):
            fitted = self.terms.get_fitted_logits(batch.rows)
            wide = self._compute_wide_logits(batch.ids) if fitted is None else self._squeeze(fitted)
        else:
            wide = self._compute_wide_logits(batch.ids)
            loss = self.compute_loss(wide, batch.labels, batch.rows) + loss
        return self._mix(wide, deep).detach(), loss

    def compute_trained_logits(self, batch: Batch) -> Tensor:
        """Compute the network's logits, without the n-gram part's."""
        return self._compute_deep_logits(batch.ids, batch.lengths)

    def _mix(self, wide: Tensor, deep: Tensor) -> Tensor:
        """Return the weighted mean of both parts' logits."""
        return (1 - self.deep_weight) * wide + self.deep_weight * deep

    def _compute_wide_logits(self, ids: Tensor) -> Tensor:
        known = ids if self.terms.spelled else self.hide_unknown_tokens(ids)
        return self._squeeze(self.terms(known, self.token_scale))

    def _squeeze(self, logits: Tensor) -> Tensor:
        """Return logits [B] for two classes, else [B, C] as they are."""
        return logits.squeeze(1) if self.classes == 2 else logits

    def _compute_deep_logits(self, ids: Tensor, lengths: Tensor) -> Tensor:
        states = self.embed(ids)
        if self.recurrence is not None:
            states = self.recurrence(states, lengths)
        return self.compute_logits(self.pool(states, lengths))
