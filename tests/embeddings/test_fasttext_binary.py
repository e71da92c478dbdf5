"""fastText's model files: equal to gensim's reading of them, and messages about damaged ones."""

import struct
from pathlib import Path

import numpy as np
import pytest

from seqtext.embeddings.fasttext_binary import hash_ngrams
from seqtext.embeddings.vector_files import read_dimension, read_vector_file
from seqtext.errors import UserError

WORDS = ["the", "film", "café", "日本", "</s>"]
DIM, BUCKET = 4, 50


def write_model(
    path: Path,
    words=WORDS,
    labels=(),
    version: int = 12,
    kind: int = 2,
    pruned: int = -1,
    quantized: bool = False,
    min_n: int = 3,
) -> np.ndarray:
    """Write a model in fastText's format; return the matrix of its words and n-grams."""
    matrix = np.random.default_rng(0).normal(size=(len(words) + BUCKET, DIM)).astype("<f4")
    options = (DIM, 5, 5, 1, 5, 1, 2, kind, BUCKET, min_n, 6, 100)
    counts = (len(words) + len(labels), len(words), len(labels), 99, pruned)
    content = struct.pack("<2i12id3iqq", 793_712_314, version, *options, 1e-4, *counts)
    for number, word in enumerate([*words, *labels]):
        content += word.encode() + b"\0" + struct.pack("<qb", 9, number >= len(words))
    content += struct.pack("<?qq", quantized, *matrix.shape) + matrix.tobytes()
    path.write_bytes(content + struct.pack("<?qq", False, len(words), DIM) + bytes(16 * len(words)))
    return matrix


def hash_by_hand(ngram: str) -> int:
    """FNV-1a as in fastText, where a byte is a signed number."""
    state = 2_166_136_261
    for byte in ngram.encode():
        state = (state ^ (byte - 256 if byte > 127 else byte) & 0xFFFFFFFF) * 16_777_619 % 2**32
    return state


@pytest.mark.parametrize("orders", [(3, 6), (1, 2), (0, 0), (2, 9)])
def test_ngrams(orders):
    low, high = orders
    numbers, hashes = hash_ngrams(["the", "é日", "", "a"], *orders, BUCKET)
    for number, word in enumerate(["<the>", "<é日>", "<>", "<a>"]):
        expected = [
            hash_by_hand(word[start : start + n]) % BUCKET
            for n in range(max(low, 1), high + 1)
            for start in range(len(word) - n + 1)
            if n > 1 or 0 < start < len(word) - 1
        ]
        assert hashes[numbers == number].tolist() == expected


def test_vectors_are_those_of_gensim(tmp_path):
    """Of words of the model, and of other words by their n-grams."""
    models = pytest.importorskip("gensim.models.fasttext")
    write_model(tmp_path / "m.bin")
    wanted = ["film", "films", "café", "caffé", "日", "the", "unheard-of", "a"]
    found, known, sample = read_vector_file(tmp_path / "m.bin", wanted, DIM)
    gensim = models.load_facebook_vectors(str(tmp_path / "m.bin"))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [gensim.get_vector(word) for word in wanted], atol=1e-6)
    assert known.all()
    assert sample == WORDS
    assert read_dimension(tmp_path / "m.bin") == DIM


def test_words_without_ngrams(tmp_path):
    matrix = write_model(tmp_path / "m.bin", min_n=5)
    found, known, _ = read_vector_file(tmp_path / "m.bin", ["日", "</s>", "日本"], DIM)
    assert known.tolist() == [False, True, True]
    assert found[:2].tolist() == [[0] * DIM, matrix[4].tolist()]
    assert found[2].tolist() == matrix[3].tolist()


def test_models_of_texts(tmp_path):
    """Labels are no words; in version 11 there are no n-grams, whatever the file says."""
    matrix = write_model(tmp_path / "m.bin", labels=["__label__a"], version=11, kind=3)
    found, known, _ = read_vector_file(tmp_path / "m.bin", ["film", "__label__a"], DIM)
    assert known.tolist() == [True, False]
    assert found[0].tolist() == matrix[1].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 13}, "the unknown version 13"),
        ({"pruned": 2}, "a pruned fastText model"),
        ({"quantized": True}, "a quantized fastText model"),
        ({"min_n": -1}, "is damaged: fetch it again"),
    ],
)
def test_other_models(tmp_path, options, message):
    write_model(tmp_path / "m.bin", **options)
    with pytest.raises(UserError, match=rf"m\.bin is .*{message}"):
        read_vector_file(tmp_path / "m.bin", ["film"], DIM)


def test_another_dimension(tmp_path):
    write_model(tmp_path / "m.bin")
    with pytest.raises(UserError, match=r"set embedding\.dim=4"):
        read_vector_file(tmp_path / "m.bin", ["film"], 3)


@pytest.mark.parametrize("size", [4, 50, 92, 100, 150, 170, 400])
def test_cut_files(tmp_path, size):
    write_model(tmp_path / "m.bin")
    content = (tmp_path / "m.bin").read_bytes()
    (tmp_path / "m.bin").write_bytes(content[:size])
    with pytest.raises(UserError, match=r"m\.bin is no fastText model, or is damaged"):
        read_vector_file(tmp_path / "m.bin", ["film"], DIM)


def test_numbers_that_are_not_finite(tmp_path):
    matrix = write_model(tmp_path / "m.bin", min_n=7)
    content = (tmp_path / "m.bin").read_bytes().replace(matrix[1].tobytes(), b"\xff" * 4 * DIM)
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"m\.bin holds numbers that are not finite"):
        read_vector_file(tmp_path / "m.bin", ["film"], DIM)


def test_compressed_models(tmp_path):
    import gzip

    write_model(tmp_path / "m.bin")
    packed = tmp_path / "m.bin.gz"
    packed.write_bytes(gzip.compress((tmp_path / "m.bin").read_bytes()))
    for read in (read_dimension, lambda path: read_vector_file(path, ["film"], DIM)):
        with pytest.raises(UserError, match=r"is a compressed fastText model: unpack it"):
            read(packed)
