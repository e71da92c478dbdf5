"""The vocabulary: known tokens and their ids."""

import threading
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.corpus import TokenizedCorpus
from seqtext.token_ids import UNKNOWN

SPECIAL_TOKENS = ("<pad>", "<unk>")


class Vocabulary:
    """Maps tokens to ids: 0 is padding, 1 an unknown token, then known tokens by frequency.

    Args:
        tokens: tokens without the two special ones; token i has id i + 2
        counts: [tokens] frequency of each token in the training texts; None if unknown
        total_tokens: number of all tokens of the training texts; None if unknown
    """

    def __init__(
        self,
        tokens: Sequence[str],
        counts: np.ndarray | None = None,
        total_tokens: int | None = None,
    ):
        self.tokens, self.counts, self.total_tokens = list(tokens), counts, total_tokens

    def __len__(self) -> int:
        return len(SPECIAL_TOKENS) + len(self.tokens)

    def token(self, number: int) -> str:
        """Return the token of an id."""
        special = len(SPECIAL_TOKENS)
        return SPECIAL_TOKENS[number] if number < special else self.tokens[number - special]

    @classmethod
    def from_counts(
        cls, tokens: pa.Array | pa.ChunkedArray, counts: np.ndarray, vocab_size: int | None
    ) -> "Vocabulary":
        """Build a vocabulary of the most frequent tokens; equally frequent ones are sorted.

        Texts may contain the names of special tokens: these are unknown tokens.

        Args:
            tokens: distinct tokens
            counts: [tokens] frequency of each in the training texts; those with 0 are left out
            vocab_size: maximum number of tokens without the special tokens; None: all
        """
        least = 1
        if vocab_size is not None and vocab_size < len(counts):
            least = max(1, np.partition(counts, -vocab_size)[-vocab_size])
        is_special = pc.is_in(tokens, value_set=pa.array(SPECIAL_TOKENS, pa.string()))
        seen = np.flatnonzero((counts >= least) & ~np.asarray(is_special))
        table = pa.table({"token": tokens.take(pa.array(seen)), "count": counts[seen]})
        ranked = table.sort_by([("count", "descending"), ("token", "ascending")])[:vocab_size]
        return cls(ranked["token"].to_pylist(), ranked["count"].to_numpy(), int(counts.sum()))

    def encode(self, tokens: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Return [n] int32 ids of tokens, 1 for an unknown token."""
        positions = pc.index_in(tokens, value_set=self._known)
        return pc.fill_null(pc.add(positions, len(SPECIAL_TOKENS)), UNKNOWN).to_numpy()

    @cached_property
    def _known(self) -> pa.Array:
        return pa.array(self.tokens, pa.string())

    @property
    def dtype(self) -> type:
        """Return the dtype of stored ids: uint16 if it is sufficient."""
        return np.uint16 if len(self) <= np.iinfo(np.uint16).max + 1 else np.int32


class OpenVocabulary(Vocabulary):
    """Keeps unknown tokens apart, for models that read the spelling of tokens.

    An unknown token has an id of its own, from `len` on: those of `unknown_tokens`, in order. The
    ids of unknown tokens have no meaning beyond one object.

    Args:
        vocabulary: known tokens
        unknown_tokens: unknown tokens that have ids already
    """

    def __init__(self, vocabulary: Vocabulary, unknown_tokens: Sequence[str] = ()):
        super().__init__(vocabulary.tokens, vocabulary.counts, vocabulary.total_tokens)
        first = len(self)
        self._ids = {token: first + n for n, token in enumerate(unknown_tokens)}
        self._lock = threading.Lock()  # texts are encoded in threads

    @property
    def unknown_tokens(self) -> list[str]:
        """Return the unknown tokens so far; token k has the id ``len(self) + k``."""
        return list(self._ids)

    def forget_unknown_tokens(self) -> None:
        """Start again without unknown tokens."""
        self._ids.clear()

    def token(self, number: int) -> str:
        """Return the token of an id."""
        unknown = number - len(self)
        return super().token(number) if unknown < 0 else self.unknown_tokens[unknown]

    def encode(self, tokens: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Return [n] int32 ids of tokens; new unknown tokens get the next ids."""
        ids = super().encode(tokens).copy()
        unknown = np.flatnonzero(ids == UNKNOWN)
        first = len(self)
        with self._lock:
            known = self._ids
            ids[unknown] = [
                UNKNOWN if token in SPECIAL_TOKENS else known.setdefault(token, first + len(known))
                for token in tokens.take(pa.array(unknown)).to_pylist()
            ]
        return ids

    @property
    def dtype(self) -> type:
        """Return the dtype of stored ids."""
        return np.int32


class KnownIds:
    """Reads stored ids, with the unknown token's id for all unknown tokens.

    Args:
        ids: [sum of lengths] ids by an `OpenVocabulary`
        vocab_size: number of known ids
    """

    def __init__(self, ids: np.ndarray, vocab_size: int):
        self._ids, self._vocab_size = ids, vocab_size

    def __getitem__(self, where: slice) -> np.ndarray:
        ids = self._ids[where]
        return np.where(ids < self._vocab_size, ids, UNKNOWN)


def count_words(corpus: TokenizedCorpus, rows: np.ndarray) -> np.ndarray:
    """Return [distinct words] int64 counts of each word in `rows`."""
    counts = np.zeros(len(corpus.dictionary), np.int64)
    for _, codes in corpus.iter_rows(rows):
        counts += np.bincount(codes, minlength=len(counts))
    return counts
