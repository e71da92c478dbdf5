"""Words are split as one by one: the faster search for words to split misses none."""

import sys

import pyarrow as pa
import pytest

from seqtext.tokenizers.splitting import WordSplitter

SURROGATES = range(0xD800, 0xE000)


@pytest.mark.parametrize(
    "splitter",
    [WordSplitter(False, "split", ()), WordSplitter(True, "keep", ("numbers",))],
    ids=["punctuation", "numbers"],
)
def test_every_character(splitter):
    points = (n for n in range(0x21, sys.maxunicode + 1) if n not in SURROGATES)
    words = [f"{chr(n)}a" for n in points if n < 0x20000]
    is_read = splitter.split(pa.array(words)).counts > 1
    missed = [
        word
        for word, split in zip(words, is_read, strict=True)
        if not split and len(list(splitter.iter_tokens(word))) > 1
    ]
    assert missed == []


def test_tokens_of_a_word():
    splitter = WordSplitter(True, "split", ("urls", "users", "numbers"))
    for word, tokens in (
        ("see:http://a.b/c?d=1,", ["see", ":", "<url>", ","]),
        ("@me:don't", ["<user>", ":", "don't"]),
        ("1,000.50!!", ["<number>", "!", "!"]),
        ("a_b-c\u2776", ["a_b", "-", "c", "\u2776"]),
        ("\u597d\u7535\u5f71ok", ["\u597d", "\u7535", "\u5f71", "ok"]),
    ):
        found = list(splitter.iter_tokens(word))
        assert [token for token, _, _ in found] == tokens
        for token, start, stop in found:
            assert token in (word[start:stop], "<url>", "<user>", "<number>")
