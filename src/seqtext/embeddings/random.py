"""Randomly initialized, trainable embeddings."""

import torch
from torch import Tensor, nn

from seqtext.layers.ops.embedding import embed
from seqtext.token_ids import PAD
from seqtext.validation import PositiveInt, validate_args

INITIAL_RANGE = 0.05  # of the initial vectors' elements, as in Keras


class RandomEmbedding(nn.Embedding):
    """Embedding initialized as in Keras (uniform) and trained with the model.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors
    """

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 50):
        super().__init__(vocabulary_size, dim, padding_idx=PAD)

    def forward(self, ids: Tensor) -> Tensor:
        """Return vectors, ids [B, T] → [B, T, E]."""
        return embed(ids, self.weight)

    def reset_parameters(self) -> None:
        """Sample vectors uniformly from ±`INITIAL_RANGE`; the padding vector is always zero."""
        initialize_uniformly(self)


@torch.no_grad()
def initialize_uniformly(embedding: nn.Embedding) -> None:
    """Sample the vectors of an embedding uniformly from ±`INITIAL_RANGE`; padding stays zero."""
    nn.init.uniform_(embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)
    embedding.weight[PAD] = 0
