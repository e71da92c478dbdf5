"""Vectors of .npy and .safetensors files, and the lists of their words."""

import json

import numpy as np
import pytest
import torch

from seqtext.embeddings.vector_files import read_dimension, read_vector_file
from seqtext.errors import UserError

WORDS = ["the", "café", "new york"]
TABLE = np.arange(6, dtype=np.float32).reshape(3, 2)
TOKENIZER = {
    "added_tokens": [{"id": 2, "content": "new york"}],
    "model": {"type": "BPE", "vocab": {"café": 1, "the": 0}},
}
UNIGRAMS = {"model": {"type": "Unigram", "vocab": [[word, -1.5] for word in WORDS]}}


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors.torch")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.txt", "the\ncafé\nnew york\n"),
        ("v.txt", "\ufeffthe\r\ncafé\r\nnew york"),
        ("vocab.txt", "the\ncafé\nnew york"),
        ("v.json", json.dumps(WORDS)),
        ("vocab.json", json.dumps({"café": 1, "the": 0, "new york": 2})),
        ("tokenizer.json", json.dumps(TOKENIZER)),
        ("tokenizer.json", json.dumps(UNIGRAMS)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_numpy(tmp_path, name, content, dtype):
    np.save(tmp_path / "v.npy", TABLE.astype(dtype))
    (tmp_path / name).write_text(content, newline="")
    found, known, sample = read_vector_file(tmp_path / "v.npy", ["café", "none", "new york"], 2)
    assert found.dtype == np.float32
    assert found.tolist() == [[2, 3], [0, 0], [4, 5]]
    assert known.tolist() == [True, False, True]
    assert sample == WORDS
    assert read_dimension(tmp_path / "v.npy") == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("has_metadata", [True, False])
def test_safetensors(tmp_path, safetensors, dtype, has_metadata):
    metadata = {"tokens": json.dumps(WORDS)} if has_metadata else None
    if not has_metadata:
        (tmp_path / "v.txt").write_text("\n".join(WORDS))
    tensors = {"vectors": torch.tensor(TABLE, dtype=dtype), "scale": torch.ones(1)}
    safetensors.save_file(tensors, tmp_path / "v.safetensors", metadata)
    found, known, _ = read_vector_file(tmp_path / "v.safetensors", ["café", "none"], 2)
    assert (found.tolist(), known.tolist()) == ([[2, 3], [0, 0]], [True, False])
    assert read_dimension(tmp_path / "v.safetensors") == 2


def test_bad_safetensors(tmp_path, safetensors):
    path = tmp_path / "v.safetensors"
    path.write_bytes(b"no")
    with pytest.raises(UserError, match=r"v\.safetensors cannot be read"):
        read_dimension(path)
    safetensors.save_file({"a": torch.ones(2, 2), "b": torch.ones(2, 2)}, path)
    with pytest.raises(UserError, match="holds 2 matrices where one is expected"):
        read_dimension(path)


def test_package_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("seqtext.embeddings.vector_arrays.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs a package: pip install seqtext\[embeddings\]"):
        read_dimension(tmp_path / "v.safetensors")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (b"\x93NUMPY\1", "v.npy cannot be read"),
        (np.array([{}]), "v.npy cannot be read"),  # a pickle, which could execute code
        (np.array(["a"]), "holds no array of numbers"),
        (TABLE[0], r"an array of the shape \[2\]: give a matrix"),
        (TABLE[:2], "has 2 vectors where .*v.txt has 3 words"),
        (np.full((3, 2), np.nan), "numbers that are not finite"),
        (np.ones((3, 5)), r"set embedding\.dim=5"),
    ],
)
def test_bad_arrays(tmp_path, array, message):
    (tmp_path / "v.txt").write_text("\n".join(WORDS))
    if isinstance(array, bytes):
        (tmp_path / "v.npy").write_bytes(array)
    else:
        np.save(tmp_path / "v.npy", array)
    with pytest.raises(UserError, match=message):
        read_vector_file(tmp_path / "v.npy", ["the"], 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"put them beside it as v\.txt"),
        (b"\xff", "not UTF-8 text"),
        ("{", "v.json is no JSON"),
        ("[1, 2, 3]", "must hold a list of words, or a mapping"),
        ("3", "must hold a list of words, or a mapping"),
        ('{"the": 0, "a": 0, "of": 2}', "must number its words 0, 1, 2"),
        ('{"the": "0", "a": 1, "of": 2}', "must number its words 0, 1, 2"),
        ('["\\ud800", "a", "b"]', "a word that is no text"),
    ],
)
def test_bad_words(tmp_path, content, message):
    np.save(tmp_path / "v.npy", TABLE)
    if isinstance(content, bytes):
        (tmp_path / "v.txt").write_bytes(content)
    elif content:
        (tmp_path / "v.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_vector_file(tmp_path / "v.npy", ["the"], 2)
