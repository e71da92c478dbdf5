"""Stacked SimpleRNN, LSTM and GRU layers, with options as in Keras."""

from typing import Any

from torch import nn

from seqtext.errors import UserError
from seqtext.layers.activations import Activation
from seqtext.layers.rnn import CELLS, CellName, RNNLayer
from seqtext.models.stacked import StackedClassifier
from seqtext.validation import DropoutRate, validate_args


class RNNClassifier(StackedClassifier):
    """Applies embedding, recurrent layers, pooling and the head; subclasses set `cell`.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        activation: activation of the candidate, and of an LSTM's output
        recurrent_activation: activation of the gates
        variational_dropout: dropout rate of the inputs of each layer and direction, with one mask
            per text (Gal and Ghahramani, 2016); here and below, one rate or a list
        recurrent_dropout: dropout rate of the previous state of each layer and direction, with one
            mask per text and gate; then `variational_dropout` has a mask per gate too
        stack: see `StackedClassifier`

    Raises:
        UserError: if `recurrent_activation` is set for a cell without gates.
    """

    cell: CellName

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        variational_dropout: DropoutRate | list[DropoutRate] = 0.2,
        recurrent_dropout: DropoutRate | list[DropoutRate] = 0.0,
        **stack: Any,
    ):
        if recurrent_activation != "sigmoid" and not CELLS[self.cell].has_gates:
            raise UserError(
                f"model.recurrent_activation={recurrent_activation} is not possible: it is the "
                f"activation of gates, and model={self.name} has none."
            )
        options = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "variational_dropout": variational_dropout,
            "recurrent_dropout": recurrent_dropout,
        }
        super().__init__(embedding, classes, layer_options=options, **stack)

    def build_layer(self, inputs: int, units: int, bidirectional: bool, **options: Any) -> RNNLayer:
        """See `StackedClassifier.build_layer`."""
        return RNNLayer(self.cell, inputs, units, bidirectional, **options, init=self.init)


class SimpleRNN(RNNClassifier):
    """Elman's recurrence, act(W x + U h + b) (Elman, 1990)."""

    name = "rnn"
    cell = "rnn"


class LSTM(RNNClassifier):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), forget bias initialized to 1."""

    name = "lstm"
    cell = "lstm"


class GRU(RNNClassifier):
    """Gated recurrent unit (Cho et al., 2014), with the reset gate after the matrix product."""

    name = "gru"
    cell = "gru"
