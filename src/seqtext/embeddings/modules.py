"""Words as vectors."""

from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from seqtext.embeddings.vectors import GLOVE, NUMBERBATCH, Source
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import PositiveInt, validate_args

STD = 0.05  # of words without a vector, where no word has one


class LearnedEmbedding(nn.Embedding):
    """A table of word vectors learned with the model, started as Keras does (uniform, ±0.05).

    Args:
        vocabulary_size: V, the two special words included; known once the data is prepared
        dim: E, numbers per word
    """

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 50):
        super().__init__(vocabulary_size, dim, padding_idx=PAD)

    def reset_parameters(self) -> None:
        """Uniform within ±0.05; the padding row is zero and stays so."""
        nn.init.uniform_(self.weight, -0.05, 0.05)
        with torch.no_grad():
            self.weight[PAD] = 0


class PretrainedEmbedding(nn.Embedding):
    """A table of word vectors from a public file, zeros until they are filled in.

    It reads no file itself: rebuilt from a checkpoint it needs none. A subclass names its source.

    Args:
        vocabulary_size: V, the two special words included; known once the data is prepared
        dim: E, numbers per word
        path: file of the vectors, or its folder; None: data/<source>
        download: fetch the file where there is none
        frozen: training leaves the vectors as they are
        missing: start of words without a vector: zeros, or drawn from a normal distribution with
            mean and standard deviation of the others, number by number
    """

    source: Source
    fingerprint: str | None = None  # of the vectors that were filled in: see `WordVectors`
    files_digest: str | None = None

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt = 300,
        path: str | None = None,
        download: bool = False,
        frozen: bool = True,
        missing: Literal["zeros", "random"] = "zeros",
    ):
        super().__init__(vocabulary_size, dim, padding_idx=PAD)
        self.weight.requires_grad_(not frozen)
        self.path, self.download, self.missing = path, download, missing

    def reset_parameters(self) -> None:
        """All zeros."""
        nn.init.zeros_(self.weight)

    @torch.no_grad()
    def fill(self, vectors: np.ndarray, known: np.ndarray) -> None:
        """Put in the vectors; the unknown word gets their mean, padding stays zero.

        Args:
            vectors: [found, E]
            known: [V - 2] bool, which words they belong to, in this order
        """
        found, at = torch.tensor(vectors, dtype=self.weight.dtype), torch.tensor(known)
        mean, std = torch.zeros(self.embedding_dim), torch.full((self.embedding_dim,), STD)
        if len(found):
            std, mean = torch.std_mean(found, dim=0, correction=0)
        self.weight.zero_()
        self.weight[UNKNOWN] = mean
        words = self.weight[len(SPECIAL_TOKENS) :]
        words[at] = found
        if self.missing == "random":
            words[~at] = mean + std * torch.randn(int((~at).sum()), self.embedding_dim)


class GloVe(PretrainedEmbedding):
    """Pennington et al., 2014, "GloVe: Global Vectors for Word Representation"."""

    source = GLOVE

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 100, **options: Any):
        super().__init__(vocabulary_size, dim, **options)


class Numberbatch(PretrainedEmbedding):
    """Speer et al., 2017, "ConceptNet 5.5: An Open Multilingual Graph of General Knowledge"."""

    source = NUMBERBATCH
