"""SimpleRNN, LSTM and GRU: stacked, in one or both directions, with Keras' meaning of each option.

Recurrences run over padded batches and not over packed ones: torch's packed CPU kernels mostly
take twice as long (the LSTM's up to 11 times), and a forward recurrence never sees the padding
behind the words that it reads. The backward direction reads each text reversed within its own
length.
"""

import torch
from torch import Tensor, nn

from seqtext.models.classifier import TextClassifier
from seqtext.models.pooling import Pooling, at_position, max_over_time, mean_over_time
from seqtext.options import Count, Rate, checked


class RecurrentClassifier(TextClassifier):
    """embed → recurrent layers → pool → logits; subclasses name the `cell`.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        units: U, width of a layer (of each direction)
        layers: how many, one above the other
        bidirectional: read from both ends; the two states are concatenated
        dropout: on the inputs of each layer, one mask per text for all its words (Gal and
            Ghahramani, 2016; Keras' `dropout`)
        pooling: which states make the text's vector: the last one of each direction, or the
            maximum or mean over all words
        word_dropout, output_dropout: see `TextClassifier`
    """

    cell: type[nn.RNNBase]
    one_bias = False  # Keras' SimpleRNN and LSTM have one bias vector, torch's have two

    @checked
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        units: Count = 64,
        layers: Count = 1,
        bidirectional: bool = False,
        dropout: Rate = 0.0,
        pooling: Pooling = "max",
        word_dropout: Rate = 0.0,
        output_dropout: Rate = 0.0,
    ):
        directions = 2 if bidirectional else 1
        super().__init__(embedding, classes, units * directions, word_dropout, output_dropout)
        widths = [embedding.embedding_dim] + [units * directions] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(self._direction(width, units) for _ in range(directions))
            for width in widths
        )
        self.dropout, self.pooling = dropout, pooling

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        states = self.embed(ids)  # [B, T, E]
        for directions in self.layers:
            states = variational_dropout(states, self.dropout, self.training)
            states = _run(directions, states, lengths)  # [B, T, U × directions]
        return self.logits(self._pool(states, lengths))

    def _pool(self, states: Tensor, lengths: Tensor) -> Tensor:
        if self.pooling == "max":
            return max_over_time(states, lengths)
        if self.pooling == "mean":
            return mean_over_time(states, lengths)
        units = self.layers[-1][0].hidden_size
        last = at_position(states[..., :units], lengths - 1)
        return torch.cat([last, states[:, 0, units:]], dim=1)  # the backward pass ends at word 0

    def _direction(self, width: int, units: int) -> nn.RNNBase:
        recurrence = self.cell(width, units, batch_first=True)
        nn.init.xavier_uniform_(recurrence.weight_ih_l0)
        nn.init.orthogonal_(recurrence.weight_hh_l0)
        nn.init.zeros_(recurrence.bias_ih_l0)
        nn.init.zeros_(recurrence.bias_hh_l0)
        if self.one_bias:
            recurrence.bias_hh_l0.requires_grad_(False)
        return recurrence


class SimpleRNN(RecurrentClassifier):
    """Elman's recurrence, tanh(W x + U h + b) (Elman, 1990)."""

    name = "rnn"
    cell = nn.RNN
    one_bias = True


class LSTM(RecurrentClassifier):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), forget bias started at 1."""

    name = "lstm"
    cell = nn.LSTM
    one_bias = True

    def _direction(self, width: int, units: int) -> nn.RNNBase:
        recurrence = super()._direction(width, units)
        nn.init.ones_(
            recurrence.bias_ih_l0[units : 2 * units]
        )  # gates: input, forget, cell, output
        return recurrence


class GRU(RecurrentClassifier):
    """Gated recurrent unit (Cho et al., 2014), with the reset gate after the matrix product."""

    name = "gru"
    cell = nn.GRU


def variational_dropout(states: Tensor, rate: float, training: bool) -> Tensor:
    """Drop features [B, T, D] with one mask per text, the same for all its words."""
    if not training or rate == 0:
        return states
    kept = torch.empty_like(states[:, :1]).bernoulli_(1 - rate)
    return states * (kept / (1 - rate))


def _run(directions: nn.ModuleList, states: Tensor, lengths: Tensor) -> Tensor:
    outputs = [directions[0](states)[0]]
    if len(directions) == 2:
        order = reversal(lengths, states.shape[1])
        outputs.append(take(directions[1](take(states, order))[0], order))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """[B, T] positions that reverse each text within its length and leave the padding behind."""
    forward = torch.arange(steps, device=lengths.device)
    backward = lengths[:, None] - 1 - forward
    return torch.where(backward >= 0, backward, forward)


def take(states: Tensor, order: Tensor) -> Tensor:
    """[B, T, D] with the words of each text in another order [B, T]."""
    return states.gather(1, order[..., None].expand(-1, -1, states.shape[2]))
