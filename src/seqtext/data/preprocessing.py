"""Prepare raw rows as encoded parts in three cached steps: rows, words, ids."""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from seqtext.cache import Cache
from seqtext.data.arrow_io import open_array, open_table, read_blocks, write_table
from seqtext.data.cleaning import TextCleaner
from seqtext.data.corpus import TokenizedCorpus, write_corpus
from seqtext.data.coverage import Coverage, measure_coverage
from seqtext.data.duplicates import DuplicateStats, count_repeats
from seqtext.data.loaders import EncodedDataset
from seqtext.data.raw_dataset import RawDataset
from seqtext.data.split import PARTS, Duplicates, Part, Split
from seqtext.errors import UserError
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.base import Tokenizer
from seqtext.tokenizers.vocabulary import OpenVocabulary


@dataclass(frozen=True)
class PreprocessingConfig:
    """Options of cleaning, splitting and encoding; see `TextDataModule` for each option.

    Attributes:
        use_official_split: whether to use the parts defined by the source
        tokenizer: unfitted tokenizer
        keep_unknown: whether unknown tokens have ids of their own, see `OpenVocabulary`
    """

    cleaning: TextCleaner
    split: Split
    use_official_split: bool
    duplicates: Duplicates
    tokenizer: Tokenizer
    keep_unknown: bool = False

    def settings(self) -> dict:
        """Return all options except cleaning, as plain values."""
        return {
            **({"keep_unknown": True} if self.keep_unknown else {}),
            "split": self.split.settings(),
            "use_official_split": self.use_official_split,
            "duplicates": self.duplicates,
            "tokenizer": self.tokenizer.settings(),
        }


@dataclass(frozen=True)
class PreparedDataset:
    """A data set ready for batching.

    Attributes:
        key: unique name of this preparation in the cache
        rows: rows before cleaning
        texts: encoded and truncated texts
        tokenizer: tokenizer fitted on the training part
        corpus: all words of all texts, known or unknown
        parts: sorted row numbers of each part
        coverage: word coverage of each part
        notes: sentences about the parts, for the log
    """

    key: str
    rows: RawDataset
    texts: EncodedDataset
    tokenizer: Tokenizer
    corpus: TokenizedCorpus
    parts: dict[Part, np.ndarray]
    duplicate_stats: DuplicateStats
    coverage: dict[Part, Coverage] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def fingerprint(self) -> str:
        """Return a digest of rows, parts and vocabulary, which must be equal to resume a run."""
        digest = hashlib.blake2b(self.rows.digest.encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.rows.labels).data)
        for part in PARTS:
            digest.update(self.parts[part].data)
        digest.update(json.dumps(self.tokenizer.vocabulary.tokens).encode())
        return digest.hexdigest()

    def class_counts(self, part: Part) -> dict[str, int]:
        """Count the rows of each class in a part."""
        names = self.rows.class_names
        counts = np.bincount(self.rows.labels[self.parts[part]], minlength=len(names))
        return dict(zip(names, counts.tolist(), strict=True))


def prepare(
    cache: Cache, origin: dict, write_rows: Callable[[Path], None], config: PreprocessingConfig
) -> PreparedDataset:
    """Prepare a data set, or load it from the cache.

    Args:
        origin: description of the source of the rows; with `config` it is the key of cache entries
        write_rows: writes the rows into a folder (see `seqtext.data.raw_dataset`)
    """
    rows = load_rows(cache, origin, write_rows)
    settings, write_words = _describe_words(cache, origin, write_rows, rows, config)

    def write_ids(folder: Path) -> None:
        corpus_folder = cache.get_or_build("tokens", settings, write_words, is_thorough=True)
        _write_ids(folder, rows, TokenizedCorpus.load(corpus_folder), config)

    corpus = cache.load("tokens", settings, write_words, TokenizedCorpus.load)
    return cache.load(
        "ids",
        settings | config.settings(),
        write_ids,
        lambda folder: _load(folder, rows, corpus, config.tokenizer),
    )


def load_rows(cache: Cache, origin: dict, write_rows: Callable[[Path], None]) -> RawDataset:
    """Load the rows of a source before cleaning, see `prepare`."""
    return cache.load("rows", origin, write_rows, RawDataset.load)


def load_parts(
    cache: Cache, origin: dict, write_rows: Callable[[Path], None], config: PreprocessingConfig
) -> dict[Part, np.ndarray]:
    """Return the parts of `prepare` without fitting a tokenizer."""
    rows = load_rows(cache, origin, write_rows)
    words = _describe_words(cache, origin, write_rows, rows, config)
    return _split(rows, cache.load("tokens", *words, TokenizedCorpus.load), config)[0]


