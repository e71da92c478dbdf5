"""Two parallel recurrent layers; the prediction of the first is a feature of the output layer."""

from typing import Any

import torch
from torch import Tensor, nn

from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.layers.initializers import init_linear_
from seqtext.layers.module_list import ModuleList
from seqtext.layers.pooling import select_time_step
from seqtext.layers.rnn import CellName, RNNLayer
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveInt, validate_args


class DualRNN(TextClassifier):
    """Classify the first RNN's predicted probability and the second RNN's last state.

    For more than two classes the first RNN predicts a probability for each.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        cell: kind of both recurrent layers
        units: U, width of each layer
        variational_dropout: dropout rate of each layer's inputs, with one mask per text
        recurrent_dropout: dropout rate of each layer's previous state, with one mask per text
        head_dropout, head: see `TextClassifier`
    """

    name = "dual_rnn"

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: CellName = "gru",
        units: PositiveInt = 100,
        variational_dropout: DropoutRate = 0.2,
        recurrent_dropout: DropoutRate = 0.0,
        head_dropout: DropoutRate = 0.0,
        **head: Any,
    ):
        outputs = 1 if classes == 2 else classes
        super().__init__(embedding, classes, outputs + units, head_dropout=head_dropout, **head)
        self.rnns = ModuleList(
            RNNLayer(
                cell,
                get_embedding_dim(embedding),
                units,
                variational_dropout=variational_dropout,
                recurrent_dropout=recurrent_dropout,
                init=self.init,
            )
            for _ in range(2)
        )
        self.rnn_output = init_linear_(nn.Linear(units, outputs), self.init, output=True)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        vectors = self.embed(ids)  # [B, T, E]
        first, second = (
            select_time_step(rnn(vectors, lengths), lengths - 1) for rnn in self.rnns
        )  # [B, U] each
        logits = self.rnn_output(first)
        probs = logits.sigmoid() if self.classes == 2 else logits.softmax(dim=1)
        return self.compute_logits(torch.cat([probs, second], dim=1))
