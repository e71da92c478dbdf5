"""Add the special tokens of an encoder to texts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqtext.token_ids import PAD


def add_special_tokens(
    vectors: Tensor,
    lengths: Tensor,
    embedding: nn.Module,
    first: Sequence[int],
    last: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Add vectors of the first and last special tokens.

    Args:
        vectors: [B, T, E]
        lengths: [B]
        embedding: ids [1, N] → vectors [1, N, E]
        first, last: ids of the tokens before and after a text

    Returns:
        vectors: [B, T', E]
        lengths: [B]
    """
    batch, device = vectors.shape[0], vectors.device
    ids = torch.tensor([*first, *last], dtype=torch.long, device=device)  # of none too
    added = embedding(ids[None]).to(vectors.dtype)
    begin = added[:, : len(first)].expand(batch, -1, -1)
    padding = embedding(torch.tensor([PAD], device=device)[None]).to(vectors.dtype)
    end = (padding * 0).expand(batch, len(last), -1)
    vectors = torch.cat([begin, vectors, end], dim=1)
    steps = torch.arange(vectors.shape[1], device=device)
    for number in range(len(last)):
        at = steps == (lengths + len(first) + number)[:, None]  # [B, T']
        vectors = torch.where(at[..., None], added[:, len(first) + number, None], vectors)
    return vectors, lengths + len(first) + len(last)
