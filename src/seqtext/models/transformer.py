"""Transformer encoder, trained from scratch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.layers.activations import Activation
from seqtext.layers.initializers import init_linear_
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import Pooling, build_pooling, prepare_pooling
from seqtext.layers.token_rows import TokenRows
from seqtext.layers.transformer import Positions, TransformerLayer, build_rotation
from seqtext.models.pooled import PooledClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class Transformer(PooledClassifier):
    """Encoder of self-attention (Vaswani et al., 2017) with norms before each part.

    Token vectors are projected to the width of the encoder, if theirs differs, and normalized; so
    are the states after the last layer. Without the norms after each part of the first version, it
    trains without warm-up of the learning rate (Xiong et al., 2020, "On Layer Normalization in the
    Transformer Architecture").

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        units: D, width of the states
        layers: number of layers
        heads: number of attention heads, each of D / heads features
        feedforward_units: width of the hidden layer of a feed-forward network
        activation: its activation
        positions: "rotary": queries and keys are rotated by their positions (Su et al., 2021);
            "learned": a vector of each position is added to the token vectors
        max_positions: number of learned positions; further tokens have the last one
        dropout: dropout rate of the token vectors, the hidden layers and the outputs of both parts
        attention_dropout: dropout rate of the attention weights; on a CPU, any is several times
            slower than 0
        pooling: "first": the state of a learned vector before the first token, as BERT's; the
            others: see `StackedClassifier`
        head: see `TextClassifier`

    Raises:
        UserError: if `units` is not a multiple of `heads`, of an even one for rotary positions.
    """

    name = "transformer"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        units: PositiveInt = 128,
        layers: PositiveInt = 2,
        heads: PositiveInt = 4,
        feedforward_units: PositiveInt = 512,
        activation: Activation = "gelu",
        positions: Positions = "rotary",
        max_positions: PositiveInt = 1024,
        dropout: DropoutRate = 0.1,
        attention_dropout: DropoutRate = 0.0,
        pooling: Pooling = "mean",
        **head: Any,
    ):
        each = heads * (2 if positions == "rotary" else 1)
        if units % each:
            wanted = "2 × model.heads, for rotary positions" if each > heads else "model.heads"
            raise UserError(
                f"model.units={units} is not possible with model.heads={heads}: it must be a "
                f"multiple of {wanted}."
            )
        prepared, features = prepare_pooling(pooling, units)
        super().__init__(embedding, classes, features, **head)
        dim = get_embedding_dim(embedding)
        self.project: nn.Linear | None = None
        if dim != units:
            self.project = init_linear_(nn.Linear(dim, units, bias=False), self.init)
        self.positions: nn.Parameter | None = None
        if positions == "learned":
            self.positions = nn.Parameter(torch.empty(max_positions, units).normal_(std=0.02))
        self.first: nn.Parameter | None = None
        if pooling == "first":
            self.first = nn.Parameter(torch.empty(units).normal_())
        self.input_norm, self.output_norm = nn.LayerNorm(units), nn.LayerNorm(units)
        self.layers = ModuleList(
            TransformerLayer(
                *(units, heads, feedforward_units, activation, dropout, attention_dropout, layers),
                init=self.init,
            )
            for _ in range(layers)
        )
        self.dropout, self.head_features = dropout, units // heads
        self.pool = build_pooling(prepared, units, self.init)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        states = self.compute_states(ids, lengths)
        return self.compute_logits(self.pool(states, self._count_places(lengths)))

    def _count_places(self, lengths: Tensor) -> Tensor:
        """Return the numbers of tokens [B], with the learned first one."""
        return lengths if self.first is None else lengths + 1

    def compute_states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the last layer's states, ids [B, T] → [B, T, D], or [B, 1 + T, D] with a first."""
        vectors = self.embed(ids)
        if self.first is not None:
            vectors = F.pad(vectors, (0, 0, 1, 0))
        tokens = TokenRows(self._count_places(lengths), vectors.shape[1])
        rows = tokens.select(vectors)  # [N, E]
        rows = rows if self.project is None else self.project(rows)
        if self.first is not None:
            is_first = (tokens.positions == 0)[:, None]
            rows = torch.where(is_first, self.first.to(rows.dtype), rows)
        rows = self.input_norm(rows)
        rotation = None
        if self.positions is None:
            rotation = build_rotation(tokens.positions, self.head_features)
        else:
            rows = rows + self.positions[tokens.positions.clamp(max=len(self.positions) - 1)]
        rows = F.dropout(rows, self.dropout, self.training)
        for layer in self.layers:
            rows = layer(rows, tokens, rotation)
        return tokens.restore(self.output_norm(rows))
