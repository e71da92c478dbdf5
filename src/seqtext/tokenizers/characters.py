"""Tokenizer of single characters."""

import sys
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.tokenizers.base import TruncationSide
from seqtext.tokenizers.by_word import ByWordTokenizer
from seqtext.tokenizers.hugging_face import (
    build_lowercase_steps,
    build_space_steps,
    build_word_level_tokenizer,
)
from seqtext.tokenizers.splitting import Split
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import PositiveInt, validate_args

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer


class CharacterTokenizer(ByWordTokenizer):
    """Makes each character (Unicode code point) a token, and each white space one space.

    Args:
        max_length: maximum number of characters of a text; "longest": the length of the longest
            training text; None: no limit. The default is that of Zhang et al., 2015.
        truncation_side: the side of a longer text that is cut
        vocab_size: maximum number of characters, the most frequent ones in the training texts,
            without the two special tokens; None: no limit
        fit_rows: count characters only in the first `fit_rows` training texts; None: in all
        lowercase: whether to lowercase the texts, for texts that cleaning does not lowercase
    """

    separator = " "

    @validate_args
    def __init__(
        self,
        max_length: PositiveInt | Literal["longest"] | None = 1014,
        truncation_side: TruncationSide = "left",
        vocab_size: PositiveInt | None = 1000,
        fit_rows: PositiveInt | None = None,
        lowercase: bool = False,
    ):
        super().__init__(max_length, truncation_side)
        self.vocab_size, self.fit_rows, self.lowercase = vocab_size, fit_rows, lowercase

    def split(self, words: pa.Array) -> Split:
        """See `ByWordTokenizer.split`."""
        words = pc.utf8_lower(words) if self.lowercase else words
        counts = pc.utf8_length(words).to_numpy().astype(np.int64)
        whole = pa.LargeListArray.from_arrays([0, len(words)], words)
        joined = pc.binary_join(whole, "")[0].as_py()
        points = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
        is_used = np.zeros(sys.maxunicode + 1, bool)
        is_used[points] = True
        codes = (np.cumsum(is_used, dtype=np.int32) - 1)[points]
        characters = pa.array(map(chr, np.flatnonzero(is_used).tolist()), pa.string())
        return Split(counts, pa.DictionaryArray.from_arrays(pa.array(codes), characters))

    def find_word_spans(self, word: str) -> list[tuple[int, int]]:
        """See `ByWordTokenizer.find_word_spans`."""
        return [(n, n + 1) for n in range(len(word))]

    def build_hugging_face_tokenizer(self) -> "HuggingFaceTokenizer":
        """See `Tokenizer.build_hugging_face_tokenizer`."""
        from tokenizers import Regex, pre_tokenizers

        ids = {token: n for n, token in enumerate(self.vocabulary.tokens, len(SPECIAL_TOKENS))}
        steps: list[Any] = build_lowercase_steps() if self.lowercase else []
        steps += build_space_steps()
        each = pre_tokenizers.Split(Regex("(?m:.)"), "isolated")
        return build_word_level_tokenizer(ids, [each], steps)
