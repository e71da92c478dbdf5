"""Further texts without labels, cleaned and split like those of the data set."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqtext.cache import digest_json
from seqtext.data.arrow_io import open_array
from seqtext.data.code_fingerprint import digest_code
from seqtext.data.compression import get_inner_name
from seqtext.data.corpus import TokenizedCorpus, write_corpus
from seqtext.data.duplicates import hash_texts
from seqtext.data.formats import Column
from seqtext.data.readers import read_lines
from seqtext.data.split import PARTS
from seqtext.data.table_reader import TableReader, join_texts
from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.files import check_is_file

log = logging.getLogger(__name__)

AUTO = "auto"  # the data set's own file
TEXT_SUFFIX = ".txt"  # of files with one text per line


@dataclass(frozen=True)
class UnlabelledTexts:
    """Hold texts without labels, on disk.

    Attributes:
        corpus: words of all cleaned texts of the file
        rows: [n] numbers of the texts to use: those without words, and those equal to a text of
            the training, validation or test part, are left out
        digest: digest of the file, of how it was read and cleaned, and of `rows`
    """

    corpus: TokenizedCorpus
    rows: np.ndarray
    digest: str


class UnlabelledTextsMixin:
    """Reads unlabelled texts for `TextDataModule`.

    Attributes:
        unlabelled_path: None: there are none; "auto": the data set's own; else a file
        unlabelled_column: column of the text in that file; None: those of the data set, or the only
            one
    """

    name: str
    unlabelled_path: str | None
    unlabelled_column: str | None
    _unlabelled: UnlabelledTexts | None = None

    def find_own_unlabelled(self) -> Path | None:
        """Return the file of unlabelled texts that the data set comes with, or None.

        A subclass whose data set has one implements it.

        Raises:
            UserError: if the file is missing.
        """
        return None

    def read_own_unlabelled(self, path: Path) -> Iterator[pa.Array]:
        """Read the texts of `find_own_unlabelled` in blocks."""
        yield from self.read_unlabelled_file(path)

    def locate_unlabelled(self) -> Path | None:
        """Return the file of the unlabelled texts; None: there are none.

        Raises:
            UserError: if it is missing.
        """
        if self.unlabelled_path is None:
            return None
        if self.unlabelled_path == AUTO:
            if (own := self.find_own_unlabelled()) is None:
                raise UserError(
                    f"dataset.unlabelled=auto is not possible: dataset={self.name} has no "
                    f"unlabelled texts of its own; give a file."
                )
            return own
        path = Path(self.unlabelled_path).expanduser()
        check_is_file(path, "dataset.unlabelled")
        return path

    def load_unlabelled(self: Any) -> UnlabelledTexts | None:
        """Prepare the unlabelled texts, or load them from the cache; None if there are none.

        They are not part of the vocabulary. Available after `setup`.

        Raises:
            UserError: if the file is missing or damaged, or has no text to use.
        """
        if self._unlabelled is None and (path := self.locate_unlabelled()) is not None:
            self._unlabelled = self._prepare_unlabelled(path)
        return self._unlabelled

    def warn_if_unlabelled_is_unused(self: Any) -> None:
        """Warn, once the model is built, if nothing has read the unlabelled texts."""
        if self.unlabelled_path is not None and self._unlabelled is None:
            warning = (
                f"dataset.unlabelled={self.unlabelled_path} was not read: embedding=word2vec, "
                f"embedding=fasttext, objectives=[virtual_adversarial,entropy,r_drop] and task=lm "
                f"learn from it."
            )
            self.warnings.append(warning)
            log.warning("%s", warning)

    def _prepare_unlabelled(self: Any, path: Path) -> UnlabelledTexts:
        files = self.cache.watch([path])
        is_own = self.unlabelled_path == AUTO
        settings = {
            "data": type(self).__qualname__,
            "code": [digest_code(type(self)), digest_code(write_corpus)],
            "content": files.digest,
            "name": path.name,  # its suffix gives the format
            "columns": [self.unlabelled_column, [str(column) for column in self.text_columns]],
            "is_own": is_own,
            "format": self.get_table_options(path),
            "cleaning": self.cleaning.settings(),
        }

        def write(folder: Path) -> None:
            read = self.read_own_unlabelled if is_own else self.read_unlabelled_file
            write_corpus(read(path), None, self.cleaning, folder)
            files.check_unchanged()

        def write_rows(folder: Path) -> None:
            corpus_folder = self.cache.get_or_build("unlabelled", settings, write, True)
            rows = select_rows(
                TokenizedCorpus.load(corpus_folder),
                self.corpus,
                np.concatenate([self.dataset.parts[part] for part in PARTS]),
            )
            rows.tofile(folder / "rows.bin")

        corpus = self.cache.load("unlabelled", settings, write, TokenizedCorpus.load)
        key = settings | {"dataset": self.dataset.key}
        rows = self.cache.load(
            "unlabelled_rows", key, write_rows, lambda f: open_array(f / "rows.bin", np.int64)
        )
        empty = int((np.diff(corpus.offsets) == 0).sum())
        repeated = len(corpus) - len(rows) - empty
        log.info(
            "Unlabelled texts from %s: %s; left out are %s without words and %s with the text of a "
            "row of the data set.",
            path, count_noun(len(rows), "text"), f"{empty:,}", f"{repeated:,}",
        )  # fmt: skip
        if not len(rows):
            raise UserError(f"dataset.unlabelled={path} holds no text to use: give another file.")
        digest = hashlib.blake2b(digest_json(settings).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(rows).data)
        return UnlabelledTexts(corpus, rows, digest.hexdigest())

    def read_unlabelled_file(self: Any, path: Path) -> Iterator[pa.Array]:
        """Read the texts of a user's file in blocks: a table, or one text per line (.txt).

        Raises:
            UserError: if the file is damaged, or has no column of texts.
        """
        if Path(get_inner_name(path)).suffix.lower() == TEXT_SUFFIX:
            for block in read_lines(path):
                yield block["line"].combine_chunks()
            return
        reader = TableReader(path, **self.get_table_options(path))
        columns = self._find_unlabelled_columns(reader)
        for table in reader.read_columns(columns):
            texts = join_texts(table.columns[: len(columns)])
            yield texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts

    def get_table_options(self, path: Path) -> dict[str, Any]:
        """Return the options of `TableReader` for the format of a file of unlabelled texts."""
        return {}

    def _find_unlabelled_columns(self: Any, reader: TableReader) -> list[Column]:
        names = reader.names
        if self.unlabelled_column is not None:
            reader.find_positions([self.unlabelled_column])  # raises if it is missing
            return [self.unlabelled_column]
        wanted = list(self.text_columns)
        if all(c < len(names) if isinstance(c, int) else c in names for c in wanted):
            return wanted
        if len(names) == 1:
            return [names[0]]
        listed = ", ".join(map(repr, names))
        raise UserError(
            f"{reader.path} has no column {wanted[0]!r} but {listed[:500]}: name that of the texts "
            f"in dataset.unlabelled_column."
        )


def select_rows(
    unlabelled: TokenizedCorpus, corpus: TokenizedCorpus, rows: np.ndarray
) -> np.ndarray:
    """Return the numbers of unlabelled texts that have words and equal no text of the data set.

    Args:
        unlabelled: unlabelled texts
        corpus: texts of the data set
        rows: [n] numbers of the texts of `corpus` that no unlabelled text may equal
    """
    excluded = np.unique(np.concatenate([hash_texts(*block) for block in corpus.iter_rows(rows)]))
    positions = pc.index_in(unlabelled.dictionary, value_set=corpus.dictionary.combine_chunks())
    code_of = pc.fill_null(positions, -1).to_numpy().astype(np.int64)
    kept = [np.empty(0, np.int64)]
    for start, stop, codes in unlabelled.blocks():
        lengths = np.diff(unlabelled.offsets[start : stop + 1])
        shared = code_of[codes]
        starts = np.cumsum(lengths) - lengths
        has_words = lengths > 0
        has_new_word = np.zeros(len(lengths), bool)
        if has_words.any():
            has_new_word[has_words] = np.logical_or.reduceat(shared < 0, starts[has_words])
        hashes = hash_texts(lengths, np.maximum(shared, 0))
        is_labelled = np.isin(hashes, excluded) & ~has_new_word
        kept.append(start + np.flatnonzero(has_words & ~is_labelled))
    return np.concatenate(kept)
