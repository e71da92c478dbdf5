"""Tokenizer of words separated by white space."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.corpus import TokenizedCorpus
from seqtext.tokenizers.base import TruncationSide
from seqtext.tokenizers.by_word import ByWordTokenizer
from seqtext.tokenizers.hugging_face import (
    build_lowercase_steps,
    build_white_space_split,
    build_word_level_tokenizer,
)
from seqtext.tokenizers.splitting import Mask, Punctuation, Split, WordSplitter, build_splitter
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import PositiveInt, validate_args

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

AUTO: Final = "auto"
# Characters in place of masked parts, and of these characters: Unicode keeps them out of texts.
MARKS, NO_MARK = "\ufdd0\ufdd1\ufdd2", "\ufdef"
DEFAULTS = MappingProxyType({"max_length": 400, "vocab_size": 20_000, "fit_rows": None})


class WordTokenizer(ByWordTokenizer):
    """Splits cleaned texts at white space; the most frequent words are the vocabulary.

    The value "auto" is replaced by the data set's (`TextDataModule.default_tokenizer`), or else by
    that of `DEFAULTS`.

    Args:
        max_length: maximum number of words of a text; "longest": the length of the longest training
            text; None: no limit
        truncation_side: the side of a longer text that is cut
        vocab_size: maximum number of words, the most frequent ones in the training texts, without
            the two special tokens; None: no limit
        fit_rows: count words only in the first `fit_rows` training texts; None: in all
        lowercase: whether to lowercase words, for texts that cleaning does not lowercase
        punctuation, mask, split_unspaced: see `WordSplitter`
    """

    @validate_args
    def __init__(
        self,
        max_length: PositiveInt | Literal["auto", "longest"] | None = AUTO,
        truncation_side: TruncationSide = "left",
        vocab_size: PositiveInt | Literal["auto"] | None = AUTO,
        fit_rows: PositiveInt | Literal["auto"] | None = AUTO,
        lowercase: bool = False,
        punctuation: Punctuation = "keep",
        mask: list[Mask] | None = None,
        split_unspaced: bool = True,
    ):
        super().__init__(max_length, truncation_side)
        self.vocab_size, self.fit_rows = vocab_size, fit_rows
        self.lowercase, self.punctuation = lowercase, punctuation
        self.mask, self.split_unspaced = list(mask or ()), split_unspaced

    @property
    def splitter(self) -> WordSplitter:
        """Return the splitter of words."""
        return build_splitter(self.split_unspaced, self.punctuation, tuple(self.mask))

    @property
    def splits_at_white_space(self) -> bool:
        """Return whether each white-space word of common scripts is a token."""
        return not self.lowercase and self.punctuation == "keep" and not self.mask

    def set_defaults(self, defaults: Mapping[str, Any]) -> None:
        """See `Tokenizer.set_defaults`."""
        for name, value in {**DEFAULTS, **defaults}.items():
            if getattr(self, name) == AUTO:
                setattr(self, name, value)

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """See `Tokenizer.fit`."""
        self.set_defaults({})
        super().fit(corpus, rows)

    def split(self, words: pa.Array) -> Split:
        """See `ByWordTokenizer.split`."""
        split = self.splitter.split(words)
        if not self.lowercase:
            return split
        tokens = split.tokens
        lower = pc.utf8_lower(tokens.dictionary).dictionary_encode()
        codes = lower.indices.take(tokens.indices)
        return Split(split.counts, pa.DictionaryArray.from_arrays(codes, lower.dictionary))

    def find_word_spans(self, word: str) -> list[tuple[int, int]]:
        """See `ByWordTokenizer.find_word_spans`."""
        return [(start, stop) for _, start, stop in self.splitter.iter_tokens(word)]

    def build_hugging_face_tokenizer(self) -> "HuggingFaceTokenizer":
        """See `Tokenizer.build_hugging_face_tokenizer`."""
        from tokenizers import Regex, normalizers

        ids = {token: n for n, token in enumerate(self.vocabulary.tokens, len(SPECIAL_TOKENS))}
        steps: list[Any] = build_lowercase_steps() if self.lowercase else []
        if self.mask:
            steps.append(normalizers.Replace(Regex(f"[{MARKS}]"), NO_MARK))
        for mark, (_, pattern, _) in zip(MARKS, self.splitter.masks, strict=False):
            steps.append(normalizers.Replace(Regex(pattern), f" {mark} "))
        first = len(SPECIAL_TOKENS) + len(ids)  # two tokens of a file cannot have one id
        ids |= {mark: first + n for n, mark in enumerate(self._map_marks())}
        splits = [build_white_space_split(), self.splitter.pre_tokenizer]
        return build_word_level_tokenizer(ids, splits, steps)

    def list_ids(self) -> list[int] | None:
        """See `Tokenizer.list_ids`."""
        if not (marks := self._map_marks()):
            return None
        return [*range(len(self.vocabulary)), *marks.values()]

    def _map_marks(self) -> dict[str, int]:
        """Return our id of each mark whose token is in the vocabulary."""
        tokens = self.vocabulary.tokens
        masks = zip(MARKS, self.splitter.masks, strict=False)
        return {m: tokens.index(t) + len(SPECIAL_TOKENS) for m, (t, _, _) in masks if t in tokens}
