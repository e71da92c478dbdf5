"""Functions on tokenizers of the `tokenizers` package, which may come from a checkpoint."""

import json
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from seqtext.data.cleaning import UNSPACED, expand_code_points
from seqtext.data.corpus import BLOCK_ROWS, TokenizedCorpus, join_words
from seqtext.errors import UserError
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer
    from tokenizers.normalizers import Normalizer
    from tokenizers.pre_tokenizers import PreTokenizer

WHITE_SPACE = r"[\s\x1c-\x1f\x85]+"  # also the separators that Python's str.split knows
MAX_UNUSED_IDS = 1 << 16  # of a vocabulary that may come from others
PAD_NAMES = ("<pad>", "[PAD]", "<|pad|>")


def parse_tokenizer(text: str, name: str) -> "HuggingFaceTokenizer":
    """Build a tokenizer from the content of a tokenizer.json.

    Truncation, padding and special tokens are removed from it: "<pad>" in a text has these
    characters. Special tokens that its model knows keep their ids.

    Args:
        name: of the file or option, for messages

    Raises:
        UserError: if it is not valid.
    """
    from tokenizers import Tokenizer as HuggingFaceTokenizer

    try:
        tokenizer = remove_special_tokens(HuggingFaceTokenizer.from_str(text))
    except BaseException as error:  # also a panic, which is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"{name} is not a valid tokenizer.json: {reason}.") from None
    numbers = tokenizer.get_vocab(with_added_tokens=True).values()
    if max(numbers, default=0) > len(numbers) + MAX_UNUSED_IDS:
        raise UserError(f"{name} is not a valid tokenizer.json: it has an id of {max(numbers)}.")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def remove_special_tokens(tokenizer: "HuggingFaceTokenizer") -> "HuggingFaceTokenizer":
    """Return a tokenizer that does not look for special tokens in texts.

    Other added tokens stay, but their ids may change.
    """
    added = tokenizer.get_added_tokens_decoder().values()
    if not any(token.special for token in added):
        return tokenizer
    description = json.loads(tokenizer.to_str())
    others = [token for token in description["added_tokens"] if not token["special"]]
    return tokenizer.from_str(json.dumps(description | {"added_tokens": others}))


def load_tokenizer(state: Mapping[str, Any]) -> tuple["HuggingFaceTokenizer", np.ndarray]:
    """Build the tokenizer of a `state_dict`, which may come from an untrusted checkpoint.

    Returns:
        The tokenizer, and our id of each of its ids.

    Raises:
        UserError: if it is not valid, or its tokens are not those of the state.
    """
    text = state.get("tokenizer")
    if not isinstance(text, str):
        raise UserError("tokenizer.tokenizer must be a string.")
    tokenizer = parse_tokenizer(text, "tokenizer.tokenizer")
    tokens, ids = list_tokens(tokenizer)
    if tokens != state.get("tokens"):
        raise UserError("tokenizer.tokens differ from those of its tokenizer.tokenizer.")
    return tokenizer, ids


def build_white_space_split() -> "PreTokenizer":
    """Return a pre-tokenizer that splits texts where `split_words` does."""
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Split(Regex(WHITE_SPACE), "removed")


def build_space_steps() -> list["Normalizer"]:
    """Return normalizers that make white space of any kind and length one space, as in training."""
    from tokenizers import Regex, normalizers

    return [normalizers.Replace(Regex(WHITE_SPACE), " "), normalizers.Strip()]


def add_space_steps(tokenizer: "HuggingFaceTokenizer") -> None:
    """Add `build_space_steps` before the normalizers of a tokenizer, unless it has them."""
    from tokenizers import normalizers

    steps = (json.loads(tokenizer.to_str())["normalizer"] or {}).get("normalizers") or [{}]
    if steps[0].get("pattern") != {"Regex": WHITE_SPACE}:
        own = [tokenizer.normalizer] if tokenizer.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([*build_space_steps(), *own])


