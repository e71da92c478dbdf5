"""The base class of embeddings whose initial vectors come from elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from seqtext.layers.ops.embedding import embed
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import PositiveInt, validate_args

if TYPE_CHECKING:
    from seqtext.embeddings.vectors import WordVectors

OOV_STD = 0.05  # of random vectors, if no word has a vector


class InitializedEmbedding(nn.Embedding):
    """Base class of embeddings with vectors of files or of another model; zeros until `fill`.

    A subclass implements `read_vectors`. The constructor reads nothing, so that a model can be
    rebuilt from a checkpoint only.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors
        freeze: do not train the vectors
        oov_init: initial vectors of words without a vector: "zeros", or "random": normally
            distributed with the mean and standard deviation of the other vectors, per dimension
    """

    fingerprint: str | None = None  # see `WordVectors`
    files_digest: str | None = None

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt,
        freeze: bool = True,
        oov_init: Literal["zeros", "random"] = "zeros",
    ):
        super().__init__(vocabulary_size, dim, padding_idx=PAD)
        self.weight.requires_grad_(not freeze)
        self.oov_init = oov_init

    @classmethod
    def complete_options(cls, options: Mapping[str, Any], data_dir: str) -> dict[str, Any]:
        """Return the options of a configuration with those that only the files tell.

        Args:
            data_dir: folder of the raw files of all data sets and vectors

        Raises:
            UserError: as `list_files`.
        """
        return dict(options)

    def list_files(self, data: Any) -> list[Path]:
        """Return the files of the vectors, which are downloaded if the options allow it.

        Args:
            data: a `TextDataModule`, prepared or not

        Raises:
            UserError: if a file is missing.
        """
        return []

    def read_vectors(self, data: Any) -> "WordVectors":
        """Return the vectors of the words of the vocabulary.

        Args:
            data: a `TextDataModule` after `setup`

        Raises:
            UserError: if they cannot be read.
        """
        raise NotImplementedError

    def forward(self, ids: Tensor) -> Tensor:
        """Return vectors, ids [B, T] → [B, T, E]."""
        return embed(ids, self.weight)

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
