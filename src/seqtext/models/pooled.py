"""The base of models that pool the states of the tokens to the text vector."""

from typing import Any

from torch import Tensor

from seqtext.models.base import TextClassifier


class PooledClassifier(TextClassifier):
    """Pools the states of the tokens and classifies the result.

    A subclass sets `pool`, see `build_pooling`, and defines `compute_states`.
    """

    pool: Any  # states [B, T, D], lengths [B] → [B, F]

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        return self.compute_logits(self.pool(self.compute_states(ids, lengths), lengths))

    def attention_weights(self, ids: Tensor, lengths: Tensor) -> Tensor | None:
        """See `TextClassifier.attention_weights`; those of attention pooling only."""
        if not hasattr(self.pool, "weights"):
            return None
        return self.pool.weights(self.compute_states(ids, lengths), lengths)

    def compute_states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the states to pool, ids [B, T], lengths [B] → [B, T, D]."""
        raise NotImplementedError
