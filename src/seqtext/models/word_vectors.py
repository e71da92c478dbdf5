"""Compute the vectors of a batch's tokens: dropped, scaled or changed ones too."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seqtext.token_ids import PAD, UNKNOWN


class WordVectorsMixin:
    """Embeds tokens for `TextClassifier`.

    Attributes:
        embedding: ids [B, T] → vectors [B, T, E]
        vocabulary_size: number of known tokens, set if a module reads the spelling of tokens
        word_dropout: rate at which words are replaced by the unknown token in training
        token_scale: see `scale_tokens`
        perturbation: see `perturb_embeddings`
    """

    embedding: nn.Module
    vocabulary_size: int | None = None
    word_dropout: float
    training: bool
    _is_unknown_embedded: bool
    token_scale: Tensor | None = None
    perturbation: Tensor | None = None

    def embed(self, ids: Tensor) -> Tensor:
        """Embed ids [B, T] → [B, T, E]; in training, `word_dropout` replaces words by unknown."""
        ids = self._replace_words(ids)
        vectors = self.embedding(ids)
        if self.perturbation is not None:
            vectors = vectors + self.perturbation * _measure_words(vectors.detach(), ids != PAD)
        if self.token_scale is None:
            return vectors
        unknown = self.embedding(torch.full_like(ids[:1, :1], UNKNOWN))
        return unknown + self.token_scale[..., None] * (vectors - unknown)

    def _replace_words(self, ids: Tensor) -> Tensor:
        """Return ids for the embedding [B, T], with that of the unknown token for dropped words."""
        if not self._is_unknown_embedded:
            ids = self.hide_unknown_tokens(ids)
        if self.training and self.word_dropout:
            dropped = torch.rand(ids.shape, device=ids.device) < self.word_dropout
            ids = ids.masked_fill(dropped & (ids != PAD), UNKNOWN)
        return ids

    def hide_unknown_tokens(self, ids: Tensor) -> Tensor:
        """Return ids with that of the unknown token for all tokens outside the vocabulary.

        These have ids of their own if a module of the model reads the spelling of tokens: see
        `seqtext.embeddings.spelling`.
        """
        size = self.vocabulary_size
        return ids if size is None else ids.masked_fill(ids >= size, UNKNOWN)

    @contextmanager
    def scale_tokens(self, scale: Tensor) -> Iterator[None]:
        """Interpolate word vectors in the context, from the unknown token's (0) to the word's (1).

        Integrated gradients differentiate with respect to `scale`. Models that use ids outside of
        `embed` must apply `token_scale` themselves (see `FastText`). Counts, such as the number of
        words in a mean, are not scaled.

        Args:
            scale: [B, T]
        """
        self.token_scale = scale
        try:
            yield
        finally:
            self.token_scale = None

    @contextmanager
    def perturb_embeddings(self, change: Tensor | None) -> Iterator[None]:
        """Add a change [B, T, E] to the word vectors that `embed` returns in the context.

        Its unit is the root mean square of the elements of the batch's word vectors.
        """
        self.perturbation = change
        try:
            yield
        finally:
            self.perturbation = None


def _measure_words(vectors: Tensor, is_word: Tensor) -> Tensor:
    """Return the root mean square of the elements of vectors [B, T, E] where there are words."""
    squares = vectors.square().mean(dim=2, dtype=torch.promote_types(vectors.dtype, torch.float32))
    squares = squares * is_word
    return (squares.sum() / is_word.sum().clamp(min=1)).sqrt()
