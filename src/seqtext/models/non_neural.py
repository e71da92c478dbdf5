"""The base class of models fitted by one call on the whole training part."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor


class TokenizedTexts(NamedTuple):
    """Hold N cleaned texts as tokens.

    lengths: [N] number of tokens of each text, 0 for an empty one
    codes: [sum of lengths] tokens as indices into `dictionary`
    dictionary: distinct tokens
    """

    lengths: np.ndarray
    codes: np.ndarray
    dictionary: pa.Array | pa.ChunkedArray

    def get_text_numbers(self) -> np.ndarray:
        """Return the index of each token's text: [sum of lengths]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def split(self, per_token: np.ndarray) -> list[np.ndarray]:
        """Split [sum of lengths, …] into one array per text."""
        return np.split(per_token, np.cumsum(self.lengths)[:-1])

    def iter_blocks(self, size: int) -> Iterator["TokenizedTexts"]:
        """Yield the texts in blocks of at most `size`; at least one block."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        for start in range(0, max(len(self.lengths), 1), size):
            lengths = self.lengths[start : start + size]
            codes = self.codes[offsets[start] : offsets[start + len(lengths)]]
            yield TokenizedTexts(lengths, codes, self.dictionary)


class Validation(NamedTuple):
    """Hold the validation part, by which a model chooses among values of its options.

    texts: N validation texts
    score: from logits of these texts, [N] for two classes, [N, C] for more, to the monitored score
        and the loss
    is_better: whether (score, loss) is better than another pair; the second may be None
    """

    texts: TokenizedTexts
    score: Callable[[Tensor], tuple[float, float]]
    is_better: Callable[[tuple[float, float], tuple[float, float] | None], bool]


class NonNeuralClassifier:
    """Base class of models trained by a single `fit` call, such as TF-IDF and logistic regression.

    A subclass takes `classes` and its options, and defines the methods below. Options for
    training in batches (embedding, optimizer, scheduler, trainer, patience) are ignored.
    """

    name = ""  # shown in tables, set by a subclass
    words: list[str]  # vocabulary of the fitted model
    needs_validation = False  # whether `fit` chooses values of options on the validation part
    chosen: Mapping[str, float | str] = MappingProxyType({})  # values that `fit` chose, by option

    def fit(
        self,
        texts: TokenizedTexts,
        labels: np.ndarray,
        class_weights: list[float] | None = None,
        rows: np.ndarray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Fit the model to the training part.

        Args:
            texts: N training texts, from which the vocabulary is taken
            labels: [N] class numbers
            class_weights: [C] weights of the loss; None: all 1
            rows: indices of the texts to learn weights from, after resampling; None: all
            validation: validation part; passed if `needs_validation`
        """
        raise NotImplementedError

    def predict_logits(self, texts: TokenizedTexts) -> Tensor:
        """Return logits: [N] for two classes, [N, C] for more."""
        raise NotImplementedError

    def word_attributions(self, texts: TokenizedTexts) -> np.ndarray:
        """Return each token's contribution to the logits: [sum of lengths, 1 or C]."""
        raise NotImplementedError

    def find_known_words(self, words: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Return which words contribute to the logits: [V] booleans."""
        return pc.is_in(words, value_set=pa.array(self.words, pa.string())).to_numpy(
            zero_copy_only=False
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the fitted parameters, without `words`."""
        raise NotImplementedError

    def load_state_dict(self, words: list[str], state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`."""
        raise NotImplementedError

    @property
    def num_parameters(self) -> int:
        """Return the number of trained parameters."""
        raise NotImplementedError
