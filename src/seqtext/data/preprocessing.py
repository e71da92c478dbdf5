"""Raw rows to encoded parts, in three cached steps: rows, words, ids."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seqtext.cache import Cache
from seqtext.data.arrow_io import open_array, read_blocks
from seqtext.data.cleaning import Cleaning
from seqtext.data.coverage import Coverage, measure_coverage
from seqtext.data.duplicates import Repeats, count_repeats
from seqtext.data.loaders import EncodedTexts
from seqtext.data.raw_dataset import Rows
from seqtext.data.split import PARTS, Duplicates, Part, Split
from seqtext.data.tokenized import Tokens, write_tokens
from seqtext.errors import UserError
from seqtext.tokenizers.vocabulary import Vocabulary, encode

log = logging.getLogger(__name__)


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
    coverage: of each part, how much of it a model can read
    notes: what there is to say of the parts
    """

    key: str
    rows: Rows
    texts: EncodedTexts
    vocabulary: Vocabulary
    tokens: Tokens
    parts: dict[Part, np.ndarray]
    repeats: Repeats
    length: int | None
    coverage: dict[Part, Coverage] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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
        write_rows: writes the rows into a folder (see `seqtext.data.raw_dataset`)
    """
    rows = cache.load("rows", origin, write_rows, Rows.load)
    settings = {**origin, "cleaning": recipe.cleaning.settings()}

    def write_words(folder: Path) -> None:
        rows_folder = cache.entry("rows", origin, write_rows, is_thorough=True)
        texts = read_blocks(rows_folder / "texts.arrow", "text")
        write_tokens(texts, np.asarray(rows.text_ids), recipe.cleaning, folder)

    def write_ids(folder: Path) -> None:
        tokens_folder = cache.entry("tokens", settings, write_words, is_thorough=True)
        _write_ids(folder, rows, Tokens.load(tokens_folder), recipe)

    tokens = cache.load("tokens", settings, write_words, Tokens.load)
    return cache.load(
        "ids", settings | recipe.settings(), write_ids, lambda folder: _open(rows, tokens, folder)
    )


def _write_ids(folder: Path, rows: Rows, tokens: Tokens, recipe: Recipe) -> None:
    parts, notes = _parts(rows, tokens, recipe)
    counted = parts["train"][: recipe.vocabulary_rows]
    vocabulary = Vocabulary.of_training(tokens, counted, recipe.max_words)
    length = recipe.length
    if length == "longest":
        lengths = np.diff(tokens.offsets)
        length = max(1, int(lengths[parts["train"]].max()))
    part_of_row = np.full(len(rows), len(PARTS), np.int8)
    for number, part in enumerate(PARTS):
        part_of_row[parts[part]] = number
    coverage = dict.fromkeys(PARTS, Coverage())
    kept, start = [np.zeros(1, np.int64)], 0
    with (folder / "ids.bin").open("wb") as stream:
        for ids, lengths in encode(tokens, vocabulary, length, recipe.truncate == "head"):
            stream.write(ids)
            kept.append(lengths)
            stop = start + len(lengths)
            is_empty = np.diff(tokens.offsets[start : stop + 1]) == 0
            groups = part_of_row[start:stop]
            measured = measure_coverage(ids, lengths, is_empty, groups, len(PARTS))
            coverage = {p: coverage[p] + m for p, m in zip(PARTS, measured, strict=True)}
            start = stop
    np.cumsum(np.concatenate(kept)).tofile(folder / "offsets.bin")
    for part in PARTS:
        parts[part].tofile(folder / f"{part}.bin")
    vocabulary.counts.tofile(folder / "counts.bin")
    written, read, labels = map(np.asarray, (rows.text_ids, tokens.text_ids, rows.labels))
    facts = {
        "words": vocabulary.words,
        "running": vocabulary.running,
        "repeats": count_repeats(written, read, labels, parts),
        "length": length,
        "coverage": coverage,
        "notes": notes,
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def _parts(rows: Rows, tokens: Tokens, recipe: Recipe) -> tuple[dict[Part, np.ndarray], list[str]]:
    if recipe.official and rows.official is None:
        raise UserError(
            "split.official=true is not possible: this source has no official test part; "
            "use split.official=false, or a source that has one."
        )
    return recipe.split.cut_parts(
        labels=np.asarray(rows.labels),
        text_ids=np.asarray(tokens.text_ids),
        class_names=rows.class_names,
        official=np.asarray(rows.official) if recipe.official else None,
        duplicates=recipe.duplicates,
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
        coverage={part: Coverage(*counts) for part, counts in facts["coverage"].items()},
        notes=facts["notes"],
    )
