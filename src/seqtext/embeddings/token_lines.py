"""Write texts as lines of tokens, from which vectors are learned."""

import copy
import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.cache import digest_json
from seqtext.data.corpus import BLOCK_ROWS, TokenizedCorpus, join_words
from seqtext.tokenizers.base import Tokenizer
from seqtext.tokenizers.by_word import ByWordTokenizer
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS

LENGTH_OPTIONS = ("max_length", "truncation_side")  # of tokenizers, without effect on the lines


def iter_lines(tokenizer: Tokenizer, corpus: TokenizedCorpus, rows: np.ndarray) -> Iterator[str]:
    """Yield the texts of `rows` in blocks: tokens between spaces, one text per line.

    Texts are not truncated. Tokens that are not in the vocabulary are written too if the tokenizer
    splits each word on its own.
    """
    spelled = _spell_words(tokenizer, corpus)
    for lengths, codes in corpus.iter_rows(rows):
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        for first in range(0, len(lengths), BLOCK_ROWS):
            cut = offsets[first : first + BLOCK_ROWS + 1]
            words = spelled.take(pa.array(codes[cut[0] : cut[-1]]))
            texts = join_words(words, cut - cut[0])
            if not isinstance(tokenizer, ByWordTokenizer):
                texts = _encode(tokenizer, texts)
            yield "\n".join([*texts.to_pylist(), ""])


def digest_tokens(tokenizer: Tokenizer, corpus: TokenizedCorpus) -> str:
    """Return a digest of how the words of a corpus are split into tokens."""
    if not isinstance(tokenizer, ByWordTokenizer):
        options = {k: v for k, v in tokenizer.settings().items() if k not in LENGTH_OPTIONS}
        state = {k: v for k, v in tokenizer.state_dict().items() if k not in LENGTH_OPTIONS}
        return digest_json([options, state])
    spelled = _spell_words(tokenizer, corpus).to_pylist()
    return hashlib.blake2b("\n".join(spelled).encode(), digest_size=16).hexdigest()


def _spell_words(tokenizer: Tokenizer, corpus: TokenizedCorpus) -> pa.Array:
    """Return the tokens of each distinct word, between spaces; else the words themselves."""
    words = corpus.dictionary.combine_chunks()
    if not isinstance(tokenizer, ByWordTokenizer):
        return words
    split = tokenizer.split(words)
    tokens = split.tokens.dictionary.take(split.tokens.indices)
    if (split.counts == 1).all():
        return tokens
    return join_words(tokens, np.concatenate([np.zeros(1, np.int64), np.cumsum(split.counts)]))


def _encode(tokenizer: Tokenizer, texts: pa.Array) -> pa.Array:
    """Return the known tokens of texts, between spaces; those with white space are left out."""
    unlimited = copy.copy(tokenizer)
    unlimited.max_length = None
    ids, lengths = unlimited.encode(texts)
    listed = pa.array([*[""] * len(SPECIAL_TOKENS), *tokenizer.vocabulary.tokens], pa.string())
    has_space = pc.match_substring_regex(listed, r"\s")
    listed = pc.if_else(has_space, "", listed)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ids = np.where(ids < len(listed), ids, 0).astype(np.int64)
    return join_words(listed.take(pa.array(ids)), offsets)
