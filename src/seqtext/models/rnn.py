"""SimpleRNN, LSTM and GRU: stacked, in one or both directions, with Keras' meaning of each option.

Recurrences run over padded batches and not over packed ones: torch's packed CPU kernels mostly
take twice as long (the LSTM's up to 11 times), and a forward recurrence never sees the padding
behind the words that it reads. The backward direction reads each text from its own last word.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.errors import UserError
from seqtext.layers.activations import Activation
from seqtext.layers.initializers import start_recurrence
from seqtext.layers.normalization import BatchNorm
from seqtext.layers.ops.extension import library
from seqtext.layers.pooling import (
    AdditiveAttention,
    Pooling,
    at_position,
    max_over_time,
    mean_over_time,
)
from seqtext.layers.rnn_dispatch import recur
from seqtext.models.base import TextClassifier
from seqtext.validation import Count, Rate, checked, one_each


class RecurrentClassifier(TextClassifier):
    """embed → recurrent layers → pool → logits; subclasses name the `cell`.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        units: U, width of a layer (of each direction); a list for layers of unlike widths
        layers: how many, one above the other; with a list of units, 1 or its length
        bidirectional: read from both ends; the two states are concatenated
        activation: of the candidate, and of an LSTM's output
        dropout: on the inputs of each layer and direction, one mask per text for all its words
            (Gal and Ghahramani, 2016); here and below, one rate or a list
        recurrent_dropout: on the previous state of each layer and direction, one mask per text
            and gate for all its words; with it, `dropout` has a mask for each gate as well
        input_dropout: share of the numbers of the words' vectors that training drops, each alone
        between_dropout: the same, between layers
        batch_norm: after each layer: between layers over all words, padding left out; after the
            last one over the texts' vectors
        pooling: which states make the text's vector: the last one of each direction, or over all
            words the maximum, the mean, both, or a weighted mean (see `AdditiveAttention`)
        head: see `TextClassifier`

    Raises:
        UserError: if a list's length is not the number of layers (of gaps between them).
    """

    cell: type[nn.RNNBase]
    one_bias = False  # Keras' SimpleRNN and LSTM have one bias vector, torch's have two
    recurrent_activation: str = "sigmoid"

    @checked
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        units: Count | list[Count] = 64,
        layers: Count = 1,
        bidirectional: bool = False,
        activation: Activation = "tanh",
        dropout: Rate | list[Rate] = 0.0,
        recurrent_dropout: Rate | list[Rate] = 0.0,
        input_dropout: Rate = 0.0,
        between_dropout: Rate | list[Rate] = 0.0,
        batch_norm: bool = False,
        pooling: Pooling = "max",
        **head: Any,
    ):
        units = _widths(units, layers)
        outputs = [(2 if bidirectional else 1) * width for width in units]
        features = outputs[-1] * (2 if pooling == "max_mean" else 1)
        super().__init__(embedding, classes, features, **head)
        dropout = one_each("dropout", dropout, len(units), "layer")
        recurrent_dropout = one_each("recurrent_dropout", recurrent_dropout, len(units), "layer")
        self.input_dropout, self.pooling, self.activation = input_dropout, pooling, activation
        self.between_dropout = one_each(
            "between_dropout", between_dropout, len(units) - 1, "gap between layers"
        )
        self.layers = nn.ModuleList()
        for n, width in enumerate([embedding.embedding_dim, *outputs[:-1]]):
            cells = [self._cell(width, units[n]) for _ in range(1 + bidirectional)]
            self.layers.append(RecurrentLayer(cells, dropout[n], recurrent_dropout[n]))
        norms = [*outputs[:-1], features] if batch_norm else []
        self.norms = nn.ModuleList(BatchNorm(width) for width in norms)
        if pooling == "attention":
            self.attention = AdditiveAttention(features, self.init)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        features = self._pool(self._states(ids, lengths), lengths)
        return self.logits(self.norms[-1](features) if self.norms else features)

    def attention_weights(self, ids: Tensor, lengths: Tensor) -> Tensor | None:
        """See `TextClassifier.attention_weights`."""
        if self.pooling != "attention":
            return None
        return self.attention.weights(self._states(ids, lengths), lengths)

    def _states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, U × directions]"""
        states = F.dropout(self.embed(ids), self.input_dropout, self.training)  # [B, T, E]
        for number, layer in enumerate(self.layers):
            if number:
                states = self._between(states, lengths, number - 1)
            states = layer(states, lengths, self.activation, self.recurrent_activation)
        return states

    def _between(self, states: Tensor, lengths: Tensor, gap: int) -> Tensor:
        if self.norms:
            states = self.norms[gap].of_words(states, lengths)
        return F.dropout(states, self.between_dropout[gap], self.training)

    def _pool(self, states: Tensor, lengths: Tensor) -> Tensor:
        if self.pooling == "max":
            return max_over_time(states, lengths)
        if self.pooling == "mean":
            return mean_over_time(states, lengths)
        if self.pooling == "max_mean":
            pooled = max_over_time(states, lengths), mean_over_time(states, lengths)
            return torch.cat(pooled, dim=1)
        if self.pooling == "attention":
            return self.attention(states, lengths)
        units = self.layers[-1][0].hidden_size
        last = at_position(states[..., :units], lengths - 1)
        return torch.cat([last, states[:, 0, units:]], dim=1)  # the backward pass ends at word 0

    def _cell(self, width: int, units: int) -> nn.RNNBase:
        cell = self.cell(width, units, batch_first=True)
        return start_recurrence(cell, self.init, self.one_bias)


