"""fastText: the mean of the vectors of words, their character n-grams, and word n-grams."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.character_ngrams import (
    CharacterNgrams,
    MaxNgramLength,
    NgramLength,
)
from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.embeddings.word_ngrams import WordNgramOrder, WordNgrams
from seqtext.errors import OptionError
from seqtext.layers.bags import SummedEmbedding, sum_bags
from seqtext.layers.pooling import masked_embedding_bag
from seqtext.models.base import TextClassifier
from seqtext.token_ids import PAD
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class FastText(TextClassifier):
    """Averages the vectors of words, character n-grams and word n-grams: fastText (Joulin et al.,
    2017; Bojanowski et al., 2017).

    N-grams share a table of `buckets` vectors by their hashes. Of a word that is not in the
    vocabulary, only n-grams are used. In training, `word_dropout` drops n-grams at the same rate.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        min_n: number of characters of the shortest character n-grams
        max_n: number of characters of the longest character n-grams; 0: none are used
        word_ngrams: largest number of words of a word n-gram; 1: none are used
        buckets: number of n-gram vectors [E]
        word_dropout, head_dropout, head: see `TextClassifier`
    """

    name = "fasttext"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        min_n: NgramLength = 3,
        max_n: MaxNgramLength = 6,
        word_ngrams: WordNgramOrder = 2,
        buckets: PositiveInt = 2**16,
        word_dropout: DropoutRate = 0.0,
        head_dropout: DropoutRate = 0.0,
        **head: Any,
    ):
        dim = get_embedding_dim(embedding)
        super().__init__(
            embedding, classes, dim, word_dropout=word_dropout, head_dropout=head_dropout, **head
        )
        if 0 < max_n < min_n:
            raise OptionError("max_n", max_n, f"at least min_n, {min_n}, or 0")
        self.characters = CharacterNgrams(min_n, max_n, buckets) if max_n else None
        self.word_ngrams = WordNgrams(word_ngrams, buckets) if word_ngrams > 1 else None
        self.ngram_embedding = None
        if self.characters or self.word_ngrams:
            self.ngram_embedding = SummedEmbedding(1 + buckets, dim, padding_idx=PAD)
        self._exported: tuple[Tensor, Tensor] | None = None  # see `prepare_for_export`

    def prepare_for_export(self) -> None:
        """Sum the character n-grams of each known word once: the graph cannot spell words."""
        if self.characters and not self.characters.vocabulary_size:
            self.characters = None
        if self.characters:
            rows, counts = self.characters.look_up(torch.arange(self.characters.vocabulary_size))
            assert self.ngram_embedding
            self._exported = self.ngram_embedding(1 + rows, counts), counts

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        total, count = self._sum_words(ids)
        if self.ngram_embedding:
            is_plain = self.token_scale is None and not torch.compiler.is_exporting()
            sum_ngrams = self._sum_ngrams if is_plain else self._sum_weighted_ngrams
            sums, counts = sum_ngrams(ids, self.ngram_embedding)
            total, count = total + sums, count + counts
        return self.compute_logits(total / count.clamp(min=1)[:, None])

    def _sum_words(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the vectors of each text's words, return [B, E] and their numbers [B]."""
        has_vector = ids != PAD
        if self.vocabulary_size is not None and not self._is_unknown_embedded:
            has_vector = has_vector & (ids < self.vocabulary_size)
        counts = has_vector.sum(dim=1)
        is_plain = self.token_scale is None and self.perturbation is None
        if is_plain and not torch.compiler.is_exporting():
            words, places = self._replace_words(ids).unique(return_inverse=True)  # [words], [B, T]
            vectors = self.embedding(words[None])[0]  # [words, E], much less than [B, T, E]
            return sum_bags(vectors, places[has_vector], counts), counts
        vectors = self.embed(ids)  # [B, T, E]
        total = vectors.masked_fill(~has_vector[..., None], 0).sum(dim=1)
        return total, counts

    def _sum_ngrams(self, ids: Tensor, table: SummedEmbedding) -> tuple[Tensor, Tensor]:
        """Sum the vectors of each text's n-grams, return [B, E] and their numbers [B]."""
        pairs = self._hash_word_ngrams(ids)  # [B, M]
        is_used = pairs != PAD
        rows, counts = pairs[is_used], is_used.sum(dim=1)
        if self.characters is None:
            return table(rows, counts), counts
        words, places = ids.unique(return_inverse=True)  # [words], [B, T]
        ngrams, lengths = self.characters.look_up(words)
        sums = table(torch.cat([1 + ngrams, rows]), torch.cat([lengths, counts]))
        of_words, total = sums.split([len(words), len(ids)])
        is_kept = self._drop(ids) != PAD
        total = total + sum_bags(of_words, places[is_kept], is_kept.sum(dim=1))
        return total, counts + (lengths[places] * is_kept).sum(dim=1)

    def _sum_weighted_ngrams(self, ids: Tensor, table: SummedEmbedding) -> tuple[Tensor, Tensor]:
        """Do the same for integrated gradients, and in operations that ONNX has."""
        scale = self.token_scale
        total, count = table.weight.new_zeros(1), ids.new_zeros(1)
        if self.word_ngrams:
            rows = self._hash_word_ngrams(ids)
            factors = None if scale is None else self.word_ngrams.scale(scale)
            total = masked_embedding_bag(table.weight, rows, factors)
            count = (rows != PAD).sum(dim=1)
        if self.characters is None:
            return total, count
        if not torch.compiler.is_exporting():
            words, places = ids.unique(return_inverse=True)
            rows, lengths = self.characters.look_up(words)
            vectors = table(1 + rows, lengths)[places]
            lengths = lengths[places]
        else:
            assert self._exported
            vectors, lengths = F.embedding(ids, self._exported[0]), self._exported[1][ids]
        if scale is not None:
            vectors = scale[..., None] * vectors
        return total + vectors.sum(dim=1), count + lengths.sum(dim=1)

    def _hash_word_ngrams(self, ids: Tensor) -> Tensor:
        """Return table rows [B, M] of the word n-grams, 0 for ignored and dropped ones."""
        return self._drop(self.word_ngrams.look_up(ids)) if self.word_ngrams else ids[:, :0]

    def _drop(self, rows: Tensor) -> Tensor:
        """Set rows to 0 in training, at the rate `word_dropout`."""
        if not (self.training and self.word_dropout):
            return rows
        return rows.masked_fill(torch.rand(rows.shape, device=rows.device) < self.word_dropout, PAD)
