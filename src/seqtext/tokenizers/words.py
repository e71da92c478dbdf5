"""Tokenizer of words separated by white space."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from seqtext.data.corpus import TokenizedCorpus, split_words
from seqtext.tokenizers.base import Tokenizer, TruncationSide, truncate
from seqtext.tokenizers.vocabulary import Vocabulary
from seqtext.validation import PositiveInt, validate_args

AUTO: Final = "auto"
DEFAULTS = MappingProxyType({"max_length": 400, "vocab_size": 20_000, "fit_rows": None})


class WordTokenizer(Tokenizer):
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
    """

    @validate_args
    def __init__(
        self,
        max_length: PositiveInt | Literal["auto", "longest"] | None = AUTO,
        truncation_side: TruncationSide = "left",
        vocab_size: PositiveInt | Literal["auto"] | None = AUTO,
        fit_rows: PositiveInt | Literal["auto"] | None = AUTO,
    ):
        super().__init__(max_length, truncation_side)
        self.vocab_size, self.fit_rows = vocab_size, fit_rows

    def set_defaults(self, defaults: Mapping[str, Any]) -> None:
        """See `Tokenizer.set_defaults`."""
        for name, value in {**DEFAULTS, **defaults}.items():
            if getattr(self, name) == AUTO:
                setattr(self, name, value)

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """See `Tokenizer.fit`."""
        self.set_defaults({})
        if self.max_length == "longest":
            self.max_length = max(1, int(np.diff(corpus.offsets)[rows].max()))
        assert self.fit_rows != AUTO
        assert self.vocab_size != AUTO
        self.vocabulary = Vocabulary.from_corpus(corpus, rows[: self.fit_rows], self.vocab_size)

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """See `Tokenizer.encode`."""
        lengths, words = split_words(texts)
        ids = self.vocabulary.encode(words.dictionary)[words.indices.to_numpy()]
        return truncate(ids, lengths, self.max_length, self.truncation_side)

    def encode_corpus(self, corpus: TokenizedCorpus) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Tokenizer.encode_corpus`; each distinct word is looked up once."""
        if type(self).encode is not WordTokenizer.encode:  # of a subclass
            yield from super().encode_corpus(corpus)
            return
        ids = self.vocabulary.encode(corpus.dictionary)  # of each distinct word
        id_of_code: np.ndarray = ids.astype(self.vocabulary.dtype)
        for start, stop, codes in corpus.blocks():
            lengths = np.diff(corpus.offsets[start : stop + 1])
            yield truncate(id_of_code[codes], lengths, self.max_length, self.truncation_side)
