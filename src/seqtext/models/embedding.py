"""Words as vectors."""

import torch
from torch import nn

from seqtext.data.vocabulary import PAD
from seqtext.options import Count, checked


class LearnedEmbedding(nn.Embedding):
    """A table of word vectors learned with the model, started as Keras does (uniform, ±0.05).

    Args:
        vocabulary_size: V, the two special words included; known once the data is prepared
        dim: E, numbers per word
    """

    @checked
    def __init__(self, vocabulary_size: int, dim: Count = 50):
        super().__init__(vocabulary_size, dim, padding_idx=PAD)

    def reset_parameters(self) -> None:
        """Uniform within ±0.05; the padding row is zero and stays so."""
        nn.init.uniform_(self.weight, -0.05, 0.05)
        with torch.no_grad():
            self.weight[PAD] = 0
