"""Tokenizers that others have trained, from their tokenizer.json."""

import hashlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.corpus import TokenizedCorpus
from seqtext.errors import UserError
from seqtext.tokenizers.base import Tokenizer, TruncationSide, iter_groups, truncate
from seqtext.tokenizers.hugging_face import (
    add_space_steps,
    list_tokens,
    load_tokenizer,
    parse_tokenizer,
)
from seqtext.tokenizers.text_growth import compute_growth
from seqtext.tokenizers.vocabulary import Vocabulary
from seqtext.validation import PositiveInt, validate_args

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

FILE = "tokenizer.json"
MAX_GROWTH = 5000  # of a text by the tokenizer's steps, such as replacements
BLOCK_BYTES = 1 << 28  # of texts, after these steps, that are encoded together


class PretrainedTokenizer(Tokenizer):
    """Splits texts as a tokenizer.json of Hugging Face's `tokenizers` package describes.

    The tokens are those of the file, without the ones that it adds around a text, such as [CLS]: in
    a text, "[CLS]" has these characters.

    Args:
        path: the file, a folder with it, or an installed package with it; a checkpoint needs none
        max_length: maximum number of tokens of a text; None: no limit
        truncation_side: the side of a longer text that is cut

    """

    _tokenizer: "HuggingFaceTokenizer"
    _ids: np.ndarray  # our id of each of its ids
    _growth: float  # upper bound of the growth of a text by its steps

    @validate_args
    def __init__(
        self,
        path: str | None = None,
        max_length: PositiveInt | None = 512,
        truncation_side: TruncationSide = "left",
    ):
        super().__init__(max_length, truncation_side)
        self.path = path

    def settings(self) -> dict[str, Any]:
        """See `Tokenizer.settings`; the content of the file is part of the result."""
        digest = hashlib.blake2b(self._read_file().encode(), digest_size=16).hexdigest()
        return {**super().settings(), "path": digest}

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """Read the file; the texts are not used."""
        name = f"tokenizer.path={self.path}"
        self._tokenizer = parse_tokenizer(self._read_file(), name)
        self._growth = _check_growth(self._tokenizer, name)
        add_space_steps(self._tokenizer)
        tokens, self._ids = list_tokens(self._tokenizer)
        self.vocabulary = Vocabulary(tokens)

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """See `Tokenizer.encode`."""
        encoded: list[list[int]] = []
        limit = int(BLOCK_BYTES / self._growth)
        for start, stop in iter_groups(pc.binary_length(texts).to_numpy(), limit):
            block = texts[start:stop].to_pylist()
            try:
                encodings = self._tokenizer.encode_batch_fast(block, add_special_tokens=False)
            except Exception as error:  # the package has no types of its own
                raise UserError(f"The tokenizer cannot split a text: {error}.") from error
            encoded += [encoding.ids for encoding in encodings]
        lengths = np.array([len(each) for each in encoded], np.int64)
        numbers = np.fromiter(chain.from_iterable(encoded), np.int64)
        return truncate(self._ids[numbers], lengths, self.max_length, self.truncation_side)

    def find_spans(self, text: str) -> np.ndarray:
        """See `Tokenizer.find_spans`."""
        return self.truncate_spans(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def build_hugging_face_tokenizer(self) -> "HuggingFaceTokenizer":
        """See `Tokenizer.build_hugging_face_tokenizer`."""
        return self._tokenizer

    def list_ids(self) -> list[int] | None:
        """See `Tokenizer.list_ids`."""
        is_equal = np.array_equal(self._ids, np.arange(len(self._ids)))
        return None if is_equal else self._ids.tolist()

    def state_dict(self) -> dict[str, Any]:
        """See `Tokenizer.state_dict`."""
        return super().state_dict() | {"tokenizer": self._tokenizer.to_str()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Tokenizer.load_state_dict`."""
        super().load_state_dict(state)
        self._tokenizer, self._ids = load_tokenizer(state)
        self._growth = _check_growth(self._tokenizer, "tokenizer.tokenizer")
        add_space_steps(self._tokenizer)

    def _read_file(self) -> str:
        path = find_tokenizer_file(self.path)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"tokenizer.path={self.path}: {path} cannot be read: {error}."
            ) from error


def _check_growth(tokenizer: "HuggingFaceTokenizer", name: str) -> float:
    """Return how many times longer a tokenizer can make a text.

    Raises:
        UserError: if that is more than `MAX_GROWTH`.
    """
    description = json.loads(tokenizer.to_str())
    steps = description["normalizer"], description["pre_tokenizer"]
    growth = prod(map(compute_growth, steps))
    if growth > MAX_GROWTH:
        raise UserError(
            f"{name} can make a text {growth:,.0f} times longer by its replacements; at most "
            f"{MAX_GROWTH:,} times is allowed."
        )
    return growth


def find_tokenizer_file(path: str | None) -> Path:
    """Return the tokenizer.json that a file, a folder or an installed package is or has.

    A package is not imported.

    Raises:
        UserError: if there is none, or a package has several.
    """
    if path is None:
        raise UserError(
            f"tokenizer.path is missing: name a {FILE}, a folder with it, or an installed package."
        )
    place = Path(path).expanduser()
    if place.is_file():
        return place
    if place.is_dir():
        if (place / FILE).is_file():
            return place / FILE
        raise UserError(f"tokenizer.path={path}: this folder has no {FILE}.")
    spec = find_spec(path) if path.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"tokenizer.path={path}: there is no such file, folder or installed package; name a "
            f"{FILE}, or what holds it."
        )
    folder = Path(spec.submodule_search_locations[0])
    found = sorted({*folder.rglob(FILE), *folder.rglob(f"*_{FILE}")})
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(file) for file in found) or "none"
    raise UserError(
        f"tokenizer.path={path}: one {FILE} is needed in this package, which has {names}; name "
        f"the file."
    )
