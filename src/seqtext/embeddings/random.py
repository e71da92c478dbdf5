"""Word vectors that are learned with the model, from random ones."""

import torch
from torch import nn

from seqtext.token_ids import PAD
from seqtext.validation import PositiveInt, validate_args


class RandomEmbedding(nn.Embedding):
    """Embedding that is initialized as in Keras (uniform, ±0.05) and trained with the model.

    Args:
        vocabulary_size: V, the two special tokens included; known once the data is prepared
        dim: E, numbers per token
    """

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 50):
        super().__init__(vocabulary_size, dim, padding_idx=PAD)

    def reset_parameters(self) -> None:
        """Draw vectors from a uniform distribution within ±0.05; padding is zero and stays so."""
        nn.init.uniform_(self.weight, -0.05, 0.05)
        with torch.no_grad():
            self.weight[PAD] = 0
