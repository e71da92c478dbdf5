"""A linear model of a text's words, word n-grams and character n-grams, fitted before training."""

import logging
import math
from collections.abc import Iterable

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.embeddings.character_ngrams import CharacterNgrams
from seqtext.embeddings.word_ngrams import MODULUS, WordNgrams
from seqtext.layers.pooling import masked_embedding_bag
from seqtext.models.character_terms import count_rows_by_class, iter_products
from seqtext.models.hashed_linear import sort_repeats
from seqtext.models.logistic_regression import Features, LogisticRegression
from seqtext.models.sparse_rows import build_rows, repeat_norms, select_columns
from seqtext.models.term_table import TermTable
from seqtext.models.tfidf import compute_log_count_ratios
from seqtext.token_ids import PAD

log = logging.getLogger(__name__)

MAX_TEXTS = 200_000  # texts that the model is fitted to; limits the memory


class FittedNgramLinear(nn.Module):
    """Linear model of TF-IDF times naive Bayes' log-count ratios (Wang and Manning, 2012).

    The terms are words and word n-grams, and, apart, the character n-grams of words. A term that a
    text has n times has the value (1 + ln n) idf; an n-gram's frequency is the sum over its words.
    The values of either kind are divided by the root of their sum of squares, in which the n-grams
    of different words are different.
    `fit` sets the weights; no weight is a parameter.

    Args:
        outputs: K, 1 for two classes, else one per class
        buckets: number of rows of the tables of known terms
        word_ngrams: largest number of words of a word n-gram
        min_n: number of characters of the shortest character n-grams
        max_n: number of characters of the longest character n-grams; 0: none are used
    """

    bias: Tensor  # [K]
    known_sums: Tensor | None  # [V, K] see `sum_known_words`
    known_squares: Tensor | None  # [V]
    fitted_logits: Tensor | None  # [N, K] logits of rows of the data set; NaN: not fitted

    def __init__(self, outputs: int, buckets: int, word_ngrams: int, min_n: int, max_n: int):
        super().__init__()
        self.spelled = WordNgrams(word_ngrams, MODULUS, shortest=1)
        self.terms = TermTable(buckets, outputs)
        self.characters = CharacterNgrams(min_n, max_n, MODULUS) if max_n else None
        self.ngrams = TermTable(buckets, outputs) if max_n else None
        self.register_buffer("bias", torch.zeros(outputs))
        self.register_buffer("known_sums", None, persistent=False)
        self.register_buffer("known_squares", None, persistent=False)
        self.register_buffer("fitted_logits", None, persistent=False)
        self.register_load_state_dict_post_hook(_update_known_words)

    def prepare_for_export(self) -> None:
        """Compute what the known words' characters add: the graph cannot spell words."""
        if self.characters and not self.characters.vocabulary_size:
            self.characters = None
        self.sum_known_words()

    def sum_known_words(self) -> None:
        """Compute, once for all texts, what the character n-grams of the known words add."""
        if self.characters:
            ids = torch.arange(self.characters.vocabulary_size, device=self.bias.device)
            self.known_sums, self.known_squares = self._sum_ngrams(ids)

    def forward(self, ids: Tensor, token_scale: Tensor | None = None) -> Tensor:
        """Compute logits, ids [B, T] → [B, K].

        Args:
            token_scale: [B, T] scale of each word (see `TextClassifier.scale_tokens`); None: 1
        """
        rows = self.terms.find(self.spelled.look_up(ids))
        distinct, frequencies = _weigh_distinct(rows)
        values = frequencies * self.terms.idf[distinct]
        norms = _compute_norms((values**2).sum(dim=1, keepdim=True))
        if token_scale is not None:
            distinct, order, repeats = sort_repeats(rows)
            shares = self.spelled.scale(token_scale).gather(1, order) / repeats
            values = shares * _compute_frequencies(repeats) * self.terms.idf[distinct]
        logits = self.bias + masked_embedding_bag(self.terms.weights, distinct, values) / norms
        if self.characters is None:
            return logits
        total, squares = self._sum_words(ids, token_scale)
        return logits + total / _compute_norms(squares)

    @torch.no_grad()
    def fit(
        self,
        batches: Iterable[Batch],
        classes: int,
        C: float,
        class_weights: Tensor | None = None,
    ) -> None:
        """Fit the weights by logistic regression.

        Args:
            batches: training texts, of which the first `MAX_TEXTS` are used
            classes: number of classes
            C: inverse strength of the L2 regularization
            class_weights: [classes] weights of the loss; None: all 1
        """
        used = _take_texts(batches)
        labels = np.concatenate([batch.labels.numpy() for batch in used])
        counted = [_weigh_distinct(self.spelled.look_up(batch.ids)) for batch in used]
        self.terms.set_terms(*_count_texts([hashes for hashes, _ in counted]))
        found = [(self.terms.find(hashes), frequencies) for hashes, frequencies in counted]
        terms = select_columns(build_rows(found), self.terms)
        by_class = [count_rows_by_class(terms, labels, classes)]
        terms.data *= self.terms.set_values(by_class[0].sum(axis=0), len(labels))[terms.indices]
        terms.data /= repeat_norms(terms, terms.data**2)
        words, spelling = sparse.csr_array((len(labels), 0)), sparse.csr_array((0, 0))
        if self.ngrams is not None:
            words, spelling, counts = self._collect_characters(used, labels, classes)
            by_class.append(counts)
        features, outputs = Features(terms, words, spelling), len(self.bias)
        log.info(
            "The linear part is fitted to %s terms and %s character n-grams.",
            f"{terms.shape[1]:,}",
            f"{spelling.shape[1]:,}",
        )
        ratios = compute_log_count_ratios(np.hstack(by_class), terms.shape[1])
        scales = np.ascontiguousarray(ratios[-outputs:].T)
        row_weights = None if class_weights is None else class_weights.double().numpy()[labels]
        regression = LogisticRegression(features, labels, outputs, row_weights, scales)
        weights, bias = regression.fit(C)
        self.bias.copy_(torch.from_numpy(bias))
        of_terms, of_characters = np.split(weights, [terms.shape[1]])
        self.terms.weights[self.terms.list_rows()] = torch.from_numpy(of_terms).float()
        if self.ngrams is not None:
            of_ngrams = torch.from_numpy(of_characters).float()
            self.ngrams.weights[self.ngrams.list_rows()] = of_ngrams
        self.sum_known_words()
        rows = torch.cat([batch.rows for batch in used])
        self.fitted_logits = self.bias.new_full((int(rows.max()) + 1, outputs), math.nan)
        self.fitted_logits[rows] = torch.from_numpy(features.multiply(weights) + bias).float()

    def count_weights(self) -> int:
        """Return the number of fitted weights."""
        tables = [table for table in (self.terms, self.ngrams) if table is not None]
        return len(self.bias) * (1 + sum(len(table.list_rows()) for table in tables))

    def get_fitted_logits(self, rows: Tensor) -> Tensor | None:
        """Return the logits [B, K] of training rows [B]; None if some were not fitted."""
        if self.fitted_logits is None or rows.max() >= len(self.fitted_logits):
            return None
        logits = self.fitted_logits[rows]
        return None if logits.isnan().any() else logits

    def _collect_characters(
        self, batches: list[Batch], labels: np.ndarray, classes: int
    ) -> tuple[sparse.csr_array, sparse.csr_array, np.ndarray]:
        """Choose the character n-grams, and return their features.

        Returns:
            words: [N, V] see `Features`
            spelling: [V, G]
            by_class: [classes, G] numbers of texts of each class with each n-gram
        """
        assert self.characters
        assert self.ngrams
        words = build_rows([_weigh_distinct(batch.ids) for batch in batches])
        count = self.characters.num_tokens
        rows, counts = self.characters.look_up(torch.arange(count))
        starts = np.concatenate([[0], np.cumsum(counts.numpy())])
        # A text with an n-gram has a word with it, so this is at least its number of texts.
        texts = np.repeat(np.bincount(words.indices, minlength=count), counts.numpy())
        hashes, places = np.unique(1 + rows.numpy(), return_inverse=True)
        self.ngrams.set_terms(hashes, np.bincount(places, texts))
        found = self.ngrams.find(1 + rows).numpy()
        ones, size = np.ones(len(found)), len(self.ngrams.hashes)
        spelling = sparse.csr_array((ones, found, starts), shape=(count, size))
        spelling.sum_duplicates()
        spelling = select_columns(spelling, self.ngrams)
        words = sparse.csr_array((words.data, words.indices, words.indptr), (len(labels), count))
        by_class = np.zeros((classes, spelling.shape[1]), np.int64)
        for of_block, product in iter_products(words, spelling):
            by_class += count_rows_by_class(product, labels[of_block], classes)
        idf = self.ngrams.set_values(by_class.sum(axis=0), len(labels))
        squares = spelling @ idf**2  # [V]
        words.data /= repeat_norms(words, words.data**2 * squares[words.indices])
        spelling.data *= idf[spelling.indices]
        return words, spelling, by_class

    def _sum_words(self, ids: Tensor, token_scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return sums [B, K] of the weights of the distinct words' n-grams, and squares [B, 1]."""
        if torch.compiler.is_exporting():
            assert self.known_sums is not None
            assert self.known_squares is not None
            words, frequencies = _weigh_distinct(ids)
            sums, squares = self.known_sums, self.known_squares
            sums = (frequencies[..., None] * F.embedding(words, sums)).sum(dim=1)
            return sums, (frequencies**2 * squares[words]).sum(dim=1, keepdim=True)
        distinct, places = ids.unique(return_inverse=True)
        sums, squares = self._sum_distinct(distinct)
        words, frequencies = _weigh_distinct(places + 1)  # 0 for repeats
        frequencies = frequencies * (words != PAD)
        words = (words - 1).clamp(min=0)
        squares = (frequencies**2 * squares[words]).sum(dim=1, keepdim=True)
        if token_scale is not None:
            words, order, repeats = sort_repeats(places)
            frequencies = token_scale.gather(1, order) / repeats * _compute_frequencies(repeats)
        return (frequencies[..., None] * F.embedding(words, sums)).sum(dim=1), squares

    def _sum_distinct(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return `_sum_ngrams` of sorted ids, of known words from `sum_known_words`."""
        if self.known_sums is None or self.known_squares is None:
            return self._sum_ngrams(ids)
        known = ids[ids < len(self.known_sums)]
        sums, squares = self._sum_ngrams(ids[len(known) :])
        return (
            torch.cat([self.known_sums[known], sums]),
            torch.cat([self.known_squares[known], squares]),
        )

    def _sum_ngrams(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Sum idf times weights [words, K], and idf² [words], of the n-grams of ids."""
        assert self.characters
        assert self.ngrams
        rows, counts = self.characters.look_up(ids)
        rows = self.ngrams.find(1 + rows)
        idf = self.ngrams.idf[rows]
        words = torch.arange(len(ids), device=ids.device)
        words = words.repeat_interleave(counts, output_size=len(rows))
        sums = self.bias.new_zeros(len(ids), len(self.bias))
        sums.index_add_(0, words, idf[:, None] * self.ngrams.weights[rows])
        return sums, self.bias.new_zeros(len(ids)).index_add_(0, words, idf**2)


def _update_known_words(model: FittedNgramLinear, _: object) -> None:
    """Compute `sum_known_words` again with loaded weights, and forget the fitted logits."""
    model.fitted_logits = None
    if model.known_sums is not None:
        model.sum_known_words()


def _take_texts(batches: Iterable[Batch]) -> list[Batch]:
    """Return the first batches, with at most `MAX_TEXTS` texts."""
    taken: list[Batch] = []
    count = 0
    for batch in batches:
        count += len(batch.labels)
        if taken and count > MAX_TEXTS:
            log.info("The linear part is fitted to the first %s texts.", f"{MAX_TEXTS:,}")
            break
        taken.append(batch)
    return taken


def _count_texts(hashes: list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct hashes but 0, and the number of rows of [B, M] arrays with each."""
    found = [each[each != PAD].numpy() for each in hashes]
    return np.unique(np.concatenate(found), return_counts=True)


def _weigh_distinct(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Return sorted keys [B, M] with 0 instead of repeated ones, and their term frequencies."""
    in_order, _, repeats = sort_repeats(keys)
    is_repeat = F.pad(in_order[:, 1:] == in_order[:, :-1], (1, 0))
    return in_order.masked_fill(is_repeat, PAD), _compute_frequencies(repeats)


def _compute_frequencies(counts: Tensor) -> Tensor:
    """Return 1 + ln(count)."""
    return 1 + counts.float().log()


def _compute_norms(squares: Tensor) -> Tensor:
    """Return the roots of sums of squares; 1 for a text without terms."""
    return torch.where(squares > 0, squares, 1).sqrt()