def build_mark_split() -> "PreTokenizer":
    """Return a pre-tokenizer as BERT's, which also splits scripts without spaces."""
    from tokenizers import Regex, pre_tokenizers

    unspaced = pre_tokenizers.Split(Regex(expand_code_points(UNSPACED)), "isolated")
    bert = pre_tokenizers.BertPreTokenizer()
    return pre_tokenizers.Sequence([build_white_space_split(), unspaced, bert])


def build_word_marker() -> "PreTokenizer":
    """Return a pre-tokenizer that separates punctuation and puts "▁" before each part."""
    from tokenizers import pre_tokenizers

    punctuation, marker = pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Metaspace()
    return pre_tokenizers.Sequence([build_white_space_split(), punctuation, marker])


def build_lowercase_steps() -> list["Normalizer"]:
    """Return normalizers that lowercase each character to one character, as Arrow does."""
    from tokenizers import normalizers

    return [normalizers.Replace("\u0130", "i"), normalizers.Lowercase()]


def build_word_level_tokenizer(
    ids: dict[str, int], pre_tokenizers: list["PreTokenizer"], normalizers: list["Normalizer"]
) -> "HuggingFaceTokenizer":
    """Build a tokenizer whose tokens are what the pre-tokenizers leave whole.

    Args:
        ids: id of each token
    """
    from tokenizers import Tokenizer as HuggingFaceTokenizer
    from tokenizers import models
    from tokenizers import normalizers as all_normalizers
    from tokenizers import pre_tokenizers as all_pre_tokenizers

    unknown = SPECIAL_TOKENS[UNKNOWN]
    tokenizer = HuggingFaceTokenizer(models.WordLevel({unknown: UNKNOWN} | ids, unk_token=unknown))
    tokenizer.pre_tokenizer = all_pre_tokenizers.Sequence(pre_tokenizers)
    if normalizers:
        tokenizer.normalizer = all_normalizers.Sequence(normalizers)
    return tokenizer


def list_tokens(tokenizer: "HuggingFaceTokenizer") -> tuple[list[str], np.ndarray]:
    """Return the tokens of a vocabulary, and our id of each of the tokenizer's ids.

    Our ids 0 and 1 are padding and the unknown token; other tokens follow in the order of the
    tokenizer's ids.
    """
    number_of = tokenizer.get_vocab(with_added_tokens=True)
    vocabulary = sorted(number_of.items(), key=itemgetter(1))
    unknown = find_unknown_token(tokenizer)
    padding = next((n for n in PAD_NAMES if tokenizer.token_to_id(n) is not None), None)
    ids = np.full(max(number_of.values(), default=0) + 1, UNKNOWN, np.int32)
    tokens: list[str] = []
    for token, number in vocabulary:
        if token == padding:
            ids[number] = PAD
        elif token != unknown and token not in SPECIAL_TOKENS:
            ids[number] = len(SPECIAL_TOKENS) + len(tokens)
            tokens.append(token)
    return tokens, ids


def find_unknown_token(tokenizer: "HuggingFaceTokenizer") -> str | None:
    """Return the token of what the vocabulary lacks; None if it covers all bytes."""
    model = json.loads(tokenizer.to_str())["model"]
    if model["type"] == "Unigram":
        number = model.get("unk_id")
        return None if number is None else model["vocab"][number][0]
    return model.get("unk_token")


def iter_texts(corpus: TokenizedCorpus, rows: np.ndarray) -> Iterator[list[str]]:
    """Yield the texts of `rows` in lists, their words separated by single spaces."""
    for lengths, codes in corpus.iter_rows(rows):
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        for start in range(0, len(lengths), BLOCK_ROWS):
            cut = offsets[start : start + BLOCK_ROWS + 1]
            words = corpus.dictionary.take(pa.array(codes[cut[0] : cut[-1]]))
            yield join_words(words, cut - cut[0]).to_pylist()
