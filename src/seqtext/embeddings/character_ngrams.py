"""Hash words and their character n-grams, and look up the n-grams of token ids."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import torch
from annotated_types import Interval
from torch import Tensor, nn

from seqtext.tokenizers.base import iter_groups
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS

# characters of an n-gram; limited, since a checkpoint's options may be untrusted
NgramLength = Annotated[int, Interval(ge=1, le=30)]
MaxNgramLength = Annotated[int, Interval(ge=0, le=30)]  # 0: no n-grams
BEGIN, END = "<", ">"  # of a word, so that prefixes and suffixes differ from other n-grams
MAX_TOKEN_LENGTH = 10_000  # characters of a token that are read
BLOCK_CHARACTERS = 1 << 20  # of tokens that are hashed together
# FNV-1a (Fowler, Noll and Vo), applied to code points, and the finalizer of MurmurHash3 (Appleby)
FNV_BASIS, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
MIX_SHIFT = np.uint64(33)
MIX_FACTORS = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
WORD_BASE = np.uint64(0x9E3779B97F4A7C15)


def hash_character_ngrams(
    tokens: Sequence[str], min_n: int, max_n: int, buckets: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hash the character n-grams of "<token>" for each token (Bojanowski et al., 2017).

    An empty token has none. The marks of a word's ends are no unigrams. At most 10,000 characters
    of a token are read.

    Args:
        min_n: number of characters (code points) of the shortest n-grams; 0: as 1
        max_n: number of characters of the longest n-grams; 0: no n-grams
        buckets: number of different hash values

    Returns:
        offsets: [tokens + 1] int64; the n-grams of token i are ``rows[offsets[i]:offsets[i + 1]]``
        rows: [n-grams] int32, hash values from 0 to `buckets` - 1
    """
    counts, rows = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)]
    for block in _iter_blocks(tokens):
        of_block = _hash_block(block, max(min_n, 1), max_n, buckets)
        counts.append(of_block[0])
        rows.append(of_block[1])
    return np.cumsum(np.concatenate(counts)), np.concatenate(rows)


def hash_words(tokens: Sequence[str]) -> np.ndarray:
    """Return [tokens] int64 hashes of whole tokens."""
    hashes = [np.zeros(0, np.int64)]
    for block in _iter_blocks(tokens):
        codes, lengths = _join_code_points(block)
        starts = np.cumsum(lengths) - lengths
        powers = np.cumprod(np.full(lengths.max(), WORD_BASE))  # modulo 2^64
        places = np.arange(len(codes)) - np.repeat(starts, lengths)
        sums = np.add.reduceat(codes * powers[places], starts)
        hashes.append(_mix(sums).view(np.int64))
    return np.concatenate(hashes)


def _iter_blocks(tokens: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the tokens in blocks, without the characters after the first `MAX_TOKEN_LENGTH`."""
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens)) + len(BEGIN + END)
    for start, stop in iter_groups(np.minimum(lengths, MAX_TOKEN_LENGTH), BLOCK_CHARACTERS):
        block = tokens[start:stop]
        if lengths[start:stop].max() > MAX_TOKEN_LENGTH:
            block = [token[:MAX_TOKEN_LENGTH] for token in block]
        yield block


def _hash_block(
    tokens: Sequence[str], min_n: int, max_n: int, buckets: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of n-grams [tokens] and the hashes of all, token by token."""
    codes, lengths = _join_code_points(tokens)
    orders = np.arange(min_n, max_n + 1)
    if not len(orders):
        return np.zeros(len(tokens), np.int64), np.zeros(0, np.int32)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(codes))  # to the token's end
    is_ngram = orders <= left[:, None]  # [characters, orders]
    is_ngram[np.repeat(lengths == 2, lengths)] = False  # an empty token
    if min_n == 1:
        is_ngram[:, 0] &= (left > 1) & (left < np.repeat(lengths, lengths))
    padded = np.concatenate([codes, np.zeros(max_n, np.uint64)])
    state = np.full(len(codes), FNV_BASIS)
    hashes = np.empty(is_ngram.shape, np.int32)
    for n in range(1, max_n + 1):
        state = (state ^ padded[n - 1 : n - 1 + len(codes)]) * FNV_PRIME
        if n >= min_n:
            hashes[:, n - min_n] = _mix(state) % np.uint64(buckets)
    counts = np.add.reduceat(is_ngram.sum(axis=1), np.cumsum(lengths) - lengths)
    return counts, hashes[is_ngram]


