"""The base class of models fitted by one call on the whole training part."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from seqtext.errors import UserError
from seqtext.tokenizers.base import Tokenizer, concatenate_ranges
from seqtext.tokenizers.splitting import Split
from seqtext.tokenizers.words import WordTokenizer


class TokenizedTexts(NamedTuple):
    """Hold N cleaned texts as words, which white space separates.

    lengths: [N] number of words of each text, 0 for an empty one
    codes: [sum of lengths] words as indices into `dictionary`
    dictionary: distinct words
    tokens: tokens of each distinct word; None: each word is a token
    """

    lengths: np.ndarray
    codes: np.ndarray
    dictionary: pa.Array | pa.ChunkedArray
    tokens: Split | None = None

    def split_words(self, tokenizer: Tokenizer) -> "TokenizedTexts":
        """Return the texts with the tokens of a word tokenizer; of others, with words as tokens."""
        if not isinstance(tokenizer, WordTokenizer):
            return self
        words = self.dictionary
        if isinstance(words, pa.ChunkedArray):
            words = words.combine_chunks()
        return self._replace(tokens=tokenizer.split(words))

    def to_tokens(self) -> tuple["TokenizedTexts", np.ndarray]:
        """Return the texts with tokens in place of words, and the position of each token's word."""
        if self.tokens is None:
            return self, np.arange(len(self.codes))
        counts = self.tokens.counts[self.codes]
        starts = np.cumsum(self.tokens.counts) - self.tokens.counts
        places = concatenate_ranges(starts[self.codes], counts)
        codes = self.tokens.tokens.indices.to_numpy()[places]
        lengths = np.bincount(self.get_text_numbers(), counts, len(self.lengths)).astype(np.int64)
        words = np.repeat(np.arange(len(counts)), counts)
        return TokenizedTexts(lengths, codes, self.tokens.tokens.dictionary), words

    def get_text_numbers(self) -> np.ndarray:
        """Return the index of each word's text: [sum of lengths]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def split(self, per_word: np.ndarray) -> list[np.ndarray]:
        """Split [sum of lengths, …] into one array per text."""
        return np.split(per_word, np.cumsum(self.lengths)[:-1])

    def iter_blocks(self, size: int) -> Iterator["TokenizedTexts"]:
        """Yield the texts in blocks of at most `size`; at least one block."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        for start in range(0, max(len(self.lengths), 1), size):
            lengths = self.lengths[start : start + size]
            codes = self.codes[offsets[start] : offsets[start + len(lengths)]]
            yield self._replace(lengths=lengths, codes=codes)


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
    is_ordinal = False  # whether the classes are ordered, and `make_ordinal` was called
    chosen: Mapping[str, float | str] = MappingProxyType({})  # values that `fit` chose, by option

    def make_ordinal(self) -> None:
        """Prepare for ordered classes, before `fit` or `load_state_dict`.

        Raises:
            UserError: if the model is not made for them.
        """
        raise UserError(f"target=ordinal is not possible with model={self.name}.")

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
        """Return each word's contribution to the logits: [sum of lengths, 1 or C]."""
        raise NotImplementedError

    def find_known(self, texts: TokenizedTexts) -> np.ndarray:
        """Return which words contribute to the logits: [sum of lengths] booleans."""
        tokens, words = texts.to_tokens()
        known = pc.is_in(tokens.dictionary, value_set=pa.array(self.words, pa.string()))
        counts = known.to_numpy(zero_copy_only=False)[tokens.codes]
        return np.bincount(words, counts, len(texts.codes)) > 0

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
