"""The base class of tokenizers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from seqtext.data.code_fingerprint import digest_code
from seqtext.data.corpus import BLOCK_ROWS, TokenizedCorpus, join_words
from seqtext.errors import UserError
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

TruncationSide = Literal["left", "right"]
MAX_LENGTH_LIMIT = 2**62  # maximum `max_length` accepted from a checkpoint


class Tokenizer(ABC):
    """Converts cleaned texts to token ids and back.

    A subclass defines what a token is: it implements `fit` and `encode`, and stores its fitted
    state in `vocabulary`. Id 0 is padding, id 1 an unknown token.

    Args:
        max_length: maximum number of tokens of a text, may be set by `fit`; None: no limit
        truncation_side: the side of a longer text that is cut
    """

    vocabulary: Vocabulary  # set by `fit` or `load_state_dict`

    def __init__(self, max_length: Any = None, truncation_side: TruncationSide = "left"):
        self.max_length, self.truncation_side = max_length, truncation_side

    def __repr__(self) -> str:
        options = (f"{name}={value!r}" for name, value in self._get_options().items())
        return f"{type(self).__name__}({', '.join(options)})"

    def set_defaults(self, defaults: Mapping[str, Any]) -> None:  # noqa: B027  an optional hook
        """Replace options set to "auto" by those of a data set.

        Args:
            defaults: see `TextDataModule.default_tokenizer`
        """

    def settings(self) -> dict[str, Any]:
        """Return the options that determine the ids, as plain values: a cache key before `fit`."""
        kind = type(self)
        return {"class": kind.__qualname__, "code": digest_code(kind), **self._get_options()}

    def _get_options(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "vocabulary" and k[0] != "_"}

    @abstractmethod
    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """Build the vocabulary, and set `max_length` if it depends on the texts.

        Args:
            corpus: all cleaned texts of the data set
            rows: [n] row numbers of the training texts; others must not be used
        """

    @abstractmethod
    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Encode cleaned texts; a text without tokens becomes one unknown token.

        Returns:
            ids: [sum of lengths] concatenated token ids of the texts
            lengths: [texts] number of tokens of each text, from 1 to `max_length`
        """

    def encode_corpus(self, corpus: TokenizedCorpus) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Encode all texts of a corpus in blocks; the dtype of the ids is `vocabulary.dtype`.

        Yields:
            The result of `encode` for each block of texts.
        """
        for start, stop, codes in corpus.blocks():
            offsets = corpus.offsets[start : stop + 1] - corpus.offsets[start]
            for first in range(0, stop - start, BLOCK_ROWS):
                cut = offsets[first : first + BLOCK_ROWS + 1]
                words = corpus.dictionary.take(pa.array(codes[cut[0] : cut[-1]]))
                ids, lengths = self.encode(join_words(words, cut - cut[0]))
                yield ids.astype(self.vocabulary.dtype), lengths

    def find_spans(self, text: str) -> np.ndarray | None:
        """Find the tokens of a cleaned text in it, to show what a model reads.

        Returns:
            [tokens, 2] first character and last + 1 of each token of the truncated text, none for
            a text without tokens; None if a tokenizer does not know.
        """
        return None

    def build_hugging_face_tokenizer(self) -> "HuggingFaceTokenizer | None":
        """Build a tokenizer of the `tokenizers` package for other programs.

        It encodes cleaned texts, without truncation, to the same ids, or to those that `list_ids`
        maps to them. None if there is no equal one.
        """
        return None

    def list_ids(self) -> list[int] | None:
        """Return our id of each id of `build_hugging_face_tokenizer`; None if they are equal."""
        return None

    def truncate_spans(self, spans: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return the spans [tokens, 2] of a truncated text, for `find_spans`."""
        kept = len(spans) if self.max_length is None else min(len(spans), self.max_length)
        first = 0 if self.truncation_side == "right" else len(spans) - kept
        return np.array(spans[first : first + kept], np.int64).reshape(-1, 2)

    def decode(self, ids: np.ndarray) -> list[str]:
        """Return the token of each id."""
        return [self.vocabulary.token(int(i)) for i in ids]

    def state_dict(self) -> dict[str, Any]:
        """Return the fitted state as plain values for a checkpoint."""
        return {"tokens": self.vocabulary.tokens, "max_length": self.max_length}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a result of `state_dict`, which may come from an untrusted checkpoint.

        Raises:
            UserError: if the state is damaged.
        """
        tokens, max_length = state.get("tokens"), state.get("max_length")
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise UserError("tokenizer.tokens must be a list of strings.")
        if len(set(tokens)) != len(tokens):
            raise UserError("tokenizer.tokens must all be different.")
        if max_length is not None and not (
            type(max_length) is int and 1 <= max_length <= MAX_LENGTH_LIMIT
        ):
            raise UserError("tokenizer.max_length must be null or a positive whole number.")
        try:
            "".join(tokens).encode()
        except UnicodeEncodeError as error:  # unpaired surrogate
            raise UserError("tokenizer.tokens must be writable as UTF-8.") from error
        self.vocabulary, self.max_length = Vocabulary(tokens), max_length


def truncate(
    ids: np.ndarray, lengths: np.ndarray, max_length: int | None, side: TruncationSide = "left"
) -> tuple[np.ndarray, np.ndarray]:
    """Truncate texts to `max_length` tokens; a text without tokens becomes one unknown token.

    Args:
        ids: [sum of lengths] concatenated token ids of the texts
        lengths: [texts] number of tokens of each text
        side: the side of a longer text that is cut

    Returns:
        Truncated ids and lengths.
    """
    starts = np.cumsum(lengths) - lengths
    kept = lengths if max_length is None else np.minimum(lengths, max_length)
    first = starts if side == "right" else starts + lengths - kept
    is_token = np.repeat(kept > 0, np.maximum(kept, 1))
    truncated = np.full(len(is_token), UNKNOWN, ids.dtype)
    truncated[is_token] = ids[concatenate_ranges(first, kept)]
    return truncated, np.maximum(kept, 1)


def iter_groups(sizes: np.ndarray, limit: int) -> Iterator[tuple[int, int]]:
    """Yield (first, last + 1) of groups of items of a total size of at most `limit`, or one item.

    Args:
        sizes: [items] size of each
    """
    sums = np.concatenate([[0], np.cumsum(sizes)])
    first = 0
    while first < len(sizes):
        last = max(first + 1, int(np.searchsorted(sums, sums[first] + limit, side="right")) - 1)
        yield first, last
        first = last


def concatenate_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the concatenated numbers start, start + 1, … of all ranges."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
