"""The base class of tokenizers that split each white-space word on its own."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from seqtext.data.corpus import TokenizedCorpus, split_words
from seqtext.tokenizers.base import Tokenizer, concatenate_ranges, iter_groups, truncate
from seqtext.tokenizers.splitting import Split
from seqtext.tokenizers.vocabulary import Vocabulary, count_words

BLOCK_TOKENS = 1 << 22  # encoded together; limits the memory


class ByWordTokenizer(Tokenizer):
    """Base of tokenizers that split each white-space word on its own.

    Each distinct word is split only once. A subclass defines `split` and `find_word_spans`.

    Attributes:
        separator: token between the words of a text; None: there is none
        fit_rows: number of training texts that `fit` reads, the first ones; None: all
        vocab_size: maximum size of the vocabulary without the special tokens; None: no limit
    """

    separator: str | None = None
    fit_rows: Any = None
    vocab_size: Any = None

    @abstractmethod
    def split(self, words: pa.Array) -> Split:
        """Split distinct words [n] into tokens."""

    @abstractmethod
    def find_word_spans(self, word: str) -> list[tuple[int, int]]:
        """Return the first and last character + 1 of each token of a word."""

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """Build a vocabulary of the most frequent tokens, see `Tokenizer.fit`."""
        split = self.split(corpus.dictionary.combine_chunks())
        self.set_longest(corpus, rows, split)
        counts = count_words(corpus, rows[: self.fit_rows])
        codes = split.tokens.indices.to_numpy()
        size = len(split.tokens.dictionary)
        of_tokens = np.bincount(codes, np.repeat(counts, split.counts), size).astype(np.int64)
        tokens = split.tokens.dictionary
        if self.separator is not None:
            tokens = pa.concat_arrays([tokens, pa.array([self.separator], tokens.type)])
            filled = np.diff(corpus.offsets)[rows[: self.fit_rows]]
            of_tokens = np.append(of_tokens, np.maximum(filled - 1, 0).sum())
        self.vocabulary = Vocabulary.from_counts(tokens, of_tokens, self.vocab_size)

    def set_longest(self, corpus: TokenizedCorpus, rows: np.ndarray, split: Split) -> None:
        """Set `max_length` if it is "longest" to the number of tokens of the longest text."""
        if self.max_length != "longest":
            return
        counts = split.counts + (self.separator is not None)
        longest = 1
        for lengths, codes in corpus.iter_rows(rows):
            sums = np.concatenate([[0], np.cumsum(counts[codes])])
            of_texts = np.diff(sums[np.concatenate([[0], np.cumsum(lengths)])])
            longest = max(longest, int(of_texts.max(initial=1)) - (self.separator is not None))
        self.max_length = longest

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """See `Tokenizer.encode`."""
        lengths, words = split_words(texts)
        return self._join(lengths, words.indices.to_numpy(), *self._encode_words(words.dictionary))

    def encode_corpus(self, corpus: TokenizedCorpus) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Tokenizer.encode_corpus`; each distinct word is encoded once."""
        if type(self).encode is not ByWordTokenizer.encode:  # of a subclass
            yield from super().encode_corpus(corpus)
            return
        counts, ids = self._encode_words(corpus.dictionary.combine_chunks())
        ids = ids.astype(self.vocabulary.dtype)
        for start, stop, codes in corpus.blocks():
            offsets = corpus.offsets[start : stop + 1] - corpus.offsets[start]
            sums = np.concatenate([[0], np.cumsum(counts[codes])])
            for first, last in iter_groups(np.diff(sums[offsets]), BLOCK_TOKENS):
                words = codes[offsets[first] : offsets[last]]
                yield self._join(np.diff(offsets[first : last + 1]), words, counts, ids)

    def find_spans(self, text: str) -> np.ndarray:
        """See `Tokenizer.find_spans`."""
        spans: list[tuple[int, int]] = []
        for word in re.finditer(r"\S+", text):
            if spans and self.separator is not None:
                spans.append((spans[-1][1], word.start()))
            start = word.start()
            spans += [(start + a, start + b) for a, b in self.find_word_spans(word[0])]
        return self.truncate_spans(spans)

    def _encode_words(self, words: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of tokens of each word, and the ids of all tokens."""
        split = self.split(words)
        ids = self.vocabulary.encode(split.tokens.dictionary)
        return split.counts, ids[split.tokens.indices.to_numpy()]

    def _join(
        self, lengths: np.ndarray, words: np.ndarray, counts: np.ndarray, ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the truncated ids and lengths of texts.

        Args:
            lengths: [texts] number of words of each text
            words: [sum of lengths] numbers of distinct words
            counts: [distinct words] number of tokens of each
            ids: [sum of counts] ids of these tokens
        """
        if self.separator is None and len(ids) == len(counts) and (counts == 1).all():
            return truncate(ids[words], lengths, self.max_length, self.truncation_side)
        starts, of_words = (np.cumsum(counts) - counts)[words], counts[words]
        tokens = ids[concatenate_ranges(starts, of_words)]
        if self.separator is not None:
            is_followed = np.ones(len(words), np.int64)
            is_followed[(np.cumsum(lengths) - 1)[lengths > 0]] = 0
            separator = self.vocabulary.encode(pa.array([self.separator]))
            ends = np.cumsum(of_words)[is_followed > 0]
            tokens = np.insert(tokens, ends, separator.astype(tokens.dtype)[0])
            of_words = of_words + is_followed
        sums = np.concatenate([[0], np.cumsum(of_words)])
        lengths = np.diff(sums[np.concatenate([[0], np.cumsum(lengths)])])
        return truncate(tokens, lengths, self.max_length, self.truncation_side)
