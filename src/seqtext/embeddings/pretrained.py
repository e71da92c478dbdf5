"""Pretrained word vectors as an embedding."""

from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from seqtext.embeddings.vectors import GLOVE, NUMBERBATCH, EmbeddingSource
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import PositiveInt, validate_args

OOV_STD = 0.05  # of random vectors, if no word has a pretrained one


class PretrainedEmbedding(nn.Embedding):
    """Base class of embeddings with pretrained vectors; zeros until `fill` is called.

    The class does not read files, so that a model can be rebuilt from a checkpoint only. A
    subclass sets `source`.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors
        path: file of the vectors, or its folder; None: <paths.data_dir>/<source>
        download: download the file if it is missing
        freeze: do not train the vectors
        oov_init: initial vectors of words missing in the file: "zeros", or "random": normally
            distributed with the mean and standard deviation of the other vectors, per dimension
    """

    source: EmbeddingSource
    fingerprint: str | None = None  # see `WordVectors`
    files_digest: str | None = None

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt = 300,
        path: str | None = None,
        download: bool = False,
        freeze: bool = True,
        oov_init: Literal["zeros", "random"] = "zeros",
    ):
        super().__init__(vocabulary_size, dim, padding_idx=PAD)
        self.weight.requires_grad_(not freeze)
        self.path, self.download, self.oov_init = path, download, oov_init

    def reset_parameters(self) -> None:
        """Set all vectors to zero."""
        nn.init.zeros_(self.weight)

    @torch.no_grad()
    def fill(self, vectors: np.ndarray, known: np.ndarray) -> None:
        """Copy vectors into the weight; the unknown token gets their mean, padding stays zero.

        Args:
            vectors: [found, E] vectors of the words found, in the order of the vocabulary
            known: [V - 2] bool, whether a word was found
        """
        found, at = torch.tensor(vectors, dtype=self.weight.dtype), torch.tensor(known)
        mean, std = torch.zeros(self.embedding_dim), torch.full((self.embedding_dim,), OOV_STD)
        if len(found):
            std, mean = torch.std_mean(found, dim=0, correction=0)
        self.weight.zero_()
        self.weight[UNKNOWN] = mean
        words = self.weight[len(SPECIAL_TOKENS) :]
        words[at] = found
        if self.oov_init == "random":
            words[~at] = mean + std * torch.randn(int((~at).sum()), self.embedding_dim)


class GloVe(PretrainedEmbedding):
    """GloVe (Pennington et al., 2014, "GloVe: Global Vectors for Word Representation")."""

    source = GLOVE

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 100, **options: Any):
        super().__init__(vocabulary_size, dim, **options)


class Numberbatch(PretrainedEmbedding):
    """ConceptNet Numberbatch (Speer et al., 2017, "ConceptNet 5.5: An Open Multilingual Graph of
    General Knowledge").
    """

    source = NUMBERBATCH
