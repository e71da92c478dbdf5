"""The base class of tokenizers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.code_fingerprint import code_fingerprint
from seqtext.data.corpus import TokenizedCorpus
from seqtext.errors import UserError
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.vocabulary import Vocabulary

TruncationSide = Literal["left", "right"]
MAX_LENGTH_LIMIT = 2**62  # tokens of a text that a checkpoint may ask for


class Tokenizer(ABC):
    """Turns cleaned texts into token ids and back.

    A subclass defines what a token is: it implements `fit` and `encode`, and keeps what it has
    learned in `vocabulary`. Id 0 is padding, id 1 an unknown token.

    Args:
        max_length: tokens of a text that are used, known at the latest after `fit`; None: all
        truncation_side: the end of a longer text that is cut
    """

    vocabulary: Vocabulary  # set by `fit` or `load_state_dict`

    def __init__(self, max_length: Any = None, truncation_side: TruncationSide = "left"):
        self.max_length, self.truncation_side = max_length, truncation_side

    def __repr__(self) -> str:
        options = (f"{k}={v!r}" for k, v in vars(self).items() if k != "vocabulary")
        return f"{type(self).__name__}({', '.join(options)})"

    def set_defaults(self, defaults: Mapping[str, Any]) -> None:  # noqa: B027  an optional hook
        """Replace options that were left at "auto" by those of a data set.

        Args:
            defaults: see `TextDataModule.default_tokenizer`
        """

    def settings(self) -> dict[str, Any]:
        """Return everything that decides the ids, as plain values, before `fit`: a cache key."""
        options = {name: value for name, value in vars(self).items() if name != "vocabulary"}
        kind = type(self)
        return {"class": kind.__qualname__, "code": code_fingerprint(kind), **options}

    @abstractmethod
    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """Learn the vocabulary, and `max_length` where it depends on the texts.

        Args:
            corpus: all texts of the data set, cleaned
            rows: [n] row numbers of the training texts, the only ones to look at
        """

    @abstractmethod
    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Encode cleaned texts; a text without tokens becomes one unknown token.

        Returns:
            ids: [sum of lengths] token ids of all texts, one text after the other
            lengths: [texts] number of tokens of each text, from 1 to `max_length`
        """

    def encode_corpus(self, corpus: TokenizedCorpus) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Encode all texts of a corpus, block by block; ids are of the type `vocabulary.dtype`.

        Yields:
            For each block of texts what `encode` returns.
        """
        for start, stop, codes in corpus.blocks():
            words = corpus.dictionary.take(pa.array(codes)).combine_chunks()
            offsets = corpus.offsets[start : stop + 1] - corpus.offsets[start]
            lists = pa.LargeListArray.from_arrays(pa.array(offsets), words)
            ids, lengths = self.encode(pc.binary_join(lists, " "))
            yield ids.astype(self.vocabulary.dtype), lengths

    def decode(self, ids: np.ndarray) -> list[str]:
        """Return the token of each id."""
        return [self.vocabulary.token(int(i)) for i in ids]

    def state_dict(self) -> dict[str, Any]:
        """Return what was learned by `fit`, as plain values for a checkpoint."""
        return {"tokens": self.vocabulary.tokens, "max_length": self.max_length}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, perhaps in a stranger's checkpoint.

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
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise UserError("tokenizer.tokens must be writable as UTF-8.") from error
        self.vocabulary, self.max_length = Vocabulary(tokens), max_length


def truncate(
    ids: np.ndarray, lengths: np.ndarray, max_length: int | None, side: TruncationSide = "left"
) -> tuple[np.ndarray, np.ndarray]:
    """Truncate texts to `max_length` tokens; a text without tokens becomes one unknown token.

    Args:
        ids: [sum of lengths] token ids of all texts, one text after the other
        lengths: [texts] number of tokens of each text
        side: the end of a longer text that is cut

    Returns:
        ids and lengths of what is left.
    """
    starts = np.cumsum(lengths) - lengths
    kept = lengths if max_length is None else np.minimum(lengths, max_length)
    first = starts if side == "right" else starts + lengths - kept
    is_token = np.repeat(kept > 0, np.maximum(kept, 1))
    truncated = np.full(len(is_token), UNKNOWN, ids.dtype)
    truncated[is_token] = ids[_concatenate_ranges(first, kept)]
    return truncated, np.maximum(kept, 1)


def _concatenate_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the numbers start, start + 1, … of every range, one range after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
