"""Models that are fitted to the whole training part at once: no batches, epochs or gradients."""

from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from seqtext.data.split import Part
from seqtext.datasets.base import TextDataModule


class NonNeuralClassifier:
    """Base of such models: the other way to become a classifier, beside `TextClassifier`.

    A subclass takes `classes` and its options, and has what is below. Options of a run that are
    about training in batches (embedding, optimizer, schedule, trainer, patience) mean nothing
    to it.
    """

    name = ""  # in tables; a subclass gives its own
    words: list[str]  # that it knows, once it is fitted

    def fit(self, data: TextDataModule) -> None:
        """Learn from the training part, and from nothing else."""
        raise NotImplementedError

    def predict(self, data: TextDataModule, part: Part) -> Tensor:
        """Logits of the rows of a part in their order: [N] for two classes, [N, C] for more."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Tensor]:
        """What was learned, beside `words`."""
        raise NotImplementedError

    def load_state_dict(self, words: list[str], state: dict[str, Any]) -> None:
        """Be what `state_dict` was taken of."""
        raise NotImplementedError

    def word_attributions(
        self, lengths: np.ndarray, codes: np.ndarray, dictionary: pa.Array
    ) -> np.ndarray:
        """What each word of N texts adds to the logits: [sum of lengths, 1 or C].

        Args:
            lengths: [N] words in each text
            codes: [sum of lengths] their words, as indices into `dictionary`
        """
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        raise NotImplementedError
