"""Read vectors of .npy and .safetensors files, whose words are in a list of their own."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.errors import UserError, format_reason

NUMPY, SAFETENSORS = ".npy", ".safetensors"
ARRAYS = (NUMPY, SAFETENSORS)  # suffixes
TOKENS_KEY = "tokens"  # of the metadata of a safetensors file: a JSON list
TEXT_NAMES = ("words.txt", "vocab.txt", "tokens.txt")
JSON_NAMES = ("vocab.json", "tokenizer.json")


def is_array_file(path: Path) -> bool:
    """Return whether a file has vectors without words, by its suffix."""
    return path.suffix.lower() in ARRAYS


def find_word_list(path: Path) -> Path | None:
    """Return the file with the words of an array: <name>.txt, <name>.json, vocab.txt, …

    Args:
        path: file of the array; the list is in the same folder
    """
    names = (f"{path.stem}.txt", f"{path.stem}.json", *TEXT_NAMES, *JSON_NAMES)
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def read_array_dimension(path: Path) -> int:
    """Return E, the number of columns of the array.

    Raises:
        UserError: as `read_array_file`.
    """
    return int(_open_array(path)[0].shape[1])


def read_array_file(
    path: Path, words: Sequence[str], dim: int, sampled: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read the vectors of words from an array [n, E] and its list of n words.

    The list is the entry "tokens" of a safetensors file's metadata, or a file beside the array (see
    `find_word_list`): a text file with one word per line, a JSON list or mapping from word to row,
    or the tokenizer.json of Hugging Face.

    Args:
        words: distinct words
        dim: E, dimension of the vectors
        sampled: number of the file's first words to return

    Returns:
        vectors: [words, E] float32, zeros for missing words
        known: [words] bool, whether a word was found
        sample: first words of the list

    Raises:
        UserError: if a file is missing or damaged, or they do not go together.
    """
    array, metadata = _open_array(path)
    count, width = array.shape
    listed, source = _read_words(path, metadata)
    if width != dim:
        raise UserError(
            f"{path} has {width} numbers per word where embedding.dim={dim}: set "
            f"embedding.dim={width}, or give another file."
        )
    if len(listed) != count:
        raise UserError(
            f"{path} has {count:,} vectors where {source} has {len(listed):,} words: give a file "
            f"with one word per vector."
        )
    try:
        value_set = pa.array(listed, pa.string())
    except (UnicodeEncodeError, pa.ArrowException, TypeError) as error:
        raise UserError(f"{source} holds a word that is no text: fetch it again.") from error
    rows = pc.index_in(pa.array(words, pa.string()), value_set=value_set)
    known = rows.is_valid().to_numpy(zero_copy_only=False)
    vectors = np.zeros((len(words), dim), np.float32)
    vectors[known] = array[rows.drop_null().to_numpy()]
    if not np.isfinite(vectors).all():
        raise UserError(f"{path} holds numbers that are not finite: fetch the file again.")
    return vectors, known, listed[:sampled]


def _open_array(path: Path) -> tuple[Any, dict[str, str]]:
    """Open the only matrix of a file; return it and the file's metadata."""
    if path.suffix.lower() == SAFETENSORS:
        array, metadata = _open_safetensors(path)
    else:
        metadata = {}
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError, SyntaxError) as error:
            raise UserError(f"{path} cannot be read: {format_reason(error)[:200]}.") from error
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise UserError(f"{path} holds no array of numbers: give a matrix of vectors.")
    if array.ndim != 2 or 0 in array.shape:
        raise UserError(
            f"{path} holds an array of the shape {list(array.shape)}: give a matrix, one vector "
            f"per row."
        )
    return array, metadata


def _open_safetensors(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    if find_spec("safetensors") is None:
        raise UserError(f"{path} needs a package: pip install seqtext[embeddings]")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:  # NumPy has no bfloat16
            metadata = file.metadata() or {}
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            matrices = [name for name, shape in shapes.items() if len(shape) == 2]
            if len(matrices) != 1:
                raise UserError(
                    f"{path} holds {len(matrices)} matrices where one is expected: save the "
                    f"vectors alone."
                )
            return file.get_tensor(matrices[0]).float().numpy(), metadata
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} cannot be read: {format_reason(error)[:200]}.") from error


def _read_words(path: Path, metadata: dict[str, str]) -> tuple[list[str], str]:
    """Return the words of an array, and where they are from."""
    if TOKENS_KEY in metadata:
        source = f"its entry {TOKENS_KEY!r}"
        return _parse_json(metadata[TOKENS_KEY], str(path)), source
    file = find_word_list(path)
    if file is None:
        raise UserError(
            f"{path} has vectors without words: put them beside it as {path.stem}.txt, one word "
            f"per line in the order of the vectors."
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text: fetch it again.") from error
    if file.suffix == ".json":
        return _parse_json(text, str(file)), str(file)
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")], str(file)


def _parse_json(text: str, name: str) -> list[str]:
    """Return the words of a JSON list, of a mapping from word to row, or of a tokenizer.json."""
    expected = f"{name} must hold a list of words, or a mapping from each word to its row."
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is no JSON: {format_reason(error)[:200]}.") from error
    if isinstance(value, dict) and isinstance(value.get("model"), dict):  # a tokenizer.json
        added = value.get("added_tokens")
        value = value["model"].get("vocab")
        if isinstance(value, list) and all(isinstance(pair, list) and pair for pair in value):
            value = [pair[0] for pair in value]  # of unigrams, with their scores
        if isinstance(value, dict) and isinstance(added, list):
            value = value | {
                str(each["content"]): each["id"]
                for each in added
                if isinstance(each, dict) and {"content", "id"} <= each.keys()
            }
    if isinstance(value, dict):
        if sorted(value.values(), key=str) != sorted(range(len(value)), key=str):
            raise UserError(f"{name} must number its words 0, 1, 2, …, each once.")
        value = sorted(value, key=value.__getitem__)
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UserError(expected)
    return value