def _describe_words(
    cache: Cache,
    origin: dict,
    write_rows: Callable[[Path], None],
    rows: RawDataset,
    config: PreprocessingConfig,
) -> tuple[dict, Callable[[Path], None]]:
    """Return the settings and the writer of the cache entry of all words."""

    def write_words(folder: Path) -> None:
        rows_folder = cache.get_or_build("rows", origin, write_rows, is_thorough=True)
        texts = read_blocks(rows_folder / "texts.arrow", "text")
        write_corpus(texts, np.asarray(rows.text_ids), config.cleaning, folder)

    return {**origin, "cleaning": config.cleaning.settings()}, write_words


def _write_ids(
    folder: Path, rows: RawDataset, corpus: TokenizedCorpus, config: PreprocessingConfig
) -> None:
    parts, notes = _split(rows, corpus, config)
    tokenizer = copy.deepcopy(config.tokenizer)
    tokenizer.fit(corpus, parts["train"])
    if config.keep_unknown:
        tokenizer.vocabulary = OpenVocabulary(tokenizer.vocabulary)
    part_of_row = np.full(len(rows), len(PARTS), np.int8)
    for number, part in enumerate(PARTS):
        part_of_row[parts[part]] = number
    coverage = dict.fromkeys(PARTS, Coverage())
    all_lengths, start = [np.zeros(1, np.int64)], 0
    with (folder / "ids.bin").open("wb") as stream:
        for ids, lengths in tokenizer.encode_corpus(corpus):
            stream.write(ids.data)
            all_lengths.append(lengths)
            stop = start + len(lengths)
            is_empty = np.diff(corpus.offsets[start : stop + 1]) == 0
            groups = part_of_row[start:stop]
            is_known = (ids != UNKNOWN) & (ids < len(tokenizer.vocabulary))
            measured = measure_coverage(is_known, lengths, is_empty, groups, len(PARTS))
            coverage = {p: coverage[p] + m for p, m in zip(PARTS, measured, strict=True)}
            start = stop
    np.cumsum(np.concatenate(all_lengths)).tofile(folder / "offsets.bin")
    for part in PARTS:
        parts[part].tofile(folder / f"{part}.bin")
    vocabulary = tokenizer.vocabulary
    if vocabulary.counts is not None:
        vocabulary.counts.tofile(folder / "counts.bin")
    if isinstance(vocabulary, OpenVocabulary):
        unknown = pa.table({"token": pa.array(vocabulary.unknown_tokens, pa.string())})
        write_table(unknown, folder / "unknown.arrow")
    raw_ids, text_ids, labels = map(np.asarray, (rows.text_ids, corpus.text_ids, rows.labels))
    facts = {
        "tokenizer": tokenizer.state_dict(),
        "total_tokens": vocabulary.total_tokens,
        "duplicates": count_repeats(raw_ids, text_ids, labels, parts),
        "coverage": coverage,
        "notes": notes,
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def _split(
    rows: RawDataset, corpus: TokenizedCorpus, config: PreprocessingConfig
) -> tuple[dict[Part, np.ndarray], list[str]]:
    if config.use_official_split and rows.official is None:
        raise UserError(
            "split.use_official_split=true is not possible: this source has no official test part; "
            "use split.use_official_split=false, or a source that has one."
        )
    return config.split.split_rows(
        labels=np.asarray(rows.labels),
        text_ids=np.asarray(corpus.text_ids),
        class_names=rows.class_names,
        official=np.asarray(rows.official) if config.use_official_split else None,
        duplicates=config.duplicates,
    )


def _load(
    folder: Path, rows: RawDataset, corpus: TokenizedCorpus, tokenizer: Tokenizer
) -> PreparedDataset:
    facts = json.loads((folder / "facts.json").read_text())
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.load_state_dict(facts["tokenizer"])
    vocabulary = tokenizer.vocabulary
    if (folder / "counts.bin").exists():
        vocabulary.counts = open_array(folder / "counts.bin", np.int64)
    vocabulary.total_tokens = facts["total_tokens"]
    if (folder / "unknown.arrow").exists():
        unknown = open_table(folder / "unknown.arrow")["token"].to_pylist()
        vocabulary = tokenizer.vocabulary = OpenVocabulary(vocabulary, unknown)
    return PreparedDataset(
        key=folder.name,
        rows=rows,
        texts=EncodedDataset(
            ids=open_array(folder / "ids.bin", vocabulary.dtype),
            offsets=open_array(folder / "offsets.bin", np.int64),
            labels=rows.labels,
        ),
        tokenizer=tokenizer,
        corpus=corpus,
        parts={part: open_array(folder / f"{part}.bin", np.int64) for part in PARTS},
        duplicate_stats=DuplicateStats(*facts["duplicates"]),
        coverage={part: Coverage(*counts) for part, counts in facts["coverage"].items()},
        notes=facts["notes"],
    )
