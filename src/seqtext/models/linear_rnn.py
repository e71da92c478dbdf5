"""Stacked minGRU, minLSTM and QRNN layers: no gate reads the previous state."""

from typing import Any

from torch import nn

from seqtext.layers.linear_rnn import Candidate, LinearCellName, LinearRNNLayer
from seqtext.models.stacked import StackedClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class LinearRNNClassifier(StackedClassifier):
    """Applies embedding, linear recurrent layers, pooling and the head; subclasses set `cell`.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        activation: activation of the candidate: linear, positive (x + 0.5, and sigmoid(x) for
            x < 0; both Feng et al., 2024), tanh or relu
        variational_dropout: dropout rate of the inputs of each layer, with one mask per text (Gal
            and Ghahramani, 2016); one rate or a list with one per layer
        window: number of inputs that the gates of a step read: its own and those before it
        stack: see `StackedClassifier`
    """

    cell: LinearCellName

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        activation: Candidate = "linear",
        variational_dropout: DropoutRate | list[DropoutRate] = 0.2,
        window: PositiveInt | list[PositiveInt] = 1,
        **stack: Any,
    ):
        options = {
            "activation": activation,
            "variational_dropout": variational_dropout,
            "window": window,
        }
        super().__init__(embedding, classes, layer_options=options, **stack)

    def build_layer(
        self, inputs: int, units: int, bidirectional: bool, **options: Any
    ) -> LinearRNNLayer:
        """See `StackedClassifier.build_layer`."""
        return LinearRNNLayer(self.cell, inputs, units, bidirectional, **options, init=self.init)


class MinGRU(LinearRNNClassifier):
    """minGRU, h = (1 - z) h + z n (Feng et al., 2024, "Were RNNs All We Needed?")."""

    name = "mingru"
    cell = "mingru"


class MinLSTM(LinearRNNClassifier):
    """minLSTM, a minGRU with z = i / (f + i) of two gates (Feng et al., 2024)."""

    name = "minlstm"
    cell = "minlstm"


class QRNN(LinearRNNClassifier):
    """Quasi-recurrent network with fo-pooling (Bradbury et al., 2017).

    Its gates are convolutions of the last `window` inputs; c = f c + (1 - f) n, h = o c.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        activation, window, options: see `LinearRNNClassifier`
    """

    name = "qrnn"
    cell = "qrnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        activation: Candidate = "tanh",
        window: PositiveInt | list[PositiveInt] = 2,
        **options: Any,
    ):
        super().__init__(embedding, classes, activation, window=window, **options)
