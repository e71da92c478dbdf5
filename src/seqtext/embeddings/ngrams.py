"""Word vectors with character n-grams, so that unknown words have vectors too."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.character_ngrams import CharacterNgrams, NgramLength
from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import OptionError
from seqtext.layers.bags import SummedEmbedding
from seqtext.token_ids import PAD
from seqtext.validation import PositiveInt, validate_args


class NgramEmbedding(nn.Module):
    """Adds the vectors of a word's character n-grams to the word's own vector, all learned.

    Source: Bojanowski et al. (2017, "Enriching Word Vectors with Subword Information"). The sum of
    n vectors is divided by √n, so that long words do not have larger vectors. A word that is not in
    the vocabulary has n-grams only. N-grams share `buckets` vectors by their hashes.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors
        min_n: number of characters of the shortest n-grams of "<word>"
        max_n: number of characters of the longest n-grams
        buckets: number of n-gram vectors

    Raises:
        OptionError: if `max_n` is less than `min_n`.
    """

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt = 50,
        min_n: NgramLength = 3,
        max_n: NgramLength = 6,
        buckets: PositiveInt = 2**16,
    ):
        super().__init__()
        if max_n < min_n:
            raise OptionError("max_n", max_n, f"at least min_n, {min_n}")
        self.embedding_dim = dim
        self.words = RandomEmbedding(vocabulary_size, dim)
        self.ngrams = SummedEmbedding(buckets, dim)
        self.spelling = CharacterNgrams(min_n, max_n, buckets)

    def forward(self, ids: Tensor) -> Tensor:
        """Return vectors of ids, [B, T] → [B, T, E]; each distinct id is computed once."""
        words, places = ids.unique(return_inverse=True)
        return F.embedding(places, self._embed_words(words))

    def tabulate(self) -> nn.Embedding:
        """Return the vectors of the known words as a table, for a graph without spelling."""
        ids = torch.arange(self.words.num_embeddings, device=self.words.weight.device)
        with torch.no_grad():
            return nn.Embedding.from_pretrained(self._embed_words(ids), padding_idx=PAD)

    def _embed_words(self, ids: Tensor) -> Tensor:
        """[words] → [words, E]"""
        is_known = ids < self.words.num_embeddings
        rows, counts = self.spelling.look_up(ids)
        sums = self.ngrams(rows, counts)
        has_vector = is_known & (ids != PAD)
        words = self.words(ids.where(is_known, PAD)).masked_fill(~has_vector[:, None], 0)
        return words + sums / counts.clamp(min=1).sqrt()[:, None]
