"""Split white-space words at characters of scripts without spaces, punctuation, URLs, numbers."""

import re
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.cleaning import UNSPACED, expand_code_points

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer

BLOCK_WORDS = 1 << 16  # words split together; limits the memory
Punctuation = Literal["keep", "split"]
Mask = Literal["numbers", "urls", "users"]

# Token, pattern, and a faster pattern of the words that may match, in RE2's syntax.
MASKS: dict[str, tuple[str, str, str]] = {
    "urls": ("<url>", r"(?:https?://|www\.)\S*[^\s.,;:!?'\")\]}]", r"://|www\."),
    "users": ("<user>", r"(?<!\w)@\w+", "@"),
    "numbers": ("<number>", r"(?<!\w)\d+(?:[.,:/]\d+)*(?!\w)", r"[^\pL\pM\pP\pS]"),
}
MODIFIERS = "[\U0001f3fb-\U0001f3ff\ufe0e\ufe0f\u20e3]"
PICTURES = "[\U0001f000-\U0001f1e5\U0001f200-\U0001faff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff]"
# An emoji is one token: a flag, or pictures joined by U+200D, with their modifiers.
EMOJI = f"[\U0001f1e6-\U0001f1ff]{{2}}|{PICTURES}{MODIFIERS}*(?:\u200d{PICTURES}{MODIFIERS}*)*"
# An apostrophe between letters belongs to the word, as in don't; so does _.
PUNCTUATION = r"(?!(?<=\p{L})['’](?=\p{L}))(?!_)[\p{P}\p{S}]"


class Split(NamedTuple):
    """Hold the tokens of n words.

    counts: [n] int64 number of tokens of each word
    tokens: [sum of counts] dictionary-encoded tokens
    """

    counts: np.ndarray
    tokens: pa.DictionaryArray


@cache
def build_splitter(
    split_unspaced: bool, punctuation: Punctuation, mask: tuple[Mask, ...]
) -> "WordSplitter":
    """Return the splitter with these options."""
    return WordSplitter(split_unspaced, punctuation, mask)


class WordSplitter:
    """Splits white-space words into tokens.

    Args:
        split_unspaced: whether each character of a script without spaces between words (Chinese
            characters, kana, Thai, Lao, Burmese, Khmer) is a token
        punctuation: "keep": it is part of its word; "split": each mark or emoji is a token
        mask: what one token replaces: "numbers", "urls" or "users" (a name after @)
    """

    def __init__(self, split_unspaced: bool, punctuation: Punctuation, mask: Sequence[Mask]):
        self.masks = [MASKS[name] for name in MASKS if name in mask]
        self.patterns = []  # in the syntax of the `tokenizers` package
        filters = [found for _, _, found in self.masks]
        if split_unspaced:
            self.patterns.append(expand_code_points(UNSPACED))
            filters.append(UNSPACED)
        if punctuation == "split":
            self.patterns += [f"{EMOJI}|{PUNCTUATION}"]
            # Also what RE2 does not know yet, and digits that are pictures.
            filters.append(rf"[^\pL\pM\pN_]|{PICTURES}")
        self._filter = "|".join(filters)
        self._mask_patterns = [(token, re.compile(pattern)) for token, pattern, _ in self.masks]

    def split(self, words: pa.Array) -> Split:
        """Split words; only those that may have several tokens are read one by one."""
        counts = np.ones(len(words), np.int64)
        is_read = np.zeros(len(words), bool)
        if self._filter:
            is_read = pc.match_substring_regex(words, self._filter).to_numpy(zero_copy_only=False)
        if not is_read.any():
            codes = pa.array(np.arange(len(words), dtype=np.int32))
            return Split(counts, pa.DictionaryArray.from_arrays(codes, words))
        numbers, pieces = np.flatnonzero(is_read), []
        for start in range(0, len(numbers), BLOCK_WORDS):
            block = numbers[start : start + BLOCK_WORDS]
            tokens = [
                [token for token, _, _ in self.iter_tokens(word)]
                for word in words.take(pa.array(block)).to_pylist()
            ]
            counts[block] = [len(of_word) for of_word in tokens]
            pieces.append(pa.array(chain.from_iterable(tokens), words.type))
        is_piece = np.repeat(is_read, counts)
        order = np.empty(len(is_piece), np.int64)  # positions in `words`, then in `pieces`
        order[~is_piece] = np.flatnonzero(~is_read)
        order[is_piece] = len(words) + np.arange(is_piece.sum())
        every = pa.concat_arrays([words, *pieces])
        return Split(counts, every.take(pa.array(order)).dictionary_encode())

    def iter_tokens(self, word: str) -> Iterator[tuple[str, int, int]]:
        """Yield (token, start, stop) of a word's tokens; the positions are characters."""
        yield from self._iter_masked(word, 0, 0)

    def _iter_masked(self, word: str, start: int, number: int) -> Iterator[tuple[str, int, int]]:
        """Yield the tokens of a part of a word that begins at `start`, from a mask on."""
        if number == len(self._mask_patterns):
            yield from self._iter_parts(word, start)
            return
        token, pattern = self._mask_patterns[number]
        position = 0
        for match in pattern.finditer(word):
            yield from self._iter_masked(
                word[position : match.start()], start + position, number + 1
            )
            position = match.end()
            yield token, start + match.start(), start + position
        yield from self._iter_masked(word[position:], start + position, number + 1)

    def _iter_parts(self, word: str, start: int) -> Iterator[tuple[str, int, int]]:
        if not word:
            return
        if not self.patterns:
            yield word, start, start + len(word)
            return
        for part, (first, last) in self.pre_tokenizer.pre_tokenize_str(word):
            yield part, start + first, start + last

    @cached_property
    def pre_tokenizer(self) -> "PreTokenizer":
        """Return the pre-tokenizer that splits at `patterns`."""
        from tokenizers import Regex, pre_tokenizers

        splits = [pre_tokenizers.Split(Regex(each), "isolated") for each in self.patterns]
        return pre_tokenizers.Sequence(splits)
