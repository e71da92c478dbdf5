"""A linear model of a text's words, word n-grams and character n-grams, with hashed weights."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.embeddings.character_ngrams import CharacterNgrams
from seqtext.embeddings.word_ngrams import WordNgrams
from seqtext.layers.bags import sum_bags
from seqtext.layers.pooling import masked_embedding_bag
from seqtext.token_ids import PAD, UNKNOWN

MULTIPLIER = 116_049_371  # of the left id of a bigram
# hash multiplier: any large odd number separates bigrams from words
BIGRAM_MULTIPLIER = 0x9E3779B97F4A7C1


class HashedNgramLinear(nn.Module):
    """Linear model with hashed weights of words, word n-grams and character n-grams.

    The weights are initialized from naive Bayes (Wang and Manning, 2012, "Baselines and Bigrams").
    Each word and word n-gram of a text counts once, and so do the character n-grams of each of its
    distinct words. The sum of either kind is divided by the square root of the number of its terms.

    With character n-grams, or word n-grams of more than two words, terms are hashed by their
    spelling, and unknown words have terms too; otherwise words are hashed by their ids.

    Args:
        outputs: K, 1 for two classes, else one per class
        buckets: number of weights per output
        dropout: dropout rate of a text's terms, and of the character n-grams of a batch
        nb_prior: factor of naive Bayes' log-ratios in the initial weights
        word_ngrams: largest number of words of a word n-gram
        min_n: number of characters of the shortest character n-grams
        max_n: number of characters of the longest character n-grams; 0: none are used
    """

    def __init__(
        self,
        outputs: int,
        buckets: int,
        dropout: float,
        nb_prior: float,
        word_ngrams: int = 2,
        min_n: int = 2,
        max_n: int = 0,
    ):
        super().__init__()
        self.nb_prior, self.word_ngrams = nb_prior, word_ngrams
        self.weight = nn.Parameter(torch.empty(1 + buckets, outputs).uniform_(-0.05, 0.05))
        self.scale = nn.Parameter(torch.ones(1))
        self.dropout = dropout
        self.spelled: WordNgrams | None = None
        self.characters: CharacterNgrams | None = None
        if max_n or word_ngrams > 2:
            self.spelled = WordNgrams(word_ngrams, buckets, shortest=1)
        if max_n:
            self.characters = CharacterNgrams(min_n, max_n, buckets)
            self.character_scale = nn.Parameter(torch.ones(1))
        self._exported: tuple[Tensor, Tensor] | None = None  # see `prepare_for_export`

    def prepare_for_export(self) -> None:
        """Sum the weights of each known word's characters once: the graph cannot spell words."""
        if self.characters and not self.characters.vocabulary_size:
            self.characters = None
        if self.characters:
            rows, counts = self.characters.look_up(torch.arange(self.characters.vocabulary_size))
            self._exported = sum_bags(self.weight, 1 + rows, counts), counts

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
        logits = self.scale * total / count.sqrt()
        if self.characters is None:
            return logits
        total, count = self._sum_characters(ids, token_scale)
        return logits + self.character_scale * total / count.clamp(min=1).sqrt()

    def _sum_characters(self, ids: Tensor, token_scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return sums of the weights of character n-grams [B, K], and their numbers [B, 1]."""
        if torch.compiler.is_exporting():
            assert self._exported
            words = list_distinct(ids)
            sums, counts = self._exported
            return F.embedding(words, sums).sum(dim=1), counts[words].sum(dim=1, keepdim=True)
        assert self.characters
        distinct, places = ids.unique(return_inverse=True)
        rows, counts = self.characters.look_up(distinct)
        if self.training and self.dropout:
            is_kept = torch.rand(rows.shape, device=rows.device) >= self.dropout
            bags = torch.arange(len(counts), device=rows.device).repeat_interleave(counts)
            rows, counts = rows[is_kept], bags[is_kept].bincount(minlength=len(counts))
        sums = sum_bags(self.weight, 1 + rows, counts)  # [words, K]
        is_first = list_distinct(places + 1)  # 0 for repeats
        words, is_word = (is_first - 1).clamp(min=0), is_first != PAD
        counts = (counts[words] * is_word).sum(dim=1, keepdim=True)
        if token_scale is None:
            return sum_bags(sums, words[is_word], is_word.sum(dim=1)), counts
        in_order, order, repeats = sort_repeats(places)
        factors = token_scale.gather(1, order) / repeats
        return (factors[..., None] * F.embedding(in_order, sums)).sum(dim=1), counts

    def _sum_scaled_weights(self, ids: Tensor, token_scale: Tensor) -> Tensor:
        """Return sums of weights [B, K], each term scaled by the mean over its occurrences."""
        keys, order, repeats = sort_repeats(self._hash_keys(ids))
        each = self._scale_keys(token_scale).gather(1, order) / repeats
        return masked_embedding_bag(self.weight, keys, each)

    def hash_ngrams(self, ids: Tensor) -> Tensor:
        """Return distinct table rows of a text's words and word n-grams, filled with 0.

        [B, T] → [B, M], for words and bigrams [B, 2 T - 1]
        """
        return list_distinct(self._hash_keys(ids))

    def _hash_keys(self, ids: Tensor) -> Tensor:
        """Return table rows [B, M] of all words, then of all word n-grams."""
        if self.spelled is not None:
            return self.spelled.look_up(ids)
        keys, is_known = ids, ids > UNKNOWN
        if self.word_ngrams > 1:
            pairs, are_known = bigrams(ids)
            keys = torch.cat([ids, pairs * BIGRAM_MULTIPLIER], dim=1)
            is_known = torch.cat([is_known, are_known], dim=1)
        return (keys % (len(self.weight) - 1) + 1).masked_fill(~is_known, PAD)

    def _scale_keys(self, token_scale: Tensor) -> Tensor:
        """Return the scale of each of `_hash_keys`."""
        if self.spelled is not None:
            return self.spelled.scale(token_scale)
        if self.word_ngrams > 1:
            return torch.cat([token_scale, bigram_scale(token_scale)], dim=1)
        return token_scale

    @torch.no_grad()
    def initialize_from_data(self, batches: Iterable[Batch], classes: int) -> None:
        """Initialize the weights from log-ratios of the classes' term counts in training."""
        counts = torch.ones(classes, len(self.weight))
        for batch in batches:
            terms = self.hash_ngrams(batch.ids)
            for number in batch.labels.unique().tolist():
                of_class = terms[batch.labels == number].flatten()
                counts[number] += torch.bincount(of_class, minlength=len(self.weight))
            if self.characters is not None:
                self._count_characters(batch, counts)
        counts[:, PAD] = 1
        own = counts / counts.sum(dim=1, keepdim=True)
        others = counts.sum(dim=0) - counts
        ratios = (own / (others / others.sum(dim=1, keepdim=True))).log()
        ratios = ratios[1:] if classes == 2 else ratios
        self.weight.copy_(self.nb_prior * ratios.T)
        self.weight[PAD] = 0

    def _count_characters(self, batch: Batch, counts: Tensor) -> None:
        """Add to counts [classes, rows] how often texts have words with each character n-gram."""
        assert self.characters
        words, places = list_distinct(batch.ids).unique(return_inverse=True)
        rows, lengths = self.characters.look_up(words)  # none of padding
        for number in batch.labels.unique().tolist():
            texts = places[batch.labels == number].flatten().bincount(minlength=len(words))
            weights = texts.repeat_interleave(lengths).float()
            counts[number] += torch.bincount(1 + rows, weights, minlength=len(self.weight))


def list_distinct(keys: Tensor) -> Tensor:
    """Return sorted keys [B, M] with 0 instead of repeated ones."""
    in_order = keys.sort(dim=1).values
    return in_order.masked_fill(F.pad(in_order[:, 1:] == in_order[:, :-1], (1, 0)), PAD)


def sort_repeats(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sorted keys [B, M], their order, and how often each is in its row."""
    in_order, order = keys.sort(dim=1)
    # index of the run of equal keys
    runs = F.pad((in_order[:, 1:] != in_order[:, :-1]).cumsum(dim=1), (1, 0))
    repeats = torch.zeros_like(keys).scatter_add(1, runs, torch.ones_like(keys)).gather(1, runs)
    return in_order, order, repeats


def bigram_scale(token_scale: Tensor) -> Tensor:
    """Return the scale of each bigram, the mean of its tokens': [B, T] → [B, T - 1]."""
    return (token_scale[:, :-1] + token_scale[:, 1:]) / 2


def bigrams(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return a number per bigram and whether both tokens are known: [B, T] → 2 × [B, T - 1]."""
    left, right = ids[:, :-1], ids[:, 1:]
    return left * MULTIPLIER + right, (left > UNKNOWN) & (right > UNKNOWN)