def _join_code_points(tokens: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the code points of "<token>" for all tokens, uint64, and their numbers [tokens]."""
    codes = list_code_points([f"{BEGIN}{token}{END}" for token in tokens])
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens)) + len(BEGIN + END)
    return codes.astype(np.uint64), lengths


def list_code_points(texts: Sequence[str]) -> np.ndarray:
    """Return the uint32 code points of all characters of texts, one text after the other."""
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)


def _mix(hashes: np.ndarray) -> np.ndarray:
    """Return uint64 hashes whose bits all depend on all bits of the given ones."""
    for factor in MIX_FACTORS:
        hashes = (hashes ^ (hashes >> MIX_SHIFT)) * factor
    return hashes ^ (hashes >> MIX_SHIFT)


class CharacterNgrams(nn.Module):
    """Looks up the hashed character n-grams of token ids; before `set_tokens`, there are none.

    Args:
        min_n, max_n, buckets: see `hash_character_ngrams`
    """

    offsets: Tensor  # [tokens + 1] int64
    rows: Tensor  # [n-grams of all tokens] int32

    def __init__(self, min_n: int, max_n: int, buckets: int):
        super().__init__()
        self.min_n, self.max_n, self.buckets = min_n, max_n, buckets
        self.register_buffer("offsets", None, persistent=False)
        self.register_buffer("rows", None, persistent=False)
        self.known = np.zeros(1, np.int64), np.zeros(0, np.int32)  # of the known tokens

    def set_tokens(self, tokens: Sequence[str]) -> None:
        """Spell the known tokens: see `seqtext.embeddings.spelling`."""
        special = len(SPECIAL_TOKENS)
        self.known = self._hash([*[""] * special, *tokens[special:]])
        self._set_buffers(*self.known)

    def set_unknown_tokens(self, tokens: Sequence[str]) -> None:
        """Spell the unknown tokens, whose ids follow those of the known ones."""
        (offsets, rows), (more_offsets, more_rows) = self.known, self._hash(tokens)
        offsets = np.concatenate([offsets, offsets[-1] + more_offsets[1:]])
        self._set_buffers(offsets, np.concatenate([rows, more_rows]))

    @property
    def vocabulary_size(self) -> int:
        """Return V, the number of known tokens with the special ones; 0 before `set_tokens`."""
        return len(self.known[0]) - 1

    @property
    def num_tokens(self) -> int:
        """Return the number of tokens that are spelled, known and unknown ones."""
        return 0 if self.offsets is None else len(self.offsets) - 1

    def look_up(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Look up the n-grams of ids [N].

        Returns:
            rows: [M] int64 hash values of all n-grams, id by id
            counts: [N] number of n-grams of each id
        """
        if self.offsets is None:
            return ids[:0], torch.zeros_like(ids)
        if self.offsets.device != ids.device:
            self.to(ids.device)
        first = self.offsets[ids]
        counts = self.offsets[ids + 1] - first
        ends = counts.cumsum(0)
        steps = torch.arange(int(counts.sum()), device=ids.device)
        shifts = (first - ends + counts).repeat_interleave(counts, output_size=len(steps))
        return self.rows[steps + shifts].long(), counts

    def _hash(self, tokens: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return hash_character_ngrams(tokens, self.min_n, self.max_n, self.buckets)

    def _set_buffers(self, offsets: np.ndarray, rows: np.ndarray) -> None:
        device = "cpu" if self.offsets is None else self.offsets.device
        self.offsets = torch.from_numpy(offsets).to(device)
        self.rows = torch.from_numpy(rows).to(device)
