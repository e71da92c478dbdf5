"""Learning of a unigram language model of subwords, by the `sentencepiece` package."""

import io
import math
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from seqtext.token_ids import PAD, UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS

MARKER = "▁"  # before the first subword of a word
MAX_ALPHABET = 1000  # most frequent characters that are tokens; others are unknown
MAX_PIECE = 16  # characters of a subword
MAX_WORD_LENGTH = 1000  # characters of a word that are used
MAX_CHARACTERS = 2_000_000  # of all distinct words that are used; limits the memory and the time
MAX_SEEDS = 300_000  # substrings that learning begins with
RESERVED = "\0▅"  # characters that sentencepiece cannot learn
DIGITS = 4  # of scores; processors differ in later ones


def learn_pieces(counts: Mapping[str, int], vocab_size: int) -> list[tuple[str, float]]:
    """Learn subwords by expectation maximization and pruning (Kudo, 2018).

    The result depends on the counts only.

    Args:
        counts: number of occurrences of each word, which begins with "▁"
        vocab_size: maximum number of subwords

    Returns:
        The special tokens, then subwords and their log probabilities, the most probable first.
    """
    words = _select_words(_limit_alphabet(counts, min(MAX_ALPHABET, vocab_size)))
    special = [(token, 0.0) for token in SPECIAL_TOKENS]
    if not words:
        return special
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    result = io.BytesIO()
    with TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds.tsv"
        lines = [f"{piece}\t{score}\n" for piece, score in list_seeds(words)]
        seeds.write_text("".join(lines), encoding="utf-8", newline="\n")
        SentencePieceTrainer.Train(
            sentence_iterator=iter(f"{word}\t{count}" for word, count in words.items()),
            input_format="tsv",
            seed_sentencepieces_file=str(seeds),
            model_writer=result,
            model_type="unigram",
            vocab_size=len(SPECIAL_TOKENS) + vocab_size,
            hard_vocab_limit=False,
            max_sentencepiece_length=MAX_PIECE,
            max_sentence_length=8 * MAX_WORD_LENGTH,  # bytes
            character_coverage=1.0,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            pad_id=PAD,
            unk_id=UNKNOWN,
            bos_id=-1,
            eos_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    model = SentencePieceProcessor(model_proto=result.getvalue())
    pieces = [
        (model.id_to_piece(number), round(model.get_score(number), DIGITS))
        for number in range(len(SPECIAL_TOKENS), model.get_piece_size())
    ]
    return special + sorted(pieces, key=lambda piece: (-piece[1], piece[0]))


def list_seeds(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the characters and the repeated substrings of words, which learning begins with.

    A substring that is always part of the same longer one is left out.

    Returns:
        Substrings with the number of their occurrences times their length.
    """
    text = "".join(counts)
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)
    lengths = np.array([len(word) for word in counts])
    weights = np.repeat(np.array(list(counts.values())), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(codes))  # in the word
    starts, keys = np.arange(len(codes)), codes
    parents = np.zeros(len(codes), np.int64)  # shorter substrings at `starts`
    shorter, sums = np.zeros(1, np.int64), np.full(1, math.inf)
    seeds: list[tuple[str, int]] = []
    for length in range(1, MAX_PIECE + 2):
        _, first, groups = np.unique(keys, return_index=True, return_inverse=True)
        of_groups = np.bincount(groups, weights[starts], len(first))
        longest = np.zeros(len(sums))
        np.maximum.at(longest, parents[first], of_groups)
        is_seed = (longest < sums) & (sums >= 2) if length > 2 else sums < math.inf
        for place, total in zip(shorter[is_seed].tolist(), sums[is_seed].tolist(), strict=True):
            piece = text[place : place + length - 1]
            if MARKER not in piece[1:]:
                seeds.append((piece, int(total) * len(piece)))
        shorter, sums = starts[first], of_groups
        is_longer = (of_groups[groups] >= 2) & (left[starts] > length)
        starts, parents = starts[is_longer], groups[is_longer]
        keys = (parents << 21) + codes[starts + length]
    return sorted(seeds, key=lambda seed: (-seed[1], seed[0]))[:MAX_SEEDS]


def _limit_alphabet(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Split words at all but the `size` most frequent characters."""
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    known = sorted(characters.keys() - set(RESERVED), key=lambda each: (-characters[each], each))
    alphabet = set(known[:size])
    rare = str.maketrans(dict.fromkeys(characters.keys() - alphabet, "\n"))
    parts: Counter[str] = Counter()
    for word, count in counts.items():
        for part in word.translate(rare).split("\n") if rare else [word]:
            if part:
                parts[part[:MAX_WORD_LENGTH]] += count
    return dict(parts)


def _select_words(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent words with `MAX_CHARACTERS` together, in an order of their own."""
    order = sorted(counts, key=lambda word: (-counts[word], zlib.crc32(word.encode()), word))
    ends = np.cumsum([len(word) for word in order])
    kept = order[: int(np.searchsorted(ends, MAX_CHARACTERS, side="right"))]
    return {word: counts[word] for word in kept}
