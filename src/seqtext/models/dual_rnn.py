"""Two recurrences side by side, one of which gives its verdict to the other's output layer."""

from typing import Any

import torch
from torch import Tensor, nn

from seqtext.layers.initializers import start_layer
from seqtext.layers.recurrence import Cell, Recurrence
from seqtext.models.base import TextClassifier
from seqtext.validation import Count, Rate, checked


class TwoChains(TextClassifier):
    """Study 1: the first chain's probability and the second's last state make the text's vector.

    For more than two classes the first chain gives a probability of each.

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        cell: kind of both recurrences
        units: U, of each
        dropout, recurrent_dropout: of the inputs and of the previous state of each, one mask per
            text for all its words
        head: see `TextClassifier`
    """

    name = "two_chains"

    @checked
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        cell: Cell = "gru",
        units: Count = 100,
        dropout: Rate = 0.0,
        recurrent_dropout: Rate = 0.0,
        **head: Any,
    ):
        verdicts = 1 if classes == 2 else classes
        super().__init__(embedding, classes, features=verdicts + units, **head)
        dim, options = embedding.embedding_dim, (False, dropout, recurrent_dropout, self.init)
        self.chains = nn.ModuleList(Recurrence(cell, dim, units, *options) for _ in range(2))
        self.verdict = start_layer(nn.Linear(units, verdicts), self.init, output=True)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → logits [B] for two classes, [B, C] for more."""
        vectors = self.embed(ids)  # [B, T, E]
        first, second = (chain.last(vectors, lengths) for chain in self.chains)  # [B, U] each
        verdict = self.verdict(first)
        share = verdict.sigmoid() if self.classes == 2 else verdict.softmax(dim=1)
        return self.logits(torch.cat([share, second], dim=1))