class GatedClassifier(RecurrentClassifier):
    """A recurrent model with gates.

    Args:
        embedding, classes: as of every model
        recurrent_activation: of the gates
        options: see `RecurrentClassifier`
    """

    @checked
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        recurrent_activation: Activation = "sigmoid",
        **options: Any,
    ):
        super().__init__(embedding, classes, **options)
        self.recurrent_activation = recurrent_activation


class SimpleRNN(RecurrentClassifier):
    """Elman's recurrence, act(W x + U h + b) (Elman, 1990)."""

    name = "rnn"
    cell = nn.RNN
    one_bias = True


class LSTM(GatedClassifier):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), forget bias started at 1."""

    name = "lstm"
    cell = nn.LSTM
    one_bias = True


class GRU(GatedClassifier):
    """Gated recurrent unit (Cho et al., 2014), with the reset gate after the matrix product."""

    name = "gru"
    cell = nn.GRU


class RecurrentLayer(nn.ModuleList):
    """One cell, or two: the second reads each text from its end.

    Args:
        cells: torch's modules of one layer and direction
        dropout: of the inputs, one mask per text for all its words
        recurrent_dropout: of the previous state, one mask per text and gate for all its words
    """

    def __init__(self, cells: list[nn.RNNBase], dropout: float, recurrent_dropout: float):
        super().__init__(cells)
        library()  # compiled, where it is not yet, before the clock of training runs
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout

    def forward(
        self, states: Tensor, lengths: Tensor, activation: str, recurrent_activation: str
    ) -> Tensor:
        """[B, T, D] → [B, T, U × cells]"""
        functions = activation, recurrent_activation
        outputs = [
            self._run(cell, states, lengths, functions, reverse)
            for cell, reverse in zip(self, (False, True), strict=False)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)

    def _run(
        self,
        cell: nn.RNNBase,
        states: Tensor,
        lengths: Tensor,
        functions: tuple[str, str],
        reverse: bool,
    ) -> Tensor:
        if not self.training or self.recurrent_dropout == 0:
            states = variational_dropout(states, self.dropout, self.training)
            return recur(cell, states, lengths, *functions, reverse=reverse)
        # Keras has one mask per gate on inputs too, once there is one on the state.
        gates = len(cell.weight_hh_l0) // cell.hidden_size
        ones = states.new_ones(gates, len(states), states.shape[2])
        input_mask = F.dropout(ones, self.dropout) if self.dropout else None
        ones = states.new_ones(gates, len(states), cell.hidden_size)
        mask = F.dropout(ones, self.recurrent_dropout)
        return recur(cell, states, lengths, *functions, input_mask, mask, reverse)


def variational_dropout(states: Tensor, rate: float, training: bool) -> Tensor:
    """Drop features [B, T, D] with one mask per text, the same for all its words."""
    if not training or rate == 0:
        return states
    kept = torch.empty_like(states[:, :1]).bernoulli_(1 - rate)
    return states * (kept / (1 - rate))


def _widths(units: int | list[int], layers: int) -> list[int]:
    """The width of each layer."""
    if isinstance(units, int):
        return [units] * layers
    if not units or layers not in (1, len(units)):
        raise UserError(
            f"model.units={list(units)} and model.layers={layers} contradict each other: leave out "
            f"model.layers, or give as many units."
        )
    return list(units)
