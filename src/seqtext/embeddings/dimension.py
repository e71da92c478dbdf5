"""The attribute that every embedding must have."""

from torch import nn

from seqtext.errors import UserError


def get_embedding_dim(embedding: nn.Module) -> int:
    """Return E, the dimension of an embedding's vectors.

    Raises:
        UserError: if the module has no `embedding_dim`.
    """
    dim = getattr(embedding, "embedding_dim", None)
    if not isinstance(dim, int):
        raise UserError(
            f"The embedding {type(embedding).__name__} must have an attribute embedding_dim: the "
            f"numbers in each of its vectors."
        )
    return dim
