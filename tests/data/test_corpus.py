"""Tokens, vocabulary and ids equal a plain Python reference."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqtext.data.corpus as tokens_module
from seqtext.data.cleaning import TextCleaner
from seqtext.data.corpus import TokenizedCorpus, split_words, write_corpus
from seqtext.data.duplicates import hash_texts
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.vocabulary import Vocabulary, count_words
from seqtext.tokenizers.words import WordTokenizer


def tokens_of(texts: list[str], folder, cleaning=()) -> TokenizedCorpus:
    write_corpus(
        [pa.array(texts, pa.string())], np.arange(len(texts)), TextCleaner(cleaning), folder
    )
    return TokenizedCorpus.load(folder)


def build_vocabulary(
    tokens: TokenizedCorpus, rows: np.ndarray, vocab_size: int | None
) -> Vocabulary:
    return Vocabulary.from_counts(tokens.dictionary, count_words(tokens, rows), vocab_size)


def words_of(tokens: TokenizedCorpus, row: int) -> list[str]:
    return tokens.dictionary.take(pa.array(tokens.read_word_codes(row, row + 1))).to_pylist()


def encode(
    tokens: TokenizedCorpus, vocabulary: Vocabulary, max_length: int | None, side: str
) -> list[list[int]]:
    """Return the ids of each text."""
    tokenizer = WordTokenizer(max_length, side)
    tokenizer.vocabulary = vocabulary
    blocks = tokenizer.encode_corpus(tokens)
    return [part.tolist() for ids, n in blocks for part in np.split(ids, np.cumsum(n)[:-1])]


TEXTS = ["b a a", "", "  c\u00a0a  ", "d", "   ", "b b b e"]


def test_words_of_each_text(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens_module, "BLOCK_ROWS", 2)  # several blocks, empty texts among them
    monkeypatch.setattr(tokens_module, "READ_ROWS", 4)
    tokens = tokens_of(TEXTS, tmp_path)
    assert [words_of(tokens, row) for row in range(len(TEXTS))] == [t.split() for t in TEXTS]


@given(st.lists(st.text("ab \t\n\u00a0\u2003é🙂\u0301\0", max_size=20), min_size=1, max_size=8))
def test_tokenize_splits_like_python(texts):
    lengths, words = split_words(pa.array(texts, pa.string()))
    assert lengths.tolist() == [len(text.split()) for text in texts]
    assert words.to_pylist() == [word for text in texts for word in text.split()]


def test_all_texts_empty(tmp_path):
    tokens = tokens_of(["", " "], tmp_path)
    vocabulary = build_vocabulary(tokens, np.array([0, 1]), None)
    assert encode(tokens, vocabulary, None, "left") == [[UNKNOWN], [UNKNOWN]]


def test_vocabulary_counts_training_rows_only(tmp_path):
    tokens = tokens_of(["b a a c", "z z z z z z", "b b a c"], tmp_path)
    vocabulary = build_vocabulary(tokens, np.array([0, 2]), None)
    assert vocabulary.tokens == ["a", "b", "c"]  # 3, 3, 2: ties in alphabetical order
    assert build_vocabulary(tokens, np.array([0, 2]), 1).tokens == ["a"]


def test_vocabulary_does_not_change_with_the_other_rows(tmp_path):
    words = []
    for name, other in (("one", "b a"), ("two", "y x a b b")):
        (tmp_path / name).mkdir()
        tokens = tokens_of([other, "b a c d", "d"], tmp_path / name)
        words.append(build_vocabulary(tokens, np.array([1, 2]), 3).tokens)
    assert words[0] == words[1] == ["d", "a", "b"]


def test_counts_equal_a_counter(tmp_path):
    tokens = tokens_of(TEXTS, tmp_path)
    counts = count_words(tokens, np.array([0, 2, 5]))
    expected = Counter(" ".join(TEXTS[i] for i in (0, 2, 5)).split())
    counted = zip(tokens.dictionary.to_pylist(), counts, strict=True)
    assert {word: count for word, count in counted if count} == expected


@pytest.mark.parametrize("block", [1, 2, 100])
def test_texts_of_some_rows(tmp_path, monkeypatch, block):
    monkeypatch.setattr("seqtext.data.corpus.READ_ROWS", block)
    tokens = tokens_of(TEXTS, tmp_path)
    rows, words = np.array([0, 2, 5]), tokens.dictionary.to_pylist()
    blocks = list(tokens.iter_rows(rows))
    said = [words[code] for _, codes in blocks for code in codes]
    assert said == " ".join(TEXTS[i] for i in rows).split()
    assert np.concatenate([n for n, _ in blocks]).tolist() == [len(TEXTS[i].split()) for i in rows]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [None, 1, 2, 9])
@settings(max_examples=25)
@given(texts=st.lists(st.text("abc ", max_size=12), min_size=1, max_size=6))
def test_ids_equal_plain_python(tmp_path_factory, side, length, texts):
    tokens = tokens_of(texts, tmp_path_factory.mktemp("tokens"))
    vocabulary = Vocabulary(["b", "a"])
    expected = []
    for text in texts:
        words = text.split()
        kept = words[:length] if side == "right" else words[-length:] if length else words
        expected.append([{"b": 2, "a": 3}.get(word, UNKNOWN) for word in kept] or [UNKNOWN])
    assert encode(tokens, vocabulary, length, side) == expected


def test_ids_take_two_bytes_where_they_can(tmp_path):
    tokens = tokens_of(["a"], tmp_path)
    small, large = Vocabulary(["a"] * 65_534), Vocabulary(["a"] * 65_535)
    for vocabulary, dtype in ((small, np.uint16), (large, np.int32)):
        tokenizer = WordTokenizer(None)
        tokenizer.vocabulary = vocabulary
        ((ids, _),) = tokenizer.encode_corpus(tokens)
        assert ids.dtype == vocabulary.dtype == dtype


def test_decoding():
    vocabulary = Vocabulary(["good"])
    assert [vocabulary.token(i) for i in range(3)] == ["<pad>", "<unk>", "good"]
    assert len(vocabulary) == 3


def test_texts_with_the_same_words_have_the_same_number(tmp_path):
    texts = ["A film!", "a  film", "film a", "", "a film film", "...", "a", "", "film a a"]
    cleaning = TextCleaner(["lower", "keras_filter"])
    for written, ids in (
        ([0, 1, 2, 3, 4, 5, 6, 3, 7], [0, 0, 1, 2, 3, 4, 5, 2, 6]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 1, 2, 3, 4, 5, 6, 7]),
    ):
        write_corpus([pa.array(texts)], np.array(written), cleaning, tmp_path)
        assert np.fromfile(tmp_path / "text_ids.bin", np.int64).tolist() == ids


@given(texts=st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=40))
@settings(max_examples=50)
def test_hashes_equal_exactly_where_the_words_do(texts):
    lengths = np.array([len(text) for text in texts], np.int64)
    codes = np.array([ord(word) for text in texts for word in text], np.int32)
    hashes = hash_texts(lengths, codes)
    assert len(set(zip(map(tuple, texts), hashes.tolist(), strict=True))) == len(
        set(map(tuple, texts))
    )
    assert len(set(hashes.tolist())) == len(set(map(tuple, texts)))
