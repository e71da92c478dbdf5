"""The default embedding: GloVe vectors where they are installed, trained with the model."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from seqtext.embeddings.initialized import InitializedEmbedding
from seqtext.embeddings.random import initialize_uniformly
from seqtext.embeddings.vector_coverage import MIN_COVERAGE
from seqtext.embeddings.vectors import GLOVE, WordVectors, find_vectors, read_vectors
from seqtext.tokenizers.words import WordTokenizer
from seqtext.validation import PositiveInt, validate_args

log = logging.getLogger(__name__)


class AutoEmbedding(InitializedEmbedding):
    """Start with GloVe vectors (Pennington et al., 2014) if there are any, otherwise random ones.

    There are if tokens are words, vectors of this dimension are in the data folder or an installed
    package, and a tenth of the words of the vocabulary have one (so not for texts in most other
    languages). Words without one start at zero. All are trained with the model.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors
    """

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 50):
        super().__init__(vocabulary_size, dim, freeze=False, oov_init="zeros")

    def list_files(self, data: Any) -> list[Path]:
        """Return the files of the GloVe vectors; an empty list if they will not be used."""
        if not isinstance(data.tokenizer, WordTokenizer) or self.embedding_dim not in GLOVE.dims:
            return []
        found = find_vectors(GLOVE, self.embedding_dim, data.data_dir)
        return found[1] if found else []

    def read_vectors(self, data: Any) -> WordVectors:
        """Read the GloVe vectors; without files, or with too few known words, return no vectors."""
        words, dim = data.vocabulary, self.embedding_dim
        none = WordVectors(np.zeros((0, dim), np.float32), np.zeros(len(words.tokens), bool))
        if not self.list_files(data):
            log.info("Vectors start at random: no GloVe vectors of size %d for these tokens.", dim)
            return none
        options = None, False, data.cache, data.data_dir
        vectors = read_vectors(GLOVE, words, dim, *options, is_optional=True)
        if vectors.known.sum() < MIN_COVERAGE * len(words.tokens):
            log.info("These are too few words: all vectors start at random.")
            return none._replace(files_digest=vectors.files_digest)
        return vectors

    def fill(self, vectors: np.ndarray, known: np.ndarray) -> None:
        """Set the vectors of known words to `vectors`; if no word is known, sample all vectors."""
        if known.any():
            super().fill(vectors, known)
        else:
            initialize_uniformly(self)
