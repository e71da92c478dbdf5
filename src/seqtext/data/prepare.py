"""Raw rows to encoded parts, in three cached steps: table, words, ids."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.batches import EncodedTexts
from seqtext.data.cache import Cache
from seqtext.data.files import open_array, open_table, write_table
from seqtext.data.split import PARTS, Duplicates, Part, Split
from seqtext.data.tokens import Tokens, write_tokens
from seqtext.data.vocabulary import Vocabulary, encode


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
class Prepared:
    """A data set ready for batching.

    table: the source rows, `text` and `label`
    parts: sorted row numbers of each part
    """

    table: pa.Table
    texts: EncodedTexts
    vocabulary: Vocabulary
    parts: dict[Part, np.ndarray]
    repeats: Repeats

    def fingerprint(self) -> str:
        """A digest of labels, parts and vocabulary: a run goes on with the same data only."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.texts.labels), digest_size=16)
        for part in PARTS:
            digest.update(self.parts[part])
        digest.update(json.dumps(self.vocabulary.words).encode())
        return digest.hexdigest()

    def class_counts(self, part: Part, classes: int) -> list[int]:
        """Rows of each class in a part."""
        return np.bincount(self.texts.labels[self.parts[part]], minlength=classes).tolist()


def prepare(
    cache: Cache,
    origin: dict,
    read: Callable[[], pa.Table],
    class_names: Sequence[str],
    cleaning: Sequence[str],
    split: Split,
    max_words: int | None,
    length: int | None,
    truncate: str,
    duplicates: Duplicates,
) -> Prepared:
    """Prepare a data set, or find it prepared.

    Args:
        origin: what the table is made from; with the other settings it decides the cache entries
        read: makes the table, columns `text` and `label`, optionally `test` (official test part)
    """
    table_folder = cache.entry("table", origin, lambda to: _write_rows(read(), to))
    table = open_table(table_folder / "table.arrow")
    settings = {**origin, "cleaning": list(cleaning)}
    tokens_folder = cache.entry(
        "tokens", settings, lambda to: write_tokens(table["text"], cleaning, to)
    )
    settings |= {"split": split.settings(), "max_words": max_words}
    settings |= {"length": length, "truncate": truncate, "duplicates": duplicates}

    def build(folder: Path) -> None:
        parts = split.parts(
            labels=table["label"].to_numpy(),
            text_ids=table["text_id"].to_numpy(),
            class_names=class_names,
            official_test=table["test"].to_numpy() if "test" in table.column_names else None,
            duplicates=duplicates,
        )
        tokens = Tokens.load(tokens_folder)
        vocabulary = Vocabulary.of_training(tokens, parts["train"], max_words)
        ids, offsets = encode(tokens, vocabulary, length, keep_head=truncate == "head")
        repeats = _count_repeats(table, parts)
        _write_encoded(folder, ids, offsets, vocabulary, parts, repeats)

    return _open(table, cache.entry("ids", settings, build))


def _write_rows(table: pa.Table, folder: Path) -> None:
    text_ids = pc.dictionary_encode(table["text"].combine_chunks()).indices  # equal texts
    write_table(table.append_column("text_id", text_ids), folder / "table.arrow")


def _count_repeats(table: pa.Table, parts: dict[Part, np.ndarray]) -> Repeats:
    ids, labels = table["text_id"].to_numpy(), table["label"].to_numpy()
    pairs = np.unique(np.stack([ids, labels], axis=1), axis=0)
    labels_of_text = np.unique(pairs[:, 0], return_counts=True)[1]
    used = ids[np.concatenate([parts["train"], parts["val"]])]
    return Repeats(
        rows=len(ids) - len(labels_of_text),
        conflicting=int((labels_of_text > 1).sum()),
        in_test=int(np.isin(ids[parts["test"]], used).sum()),
    )


def _write_encoded(folder, ids, offsets, vocabulary, parts, repeats) -> None:
    ids.tofile(folder / "ids.bin")
    offsets.tofile(folder / "offsets.bin")
    for part in PARTS:
        parts[part].tofile(folder / f"{part}.bin")
    facts = {"dtype": ids.dtype.name, "words": vocabulary.words, "repeats": repeats}
    (folder / "facts.json").write_text(json.dumps(facts))


def _open(table: pa.Table, folder: Path) -> Prepared:
    facts = json.loads((folder / "facts.json").read_text())
    texts = EncodedTexts(
        ids=open_array(folder / "ids.bin", facts["dtype"]),
        offsets=open_array(folder / "offsets.bin", np.int64),
        labels=table["label"].to_numpy(),
        rows=np.arange(table.num_rows),
    )
    parts = {part: open_array(folder / f"{part}.bin", np.int64) for part in PARTS}
    return Prepared(table, texts, Vocabulary(facts["words"]), parts, Repeats(*facts["repeats"]))
