"""Raw rows to encoded parts, in three cached steps: rows, words, ids."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqtext.data.batches import EncodedTexts
from seqtext.data.cache import Cache
from seqtext.data.cleaning import Cleaning
from seqtext.data.files import open_array, read_blocks
from seqtext.data.rows import Rows
from seqtext.data.split import PARTS, Duplicates, Part, Split
from seqtext.data.tokens import Tokens, write_tokens
from seqtext.data.vocabulary import Vocabulary, encode
from seqtext.options import UserError

log = logging.getLogger(__name__)


class Repeats(NamedTuple):
    """Texts that stand in several rows.

    rows: how many rows repeat the text of an earlier one
    conflicting: how many texts have unlike labels
    in_test: how many test rows have a text that stands in the training or validation part too
    """

    rows: int
    conflicting: int
    in_test: int


@dataclass(frozen=True)
class Recipe:
    """What becomes of the rows; see `TextDataModule` for each.

    official: the parts that the source names are used
    """

    cleaning: Cleaning
    split: Split
    official: bool
    duplicates: Duplicates
    max_words: int | None
    vocabulary_rows: int | None
    length: int | str | None
    truncate: str

    def settings(self) -> dict:
        """Everything but the cleaning, as plain values."""
        others = {k: v for k, v in vars(self).items() if k != "cleaning"}
        return others | {"split": self.split.settings()}


@dataclass(frozen=True)
class Prepared:
    """A data set ready for batching.

    key: names this preparation, among all
    tokens: all words of all texts, known or not
    parts: sorted row numbers of each part
    length: the most words of a text that are used; None: all
    """

    key: str
    rows: Rows
    texts: EncodedTexts
    vocabulary: Vocabulary
    tokens: Tokens
    parts: dict[Part, np.ndarray]
    repeats: Repeats
    length: int | None

    def fingerprint(self) -> str:
        """A digest of rows, parts and vocabulary: a run goes on with the same data only."""
        digest = hashlib.blake2b(self.rows.digest.encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.rows.labels))
        for part in PARTS:
            digest.update(self.parts[part])
        digest.update(json.dumps(self.vocabulary.words).encode())
        return digest.hexdigest()

    def class_counts(self, part: Part) -> dict[str, int]:
        """Rows of each class in a part."""
        names = self.rows.class_names
        counts = np.bincount(self.rows.labels[self.parts[part]], minlength=len(names))
        return dict(zip(names, counts.tolist(), strict=True))


def prepare(
    cache: Cache, origin: dict, write_rows: Callable[[Path], None], recipe: Recipe
) -> Prepared:
    """Prepare a data set, or find it prepared.

    Args:
        origin: what the rows are made from; with the recipe it decides the cache entries
        write_rows: writes the rows into a folder (see `seqtext.data.rows`)
    """
    rows_folder = cache.entry("rows", origin, write_rows)
    rows = Rows.load(rows_folder)
    settings = {**origin, "cleaning": recipe.cleaning.settings()}

    def write_words(folder: Path) -> None:
        texts = read_blocks(rows_folder / "texts.arrow", "text")
        write_tokens(texts, len(rows), recipe.cleaning, folder)

    tokens_folder = cache.entry("tokens", settings, write_words)
    ids_folder = cache.entry(
        "ids",
        settings | recipe.settings(),
        lambda folder: _write_ids(folder, rows, Tokens.load(tokens_folder), recipe),
    )
    return _open(rows, Tokens.load(tokens_folder), ids_folder)


def _write_ids(folder: Path, rows: Rows, tokens: Tokens, recipe: Recipe) -> None:
    parts = _parts(rows, recipe)
    counted = parts["train"][: recipe.vocabulary_rows]
    vocabulary = Vocabulary.of_training(tokens, counted, recipe.max_words)
    length = recipe.length
    if length == "longest":
        lengths = np.diff(tokens.offsets)
        length = max(1, int(lengths[parts["train"]].max()))
    kept = [np.zeros(1, np.int64)]
    with (folder / "ids.bin").open("wb") as stream:
        for ids, lengths in encode(tokens, vocabulary, length, recipe.truncate == "head"):
            stream.write(ids)
            kept.append(lengths)
    np.cumsum(np.concatenate(kept)).tofile(folder / "offsets.bin")
    for part in PARTS:
        parts[part].tofile(folder / f"{part}.bin")
    vocabulary.counts.tofile(folder / "counts.bin")
    facts = {
        "words": vocabulary.words,
        "running": vocabulary.running,
        "repeats": _count_repeats(rows, parts),
        "length": length,
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def _parts(rows: Rows, recipe: Recipe) -> dict[Part, np.ndarray]:
    if recipe.official and rows.official is None:
        raise UserError(
            "split.official=true is not possible: this source has no official test part; "
            "use split.official=false, or a source that has one."
        )
    return recipe.split.parts(
        labels=np.asarray(rows.labels),
        text_ids=np.asarray(rows.text_ids),
        class_names=rows.class_names,
        official=rows.official if recipe.official else None,
        duplicates=recipe.duplicates,
    )


def _count_repeats(rows: Rows, parts: dict[Part, np.ndarray]) -> Repeats:
    ids, classes = np.asarray(rows.text_ids), len(rows.class_names)
    texts_with_labels = np.unique(ids * classes + rows.labels) // classes
    labels_of_text = np.bincount(texts_with_labels)
    used = np.zeros(len(labels_of_text), bool)
    used[ids[parts["train"]]] = used[ids[parts["val"]]] = True
    return Repeats(
        rows=len(ids) - len(labels_of_text),
        conflicting=int((labels_of_text > 1).sum()),
        in_test=int(used[ids[parts["test"]]].sum()),
    )


def _open(rows: Rows, tokens: Tokens, folder: Path) -> Prepared:
    facts = json.loads((folder / "facts.json").read_text())
    counts = open_array(folder / "counts.bin", np.int64)
    vocabulary = Vocabulary(facts["words"], counts, facts["running"])
    return Prepared(
        key=folder.name,
        rows=rows,
        texts=EncodedTexts(
            ids=open_array(folder / "ids.bin", vocabulary.dtype),
            offsets=open_array(folder / "offsets.bin", np.int64),
            labels=rows.labels,
        ),
        vocabulary=vocabulary,
        tokens=tokens,
        parts={part: open_array(folder / f"{part}.bin", np.int64) for part in PARTS},
        repeats=Repeats(*facts["repeats"]),
        length=facts["length"],
    )
