"""Stacked diagonal state space layers."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.layers.initializers import init_linear_
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import Pooling, build_pooling, prepare_pooling
from seqtext.layers.state_space import StateSpaceLayer
from seqtext.models.pooled import PooledClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class S4D(PooledClassifier):
    """Stacked state space layers with diagonal states (Gu et al., 2022, arXiv 2206.11893).

    Token vectors are projected to the width of the layers, if theirs differs, and normalized; each
    layer is a residual block behind a layer norm.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        units: D, number of features
        layers: number of layers
        state_size: N, number of real states per feature, an even number
        bidirectional: whether a layer adds the outputs of a forward and a backward pass
        dropout: dropout rate of the token vectors and within each layer
        pooling: pooling of the states; see `StackedClassifier`
        head: see `TextClassifier`

    Raises:
        UserError: if `state_size` is odd.
    """

    name = "s4d"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        units: PositiveInt = 128,
        layers: PositiveInt = 2,
        state_size: PositiveInt = 32,
        bidirectional: bool = True,
        dropout: DropoutRate = 0.1,
        pooling: Pooling = "mean",
        **head: Any,
    ):
        if state_size % 2:
            raise UserError(
                f"model.state_size={state_size} is not possible: it must be even, since a complex "
                f"state has two numbers."
            )
        prepared, features = prepare_pooling(pooling, units)
        super().__init__(embedding, classes, features, **head)
        dim = get_embedding_dim(embedding)
        self.project: nn.Linear | None = None
        if dim != units:
            self.project = init_linear_(nn.Linear(dim, units, bias=False), self.init)
        self.input_norm, self.output_norm = nn.LayerNorm(units), nn.LayerNorm(units)
        self.layers = ModuleList(
            StateSpaceLayer(units, state_size, bidirectional, dropout, self.init)
            for _ in range(layers)
        )
        self.dropout = dropout
        self.pool = build_pooling(prepared, units, self.init)

    def compute_states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the last layer's states, ids [B, T] → [B, T, D]."""
        vectors = self.embed(ids)
        states = self.input_norm(vectors if self.project is None else self.project(vectors))
        states = F.dropout(states, self.dropout, self.training)
        for layer in self.layers:
            states = layer(states, lengths)
        return self.output_norm(states)
