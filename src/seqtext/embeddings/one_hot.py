"""One-hot vectors of tokens, for tokenizers with few of them, such as characters."""

import torch
from torch import nn

from seqtext.errors import UserError
from seqtext.token_ids import UNKNOWN

MAX_TOKENS = 4096  # more than this many take too much memory


class OneHotEmbedding(nn.Embedding):
    """Frozen embedding in which each known token has a dimension of its own.

    Padding and the unknown token are zeros (Zhang et al., 2015, "Character-level Convolutional
    Networks for Text Classification").

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared

    Raises:
        UserError: if there are more than `MAX_TOKENS` tokens.
    """

    def __init__(self, vocabulary_size: int):
        if vocabulary_size > MAX_TOKENS:
            raise UserError(
                f"embedding=one_hot has one dimension per token, and there are {vocabulary_size}: "
                f"use tokenizer=characters, tokenizer.vocab_size={MAX_TOKENS - 2} or less, or "
                f"another embedding."
            )
        super().__init__(vocabulary_size, max(1, vocabulary_size - UNKNOWN - 1))
        self.weight.requires_grad_(False)

    def reset_parameters(self) -> None:
        """Set the vectors of known tokens to the unit vectors, others to zero."""
        nn.init.zeros_(self.weight)
        with torch.no_grad():
            self.weight[UNKNOWN + 1 :].fill_diagonal_(1)
