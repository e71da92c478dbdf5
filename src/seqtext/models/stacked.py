"""The base of models of stacked recurrent layers: dropout and norms between them, and pooling."""

from typing import Annotated, Any

from annotated_types import Gt, Le
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.layers.module_list import ModuleList
from seqtext.layers.normalization import BatchNorm
from seqtext.layers.pooling import Pooling, build_pooling, prepare_pooling
from seqtext.models.pooled import PooledClassifier
from seqtext.validation import DropoutRate, PositiveInt, broadcast_to_layers, validate_args


class StackedClassifier(PooledClassifier):
    """Applies embedding, recurrent layers, pooling and the head.

    A subclass passes its own options on to `build_layer`.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        units: U, width of a layer (of each direction); or a list with one width per layer
        layers: number of stacked layers; with a list of units, 1 or its length
        bidirectional: whether to concatenate the states of a forward and a backward pass
        embedding_dropout: elementwise dropout rate of the word vectors
        inter_layer_dropout: elementwise dropout rate between layers, added to a layer's own
            dropout of its inputs; one rate or a list
        batch_norm: whether to normalize between layers, over all words except padding, and after
            the last layer, over the text vectors
        pooling: pooling of the states to the text vector: the last state of each direction, or over
            all words the maximum, the mean, both, or a weighted mean, with a weight per word or
            per feature of each word (see `AdditiveAttention`); or a class (see `prepare_pooling`)
        init_from: run folder or checkpoint of a language model (``task=lm``) with the initial word
            vectors and layers, which a training run loads, see `load_initial_weights`
        layer_decay: learning rate of each layer relative to that of the next one, and of the word
            vectors relative to the first one's (Howard and Ruder, 2018)
        layer_options: options of a layer: one value, or a list with one per layer
        head: see `TextClassifier`

    Raises:
        UserError: if a list's length is not the number of layers (of gaps for
            `inter_layer_dropout`).
    """

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        units: PositiveInt | list[PositiveInt] = 100,
        layers: PositiveInt = 1,
        bidirectional: bool = False,
        embedding_dropout: DropoutRate = 0.0,
        inter_layer_dropout: DropoutRate | list[DropoutRate] = 0.0,
        batch_norm: bool = False,
        pooling: Pooling = "max_mean",
        init_from: str | None = None,
        layer_decay: Annotated[float, Gt(0), Le(1)] = 1.0,
        *,
        layer_options: dict[str, Any],
        **head: Any,
    ):
        units = _list_widths(units, layers)
        outputs = [(2 if bidirectional else 1) * width for width in units]
        prepared, features = prepare_pooling(pooling, outputs[-1])
        super().__init__(embedding, classes, features, **head)
        each = {
            name: broadcast_to_layers(name, value, len(units), "layer")
            for name, value in layer_options.items()
        }
        self.embedding_dropout = embedding_dropout
        self.init_from, self.layer_decay = init_from, layer_decay
        self.widths, self.directions = units, 1 + bidirectional  # of each direction of a layer
        self.inter_layer_dropout = broadcast_to_layers(
            "inter_layer_dropout", inter_layer_dropout, len(units) - 1, "gap between layers"
        )
        inputs = [get_embedding_dim(embedding), *outputs[:-1]]
        self.layers: ModuleList[nn.Module] = ModuleList(
            self.build_layer(
                inputs[n], width, bidirectional, **{name: each[name][n] for name in each}
            )
            for n, width in enumerate(units)
        )
        norms = [*outputs[:-1], features] if batch_norm else []
        self.norms = ModuleList(BatchNorm(width) for width in norms)
        self.pool = build_pooling(prepared, outputs[-1], self.init, 1 + bidirectional)

    def build_layer(
        self, inputs: int, units: int, bidirectional: bool, **options: Any
    ) -> nn.Module:
        """Build a layer: states [B, T, D], lengths [B] → [B, T, U × directions]."""
        raise NotImplementedError

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        features = self.pool(self.compute_states(ids, lengths), lengths)
        return self.compute_logits(self.norms[-1](features) if self.norms else features)

    def get_lr_factors(self) -> dict[int, float]:
        """See `TextClassifier.get_lr_factors`."""
        if self.layer_decay == 1:
            return {}
        parts = [self.embedding, *self.layers]
        return {
            id(parameter): self.layer_decay**depth
            for depth, part in enumerate(reversed(parts), 1)
            for parameter in part.parameters()
        }

    def compute_states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the last layer's states, ids [B, T] → [B, T, U × directions]."""
        states = F.dropout(self.embed(ids), self.embedding_dropout, self.training)  # [B, T, E]
        for number, layer in enumerate(self.layers):
            if number and self.norms:
                states = self.norms[number - 1].forward_masked(states, lengths)
            if number:
                states = F.dropout(states, self.inter_layer_dropout[number - 1], self.training)
            states = layer(states, lengths)
        return states


def _list_widths(units: int | list[int], layers: int) -> list[int]:
    """Return the width of each layer."""
    if isinstance(units, int):
        return [units] * layers
    if not units or layers not in (1, len(units)):
        raise UserError(
            f"model.units={list(units)} and model.layers={layers} contradict each other: leave out "
            f"model.layers, or give as many units."
        )
    return list(units)
