"""Subword tokenizers, trained on the training texts by the `tokenizers` package."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from seqtext.data.cleaning import UNSPACED, expand_code_points
from seqtext.data.corpus import TokenizedCorpus
from seqtext.errors import UserError, format_reason
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.base import TruncationSide
from seqtext.tokenizers.by_word import ByWordTokenizer
from seqtext.tokenizers.hugging_face import (
    build_white_space_split,
    iter_texts,
    list_tokens,
    load_tokenizer,
    parse_tokenizer,
)
from seqtext.tokenizers.splitting import Split
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS, Vocabulary
from seqtext.validation import PositiveInt, validate_args

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer
    from tokenizers.pre_tokenizers import PreTokenizer

MAX_ALPHABET = 1000  # most frequent characters that are tokens; others are unknown
BLOCK_WORDS = 1 << 16  # words split together; limits the memory
MARKER = "▁"  # before the first subword of a word
MAX_WORD_LENGTH = 1000  # characters; wordpiece makes a longer word unknown


class SubwordTokenizer(ByWordTokenizer):
    """Base of tokenizers that split words into subwords learned from the training texts.

    Punctuation marks are separate from words. A subclass defines `build`.

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
    def build(self, **options: Any) -> tuple["HuggingFaceTokenizer", Any]:
        """Return an empty tokenizer and its trainer, which takes `options`."""

    def settings(self) -> dict[str, Any]:
        """See `Tokenizer.settings`."""
        return {**super().settings(), "tokenizers": version("tokenizers")}

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """See `Tokenizer.fit`."""
        self._tokenizer = self._train(corpus, rows[: self.fit_rows])
        self.vocabulary = Vocabulary(list_tokens(self._tokenizer)[0])
        if self.max_length == "longest":
            self.set_longest(corpus, rows, self.split(corpus.dictionary.combine_chunks()))

    def _train(self, corpus: TokenizedCorpus, rows: np.ndarray) -> "HuggingFaceTokenizer":
        """Learn the subwords of the texts of `rows`."""
        from tokenizers import normalizers

        special = list(SPECIAL_TOKENS)
        size = len(special) + self.vocab_size
        tokenizer, trainer = self.build(
            vocab_size=size, special_tokens=special, show_progress=False
        )
        if self.lowercase:
            tokenizer.normalizer = normalizers.Lowercase()
        try:
            tokenizer.train_from_iterator(iter_texts(corpus, rows), trainer)
        except Exception as error:  # the package has no types of its own
            raise UserError(
                f"tokenizer.vocab_size={self.vocab_size} is not possible: {format_reason(error)}. "
                f"Raise it."
            ) from error
        tokenizer = self.convert_trained(tokenizer)
        # A text that has "<pad>" has these characters, not the token.
        tokenizer.encode_special_tokens = True
        return tokenizer

    def convert_trained(self, tokenizer: "HuggingFaceTokenizer") -> "HuggingFaceTokenizer":
        """Return the tokenizer to use, from the trained one."""
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
        """See `Tokenizer.build_hugging_face_tokenizer`.

        Without special tokens in it: "<pad>" in a text has these characters.
        """
        description = json.loads(self._tokenizer.to_str())
        text = json.dumps(description | {"added_tokens": []})
        return parse_tokenizer(text, "tokenizer.tokenizer")

    def state_dict(self) -> dict[str, Any]:
        """See `Tokenizer.state_dict`."""
        return super().state_dict() | {"tokenizer": self._tokenizer.to_str()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Tokenizer.load_state_dict`."""
        super().load_state_dict(state)
        self._tokenizer, ids = load_tokenizer(state)
        if ids.tolist() != list(range(len(ids))):
            raise UserError("tokenizer.tokens differ from those of its tokenizer.tokenizer.")


class BPETokenizer(SubwordTokenizer):
    """Merges the most frequent pairs of characters and subwords: byte-pair encoding.

    Sennrich et al., 2016, "Neural Machine Translation of Rare Words with Subword Units". The first
    subword of a word or mark begins with "▁". Options: see `SubwordTokenizer`.
    """

    def build(self, **options: Any) -> tuple["HuggingFaceTokenizer", Any]:
        """See `SubwordTokenizer.build`."""
        from tokenizers import Tokenizer, models, trainers

        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN]))
        tokenizer.pre_tokenizer = _mark_words()
        alphabet = min(MAX_ALPHABET, self.vocab_size)
        return tokenizer, trainers.BpeTrainer(**options, limit_alphabet=alphabet, min_frequency=2)


class UnigramTokenizer(SubwordTokenizer):
    """Chooses the most probable subwords of a unigram language model.

    Kudo, 2018, "Subword Regularization: Improving Neural Network Translation Models with Multiple
    Subword Candidates". The first subword of a word or mark begins with "▁". Options: see
    `SubwordTokenizer`.
    """

    def build(self, **options: Any) -> tuple["HuggingFaceTokenizer", Any]:
        """See `SubwordTokenizer.build`."""
        from tokenizers import Tokenizer, models, trainers

        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = _mark_words()
        return tokenizer, trainers.UnigramTrainer(**options, unk_token=SPECIAL_TOKENS[UNKNOWN])


class WordPieceTokenizer(SubwordTokenizer):
    """Takes the longest known subword, from the left of a word on: WordPiece.

    Schuster and Nakajima, 2012, "Japanese and Korean Voice Search". The first subword of a word is
    as written, the others begin with "##". Options: see `SubwordTokenizer`.

    The subwords are those of byte-pair encoding: the package's own trainer of this model learns
    others each time.
    """

    def build(self, **options: Any) -> tuple["HuggingFaceTokenizer", Any]:
        """See `SubwordTokenizer.build`."""
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN]))
        marker = pre_tokenizers.Metaspace()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([_split_marks(), marker])
        alphabet = min(MAX_ALPHABET, max(self.vocab_size // 2, 1))
        return tokenizer, trainers.BpeTrainer(**options, limit_alphabet=alphabet, min_frequency=2)

    def convert_trained(self, tokenizer: "HuggingFaceTokenizer") -> "HuggingFaceTokenizer":
        """See `SubwordTokenizer.convert_trained`; each character is a first and a later subword."""
        from tokenizers import Tokenizer, models

        learned = list_tokens(tokenizer)[0]
        characters = [token for token in learned if len(token) == 1 and token != MARKER]
        subwords = [*characters, *(f"##{character}" for character in characters)]
        subwords += [
            token[1:] if token[0] == MARKER else f"##{token}" for token in learned if len(token) > 1
        ]
        tokens = list(dict.fromkeys([*SPECIAL_TOKENS, *subwords]))
        tokens = tokens[: max(len(SPECIAL_TOKENS) + self.vocab_size, 2 * len(characters))]
        model = models.WordPiece(
            {token: number for number, token in enumerate(tokens)},
            unk_token=SPECIAL_TOKENS[UNKNOWN],
            max_input_chars_per_word=MAX_WORD_LENGTH,
        )
        finished = Tokenizer(model)
        finished.pre_tokenizer = _split_marks()
        if tokenizer.normalizer is not None:
            finished.normalizer = tokenizer.normalizer
        finished.add_special_tokens(list(SPECIAL_TOKENS))
        return finished


def _split_marks() -> "PreTokenizer":
    """Return a pre-tokenizer as BERT's, which also splits scripts without spaces."""
    from tokenizers import Regex, pre_tokenizers

    unspaced = pre_tokenizers.Split(Regex(expand_code_points(UNSPACED)), "isolated")
    bert = pre_tokenizers.BertPreTokenizer()
    return pre_tokenizers.Sequence([build_white_space_split(), unspaced, bert])


def _mark_words() -> "PreTokenizer":
    """Return a pre-tokenizer that separates punctuation and puts "▁" before each part."""
    from tokenizers import pre_tokenizers

    punctuation, marker = pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Metaspace()
    return pre_tokenizers.Sequence([build_white_space_split(), punctuation, marker])
