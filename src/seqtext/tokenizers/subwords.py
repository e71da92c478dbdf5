"""Subword tokenizers, trained on the training texts by the `tokenizers` package."""

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from seqtext.data.corpus import TokenizedCorpus
from seqtext.errors import UserError
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.base import TruncationSide
from seqtext.tokenizers.by_word import ByWordTokenizer
from seqtext.tokenizers.hugging_face import (
    build_mark_split,
    build_word_marker,
    iter_texts,
    list_tokens,
    load_tokenizer,
    remove_special_tokens,
)
from seqtext.tokenizers.splitting import Split
from seqtext.tokenizers.unigram_training import MARKER, MAX_ALPHABET, learn_pieces
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS, Vocabulary, count_words
from seqtext.validation import PositiveInt, validate_args

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer
    from tokenizers.models import WordPiece

BLOCK_WORDS = 1 << 16  # words split together; limits the memory
MAX_WORD_LENGTH = 1000  # characters; wordpiece makes a longer word unknown


class SubwordTokenizer(ByWordTokenizer):
    """Base of tokenizers that split words into subwords learned from the training texts.

    Punctuation marks are separate from words. A subclass defines `build` and
    `train`.

    Args:
        max_length: maximum number of subwords of a text; "longest": the length of the longest
            training text; None: no limit
        truncation_side: the side of a longer text that is cut
        vocab_size: maximum number of subwords without the two special tokens
        fit_rows: learn from the first `fit_rows` training texts; None: from all
        lowercase: whether to lowercase the texts, for texts that cleaning does not lowercase
    """

    _tokenizer: "HuggingFaceTokenizer"

    @validate_args
    def __init__(
        self,
        max_length: PositiveInt | Literal["longest"] | None = 512,
        truncation_side: TruncationSide = "left",
        vocab_size: PositiveInt = 16_000,
        fit_rows: PositiveInt | None = None,
        lowercase: bool = False,
    ):
        super().__init__(max_length, truncation_side)
        self.vocab_size, self.fit_rows, self.lowercase = vocab_size, fit_rows, lowercase

    @abstractmethod
    def build(self) -> "HuggingFaceTokenizer":
        """Return a tokenizer without subwords."""

    @abstractmethod
    def train(
        self, tokenizer: "HuggingFaceTokenizer", corpus: TokenizedCorpus, rows: np.ndarray
    ) -> None:
        """Learn the subwords of the texts of `rows`, for a result of `build`."""

    def settings(self) -> dict[str, Any]:
        """See `Tokenizer.settings`."""
        return {**super().settings(), "tokenizers": version("tokenizers")}

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """See `Tokenizer.fit`."""
        tokenizer = self._build()
        self.train(tokenizer, corpus, rows[: self.fit_rows])
        self._tokenizer = remove_special_tokens(tokenizer)
        self.vocabulary = Vocabulary(list_tokens(self._tokenizer)[0])
        if self.max_length == "longest":
            self.set_longest(corpus, rows, self.split(corpus.dictionary.combine_chunks()))

    def _build(self) -> "HuggingFaceTokenizer":
        """Return a tokenizer without subwords that lowercases if it is to."""
        from tokenizers import normalizers

        tokenizer = self.build()
        if self.lowercase:
            tokenizer.normalizer = normalizers.Lowercase()
        return tokenizer

    def split(self, words: pa.Array) -> Split:
        """See `ByWordTokenizer.split`."""
        counts = np.zeros(len(words), np.int64)
        ids = [np.zeros(0, np.int32)]
        for start in range(0, len(words), BLOCK_WORDS):
            block = words[start : start + BLOCK_WORDS].to_pylist()
            encodings = self._tokenizer.encode_batch_fast(block, add_special_tokens=False)
            encoded = [encoding.ids for encoding in encodings]
            counts[start : start + len(block)] = [len(each) for each in encoded]
            ids.append(np.fromiter(chain.from_iterable(encoded), np.int32))
        codes = pa.array(np.concatenate(ids))
        tokens = pa.array([*SPECIAL_TOKENS, *self.vocabulary.tokens], pa.string())
        return Split(counts, pa.DictionaryArray.from_arrays(codes, tokens))

    def find_word_spans(self, word: str) -> list[tuple[int, int]]:
        """See `ByWordTokenizer.find_word_spans`."""
        return self._tokenizer.encode(word, add_special_tokens=False).offsets

    def build_hugging_face_tokenizer(self) -> "HuggingFaceTokenizer":
        """See `Tokenizer.build_hugging_face_tokenizer`."""
        return self._tokenizer

    def state_dict(self) -> dict[str, Any]:
        """See `Tokenizer.state_dict`."""
        return super().state_dict() | {"tokenizer": self._tokenizer.to_str()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Tokenizer.load_state_dict`."""
        super().load_state_dict(state)
        self._tokenizer, ids = load_tokenizer(state)
        if ids.tolist() != list(range(len(ids))):
            raise UserError("tokenizer.tokens differ from those of its tokenizer.tokenizer.")
        if _describe(self._tokenizer) != _describe(self._build()):
            raise UserError(
                f"tokenizer.tokenizer does not split texts as {type(self).__name__} does."
            )


class BPETokenizer(SubwordTokenizer):
    """Merges the most frequent pairs of characters and subwords: byte-pair encoding.

    Sennrich et al., 2016, "Neural Machine Translation of Rare Words with Subword Units". The first
    subword of a word or mark begins with "▁". Options: see `SubwordTokenizer`.
    """

    def build(self) -> "HuggingFaceTokenizer":
        """See `SubwordTokenizer.build`."""
        from tokenizers import Tokenizer, models

        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN]))
        tokenizer.pre_tokenizer = build_word_marker()
        return tokenizer

    def train(
        self, tokenizer: "HuggingFaceTokenizer", corpus: TokenizedCorpus, rows: np.ndarray
    ) -> None:
        """See `SubwordTokenizer.train`."""
        alphabet = min(MAX_ALPHABET, self.vocab_size)
        _learn_merges(tokenizer, iter_texts(corpus, rows), self.vocab_size, alphabet)


class UnigramTokenizer(SubwordTokenizer):
    """Chooses the most probable subwords of a unigram language model.

    Kudo, 2018, "Subword Regularization: Improving Neural Network Translation Models with Multiple
    Subword Candidates". The first subword of a word or mark begins with "▁". Options: see
    `SubwordTokenizer`.

    The subwords are learned by the `sentencepiece` package: the trainer of `tokenizers` learns
    others each time.
    """

    def settings(self) -> dict[str, Any]:
        """See `Tokenizer.settings`."""
        return {**super().settings(), "sentencepiece": version("sentencepiece")}

    def build(self) -> "HuggingFaceTokenizer":
        """See `SubwordTokenizer.build`."""
        from tokenizers import Tokenizer, models

        special = [(token, 0.0) for token in SPECIAL_TOKENS]
        tokenizer = Tokenizer(models.Unigram(special, UNKNOWN))
        tokenizer.pre_tokenizer = build_word_marker()
        return tokenizer

    def train(
        self, tokenizer: "HuggingFaceTokenizer", corpus: TokenizedCorpus, rows: np.ndarray
    ) -> None:
        """See `SubwordTokenizer.train`."""
        from tokenizers import models

        of_words = count_words(corpus, rows)
        used = np.flatnonzero(of_words)
        words = corpus.dictionary.take(pa.array(used)).to_pylist()
        counts: Counter[str] = Counter()
        for word, count in zip(words, of_words[used].tolist(), strict=True):
            if tokenizer.normalizer is not None:
                word = tokenizer.normalizer.normalize_str(word)  # noqa: PLW2901
            for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(word):
                counts[part] += count
        tokenizer.model = models.Unigram(learn_pieces(counts, self.vocab_size), UNKNOWN)


class WordPieceTokenizer(SubwordTokenizer):
    """Takes the longest known subword, from the left of a word on: WordPiece.

    Schuster and Nakajima, 2012, "Japanese and Korean Voice Search". The first subword of a word is
    as written, the others begin with "##". Options: see `SubwordTokenizer`.

    The subwords are those of byte-pair encoding: the package's own trainer of this model learns
    others each time.
    """

    def build(self) -> "HuggingFaceTokenizer":
        """See `SubwordTokenizer.build`."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer(_build_word_piece([]))
        tokenizer.pre_tokenizer = build_mark_split()
        return tokenizer

    def train(
        self, tokenizer: "HuggingFaceTokenizer", corpus: TokenizedCorpus, rows: np.ndarray
    ) -> None:
        """See `SubwordTokenizer.train`; each character is a first and a later subword."""
        from tokenizers import Tokenizer, models, pre_tokenizers

        merging = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN]))
        if tokenizer.normalizer is not None:
            merging.normalizer = tokenizer.normalizer
        marker = pre_tokenizers.Metaspace()
        merging.pre_tokenizer = pre_tokenizers.Sequence([tokenizer.pre_tokenizer, marker])
        alphabet = min(MAX_ALPHABET, max(self.vocab_size // 2, 1))
        _learn_merges(merging, iter_texts(corpus, rows), self.vocab_size, alphabet)
        learned = list_tokens(merging)[0]
        characters = [token for token in learned if len(token) == 1 and token != MARKER]
        subwords = [*characters, *(f"##{character}" for character in characters)]
        subwords += [
            token[1:] if token[0] == MARKER else f"##{token}" for token in learned if len(token) > 1
        ]
        tokens = list(dict.fromkeys([*SPECIAL_TOKENS, *subwords]))
        size = max(len(SPECIAL_TOKENS) + self.vocab_size, 2 * len(characters))
        tokenizer.model = _build_word_piece(tokens[:size])


def _build_word_piece(tokens: list[str]) -> "WordPiece":
    """Return a model with these tokens."""
    from tokenizers.models import WordPiece

    return WordPiece(
        {token: number for number, token in enumerate(tokens)},
        unk_token=SPECIAL_TOKENS[UNKNOWN],
        max_input_chars_per_word=MAX_WORD_LENGTH,
    )


def _learn_merges(
    tokenizer: "HuggingFaceTokenizer", texts: Iterator[list[str]], vocab_size: int, alphabet: int
) -> None:
    """Learn byte-pair encoding with `vocab_size` subwords, `alphabet` characters among them."""
    from tokenizers import trainers

    trainer = trainers.BpeTrainer(
        vocab_size=len(SPECIAL_TOKENS) + vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        limit_alphabet=alphabet,
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)


def _describe(tokenizer: "HuggingFaceTokenizer") -> dict[str, Any]:
    """Return all that a tokenizer.json says but the subwords."""
    description = json.loads(tokenizer.to_str())
    learned = {"vocab": None, "merges": None}
    return description | {"model": description["model"] | learned}
