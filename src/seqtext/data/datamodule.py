"""What all data sets share; one subclass for each data set says what is special about it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from seqtext.data.batches import Batch, BatchLoader, BucketSampler, SortedSampler
from seqtext.data.cache import Cache, code_fingerprint, fingerprint
from seqtext.data.cleaning import check_steps
from seqtext.data.prepare import Prepared, prepare
from seqtext.data.sampling import Sampling, balanced_weights, resampled
from seqtext.data.split import PARTS, Duplicates, Part, Split
from seqtext.data.vocabulary import Vocabulary
from seqtext.options import Count, Seed, UserError, checked

log = logging.getLogger(__name__)

EVALUATION_BATCH = 256  # no gradients to keep, and no result depends on it


class TextDataModule(L.LightningDataModule):
    """One data set, from its files to batches of token ids.

    A subclass gives `name`, `class_names`, `default_cleaning`, the `files` it looks for and the
    `page` to get them from, and the method `read` (how they become a table). The rest is done
    here, once, and kept in a cache that any number of processes may share.

    Args:
        dir: folder of the raw files; None: data/<name>
        download: fetch missing files from their public source into `dir`
        cleaning: names of cleaning steps, in order; None: those of the published study
        max_words: how many words to know, by frequency in the training part; None: all
        length: how many words of a text to use; None: all
        truncate: which end of a longer text to keep
        batch_size: texts in a training batch
        duplicates: what becomes of rows with the same text: into the same part together
            ("group"), the first one only ("drop"), or as any other rows ("keep")
        split: which rows train, choose and judge
        sampling: balance of the training part, see `resampled`; or "class_weights", which a run
            hands to the model's loss
        seed: of the order of training batches
        cache: folder of prepared data
    """

    name: str
    files: tuple[str, ...]  # the first of these in `dir` is read
    page: str  # where a person gets them
    class_names: tuple[str, ...]
    default_cleaning: tuple[str, ...] = ("lower", "keras_filter")

    @checked
    def __init__(
        self,
        dir: str | None = None,
        download: bool = False,
        cleaning: list[str] | None = None,
        max_words: Count | None = 20_000,
        length: Count | None = 400,
        truncate: Literal["head", "tail"] = "tail",
        batch_size: Count = 64,
        duplicates: Duplicates = "group",
        split: Split | None = None,
        sampling: Sampling = "none",
        seed: Seed = 0,
        cache: str = ".cache",
    ):
        super().__init__()
        self.dir, self.download = dir, download
        self.cleaning = list(self.default_cleaning if cleaning is None else cleaning)
        check_steps(self.cleaning)
        self.max_words, self.length, self.truncate = max_words, length, truncate
        self.duplicates = duplicates
        self.batch_size, self.seed = batch_size, seed
        self.split, self.sampling = split or Split(), sampling
        self.cache = Cache(cache)
        self.source = ""  # in words, once it is found
        self.data: Prepared | None = None

    def find(self) -> tuple[str, Sequence[Path]]:
        """The source in words, and its files or folders, fetched first if need be.

        Raises:
            UserError: naming the missing file, where to put it and where to get it.
        """
        folder = self.folder()
        for path in (folder / file for file in self.files):
            if path.is_file():
                return str(path), [path]
        raise UserError(self.missing(self.files, folder))

    def missing(self, files: Sequence[str], folder: Path) -> str:
        """What to say where none of these files is in `folder`."""
        names = " or ".join(repr(file) for file in files)
        return f"{folder} does not hold {names}: get the file from {self.page} and put it there."

    def folder(self) -> Path:
        """Where the raw files are looked for.

        Raises:
            UserError: if `dir` was given and is not there (and is not to be downloaded into).
        """
        folder = Path(self.dir or f"data/{self.name}").expanduser()
        if self.dir and not self.download and not folder.is_dir():
            raise UserError(f"dataset.dir={self.dir}: there is no such folder.")
        return folder

    def read(self, paths: Sequence[Path]) -> pa.Table:
        """The rows of the source: `text` (string), `label` (class number).

        A further column `test` (bool) marks the rows of an official test part, where there is one.
        """
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Prepare the data, or find it prepared, and log where it came from."""
        if self.data is not None:
            return
        self.source, paths = self.find()
        log.info("Data set %s from %s.", self.name, self.source)
        self.data = prepare(
            self.cache,
            origin={
                "data": type(self).__qualname__,
                "code": code_fingerprint(type(self)),
                "content": fingerprint(paths),
            },
            read=lambda: self._checked_rows(paths),
            class_names=self.class_names,
            cleaning=self.cleaning,
            split=self.split,
            max_words=self.max_words,
            length=self.length,
            truncate=self.truncate,
            duplicates=self.duplicates,
        )
        repeats = self.data.repeats
        if repeats.rows:
            log.info(
                "  %d rows repeat an earlier text (duplicates=%s); %d texts have unlike labels.",
                repeats.rows,
                self.duplicates,
                repeats.conflicting,
            )
        if repeats.in_test:
            log.warning(
                "  %d test rows have a text that was trained or chosen with.", repeats.in_test
            )
        train = self.data.parts["train"]
        self.training_rows = resampled(train, self.labels[train], self.sampling, self.split.seed)
        if len(self.training_rows) != len(train):
            log.info("  sampling=%s trains on %d rows.", self.sampling, len(self.training_rows))
        for part, counts in self.rows().items():
            each = ", ".join(f"{count} {name}" for name, count in counts.items())
            log.info("  %-5s %6d rows: %s", part, sum(counts.values()), each)

    def rows(self) -> dict[Part, dict[str, int]]:
        """How many rows of each class each part has."""
        classes = len(self.class_names)
        return {
            part: dict(zip(self.class_names, self.data.class_counts(part, classes), strict=True))
            for part in PARTS
        }

    def class_weights(self) -> list[float] | None:
        """Of the training loss: inverse to frequency with sampling="class_weights", else None."""
        if self.sampling != "class_weights":
            return None
        return balanced_weights(self.labels[self.training_rows], len(self.class_names))

    @property
    def vocabulary(self) -> Vocabulary:
        """Known once the data is set up, as are `labels` and `texts`."""
        return self.data.vocabulary

    @property
    def labels(self) -> np.ndarray:
        """[rows] class numbers of all rows of the source."""
        return self.data.texts.labels

    @property
    def texts(self) -> pa.ChunkedArray:
        """[rows] texts of the source, as they were before cleaning."""
        return self.data.table["text"]

    def _checked_rows(self, paths: Sequence[Path]) -> pa.Table:
        table = self.read(paths)
        if table.num_rows == 0:
            raise UserError(f"{self.source} has no rows: give a file with texts and labels.")
        for column in ("text", "label"):
            if table[column].null_count:
                row = pc.index(pc.is_null(table[column]), True).as_py()
                raise UserError(f"{self.source}, row {row + 1}, has no {column}: fill or drop it.")
        label = pc.cast(table["label"], pa.int64())
        return table.set_column(table.column_names.index("label"), "label", label)

    def train_dataloader(self) -> BatchLoader:
        """Bucketed batches in an order drawn from seed and epoch."""
        lengths = self.data.texts.lengths
        sampler = BucketSampler(self.training_rows, lengths, self.batch_size, self.seed)
        return BatchLoader(self.data.texts, sampler)

    def val_dataloader(self) -> BatchLoader:
        """The validation part, short texts first."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> BatchLoader:
        """The test part, short texts first."""
        return self._evaluation_loader("test")

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """The same batch over there; Lightning's own search through nested lists takes longer."""
        return Batch(*(part.to(device, non_blocking=True) for part in batch))

    def _evaluation_loader(self, part: Part) -> BatchLoader:
        texts, positions = self.data.texts, self.data.parts[part]
        size = max(self.batch_size, EVALUATION_BATCH)
        return BatchLoader(texts, SortedSampler(positions, texts.lengths, size))
