"""What all data sets share; one subclass for each data set says what is special about it."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import numpy as np
import pyarrow as pa
import torch

from seqtext.cache import Cache, digest
from seqtext.data.class_balance import ClassWeights, Sampling, class_weights, resampled
from seqtext.data.cleaning import DROP_STOPWORDS, Cleaning, read_stopwords
from seqtext.data.code_fingerprint import code_fingerprint
from seqtext.data.coverage import describe_coverage
from seqtext.data.download import Download, fetch
from seqtext.data.labels import DroppedLabels, normalize_label
from seqtext.data.loaders import (
    EVALUATION_TEXTS,
    BalancedSampler,
    Batch,
    BatchLoader,
    BucketSampler,
    EncodedTexts,
    ResidentTexts,
    Sampler,
    SortedSampler,
    placed,
)
from seqtext.data.preprocessing import Prepared, Recipe, prepare
from seqtext.data.raw_dataset import write_rows
from seqtext.data.split import PARTS, Duplicates, Part, Split
from seqtext.data.tokenized import Tokens
from seqtext.display import count_noun, name_classes
from seqtext.distributed import ProcessInfo
from seqtext.errors import UserError
from seqtext.tokenizers.vocabulary import Vocabulary
from seqtext.validation import PositiveInt, Seed, validate_args

log = logging.getLogger(__name__)

MOST_SHOWN = 20  # classes in a line of the log


class TextDataModule(L.LightningDataModule):
    """One data set, from its files to batches of token ids.

    A subclass gives `name`, `class_names`, `default_cleaning`, the `files` it looks for and the
    `page` to get them from, and the method `read` (how they become a table). The rest is done
    here, once, and kept in a cache that any number of processes may share.

    Args:
        dir: folder of the raw files; None: data/<name>
        download: fetch missing files from their public source into `dir`
        cleaning: names of cleaning steps, in order; None: those of the published study
        stopwords: file of the words that the step drop_stopwords drops; None: scikit-learn's list
        max_words: how many words to know, by frequency in the training part; None: all
        vocabulary_rows: count the words of so many training rows only, the first ones; None: all
        length: how many words of a text to use; "longest": as many as the longest training text
            has; None: all
        truncate: which end of a longer text to keep
        batch_size: texts in a training batch
        duplicates: what becomes of rows with the same text: into the same part together
            ("group"), the first one only ("drop"), or as any other rows ("keep"); texts are the
            same if they have the same words after cleaning
        drop_labels: classes whose rows are left out, and counted; None: none
        split: which rows train, choose and judge
        sampling: balance of the training part: see `resampled`; "class_weights", which a run
            hands to the model's loss; "balanced_batches", see `BalancedSampler`
        class_weights: with sampling="class_weights", see `class_weights`
        seed: of the order of training batches
        cache: folder of prepared data
    """

    name: str
    files: tuple[str, ...]  # the first of these in `dir` is read
    page: str  # where a person gets them
    direct: Download | None = None  # where a program does, if it needs no account
    class_names: Sequence[str] | None = None  # of class 0, 1, …; None: as found, in order
    default_cleaning: tuple[str, ...] = ("lower", "keras_filter")
    allow_zero_length_dataloader_with_multiple_devices = True  # fewer rows than processes
    text_columns: Sequence[str] = ("text",)  # where its files have the text
    ignore_label_case: bool | None = None  # see `write_rows`
    official = False  # parts that the source names are used without split.official=true

    @validate_args
    def __init__(
        self,
        dir: str | None = None,
        download: bool = False,
        cleaning: list[str] | None = None,
        stopwords: str | None = None,
        max_words: PositiveInt | None = 20_000,
        vocabulary_rows: PositiveInt | None = None,
        length: PositiveInt | Literal["longest"] | None = 400,
        truncate: Literal["head", "tail"] = "tail",
        batch_size: PositiveInt = 64,
        duplicates: Duplicates = "group",
        drop_labels: list[str | int | float | bool] | None = None,
        split: Split | None = None,
        sampling: Sampling = "none",
        class_weights: ClassWeights = "balanced",
        seed: Seed = 0,
        cache: str = ".cache",
    ):
        super().__init__()
        self.dir, self.download = dir, download
        self.cleaning = Cleaning(
            self.default_cleaning if cleaning is None else cleaning,
            None if stopwords is None else read_stopwords(stopwords),
        )
        self.max_words, self.vocabulary_rows = max_words, vocabulary_rows
        self.length, self.truncate = length, truncate
        self.duplicates = duplicates
        self.drop_labels = [normalize_label(label) for label in drop_labels or ()]
        self.batch_size, self.seed = batch_size, seed
        self.split = split or Split()
        self.sampling, self.weighting = sampling, class_weights
        if class_weights != "balanced" and sampling != "class_weights":
            raise UserError("class_weights needs sampling=class_weights: set both, or neither.")
        self.cache = Cache(cache)
        self.source = ""  # in words, once it is found
        self.warnings: list[str] = []  # of the results, that the data make doubtful
        self.files_digest = ""
        self.notes: list[str] = []  # what `read` has to say of the rows, repeated in every run
        self.row_warnings: list[str] = []  # the same, of what is likely wrong with them
        self.data: Prepared | None = None
        self.process = ProcessInfo()  # of this process, among those that share the rows
        self._placed: EncodedTexts | ResidentTexts | None = None  # for the trainer's device

    def find(self) -> tuple[str, Sequence[Path]]:
        """The source in words, and its files or folders, fetched first if need be.

        Raises:
            UserError: naming the missing file, where to put it and where to get it.
        """
        folder = self.folder()
        if path := self.present(folder):
            return str(path), [path]
        if self.download and self.direct:
            path = fetch(self.direct, folder)
            return f"{path} (downloaded)", [path]
        raise UserError(self.missing(self.files, folder))

    def present(self, folder: Path) -> Path | None:
        """The first of `files` that is in `folder`; those that end in / are folders."""
        for file in self.files:
            path = folder / file
            if path.is_dir() if file.endswith("/") else path.is_file():
                return path
        return None

    def missing(self, files: Sequence[str], folder: Path) -> str:
        """What to say where none of these files is in `folder`."""
        names = " or ".join(repr(file) for file in files)
        said = f"{folder} does not hold {names}: get the file from {self.page} and put it there"
        if self.direct:
            return f"{said}, or set dataset.download=true."
        return f"{said} (there is no download without an account)."

    def folder(self) -> Path:
        """Where the raw files are looked for.

        Raises:
            UserError: if `dir` was given and is not there (and is not to be downloaded into).
        """
        folder = Path(self.dir or f"data/{self.name}").expanduser()
        if self.dir and not self.download and not folder.is_dir():
            raise UserError(f"dataset.dir={self.dir}: there is no such folder.")
        return folder

    def read(self, paths: Sequence[Path]) -> pa.Table | Iterable[pa.Table]:
        """The rows of the source, at once or in blocks: columns `text` (string) and `label`.

        The label is a class number, or a name where `class_names` is None. Two more columns are
        possible: `part` ("train", "val" or "test") of a source that has official ones, and `row`,
        the number in the source where rows are left out.
        """
        raise NotImplementedError

    def settings(self) -> dict:
        """What decides the rows beside the content of the files, as plain values."""
        return {}

    def reading(self) -> dict[str, Any]:
        """How other texts are read for a model of this data, as plain values.

        Known once the data is set up: the most words of a text that are used (None: all), the end
        of a longer one that is kept, the columns that held the texts, and the labels whose rows
        were left out.
        """
        return {
            "length": self.data.length,
            "truncate": self.truncate,
            "columns": [str(column) for column in self.text_columns],
            "drop_labels": self.drop_labels,
        }

    def setup(self, stage: str | None = None) -> None:
        """Prepare the data, or find it prepared, and log what there is to know of it."""
        if self.data is not None:
            return
        self.source, paths = self.find()
        log.info("Data set %s from %s.", self.name, self.source)
        files = self.cache.watch(paths)
        origin = {
            "data": type(self).__qualname__,
            "code": code_fingerprint(type(self)),
            "content": files.digest,
            "drop_labels": self.drop_labels,
            **self.settings(),
        }
        self.files_digest = self.digest_files(origin["content"])

        def write(folder: Path) -> None:
            self._write_rows(paths, folder)
            files.check_unchanged()

        self.data = prepare(self.cache, origin, write, self._recipe())
        self.class_names = self.data.rows.class_names
        train = self.data.parts["train"]
        self.training_rows = resampled(train, self.labels[train], self.sampling, self.split.seed)
        self._log_facts()

    def digest_files(self, content: str) -> str:
        """Return a digest of all that is read from files, as they are on disk.

        Args:
            content: fingerprint of the files that `find` names
        """
        return digest([type(self).__qualname__, content, self.settings(), self._stopwords()])

    def fingerprint(self) -> str:
        """Return a digest of the rows and the stop words, however they were stored."""
        return digest([self.data.rows.digest, self._stopwords()])

    def _stopwords(self) -> Sequence[str] | None:
        cleaning = self.cleaning
        return cleaning.stopwords if DROP_STOPWORDS in cleaning.steps else None

    def _write_rows(self, paths: Sequence[Path], folder: Path) -> None:
        self.notes, self.row_warnings = [], []
        rows = self.read(paths)
        dropped = DroppedLabels(self.drop_labels, self.class_names)
        blocks = dropped.leave_out([rows] if isinstance(rows, pa.Table) else rows)

        def read_on() -> Iterator[pa.Table]:
            yield from blocks
            self.notes += dropped.notes()

        write_rows(
            read_on(),
            dropped.class_names,
            self.source,
            folder,
            self.notes,
            self.row_warnings,
            self.ignore_label_case,
        )

    def _recipe(self) -> Recipe:
        return Recipe(
            cleaning=self.cleaning,
            split=self.split,
            official=self.official if self.split.official is None else self.split.official,
            duplicates=self.duplicates,
            max_words=self.max_words,
            vocabulary_rows=self.vocabulary_rows,
            length=self.length,
            truncate=self.truncate,
        )

    def _log_facts(self) -> None:
        for note in self.data.rows.notes:
            log.info("  %s", note)
        for warning in self.data.rows.warnings:
            self._warn(warning)
        for note in self.data.notes:
            log.info("  %s", note)
        repeats = self.data.repeats
        if repeats.rows or repeats.cleaned:
            log.info(
                "  %s an earlier text as written, %s more after cleaning (duplicates=%s); "
                "%s unlike labels.",
                count_noun(repeats.rows, "row repeats", "rows repeat"),
                f"{repeats.cleaned:,}",
                self.duplicates,
                count_noun(repeats.conflicting, "text has", "texts have"),
            )
        if told := describe_coverage(self.data.coverage, self.cleaning.steps):
            level, sentence = told
            if level == logging.WARNING:
                self._warn(sentence)
            else:
                log.info("  %s", sentence)
        if repeats.in_test:
            rows = count_noun(repeats.in_test, "test row has", "test rows have")
            self._warn(f"{rows} a text that was trained or chosen with.")
        if len(self.training_rows) != len(self.data.parts["train"]):
            log.info(
                "  sampling=%s trains on %s.",
                self.sampling,
                count_noun(len(self.training_rows), "row"),
            )
        for part, counts in self.rows().items():
            names = [name if any(map(str.isalpha, name)) else f"'{name}'" for name in counts]
            named = zip(name_classes(names), counts.values(), strict=True)
            shown = [f"{count} {name}" for name, count in named][:MOST_SHOWN]
            shown += ["…"] * (len(counts) > MOST_SHOWN)
            count = sum(counts.values())
            noun = "row: " if count == 1 else "rows:"
            log.info("  %-5s %6d %s %s", part, count, noun, ", ".join(shown))

    def _warn(self, warning: str) -> None:
        """Log what makes the results doubtful, and keep it for them."""
        self.warnings.append(warning)
        log.warning("  %s", warning)

    def rows(self) -> dict[Part, dict[str, int]]:
        """How many rows of each class each part has."""
        return {part: self.data.class_counts(part) for part in PARTS}

    def class_weights(self) -> list[float] | None:
        """Of the training loss, with sampling="class_weights"; else None."""
        if self.sampling != "class_weights":
            return None
        return class_weights(self.labels[self.training_rows], self.class_names, self.weighting)

    @property
    def vocabulary(self) -> Vocabulary:
        """Known once the data is set up, as are `labels`, `texts` and `tokens`."""
        return self.data.vocabulary

    @property
    def labels(self) -> np.ndarray:
        """[rows] class numbers of all rows."""
        return self.data.rows.labels

    @property
    def texts(self) -> pa.ChunkedArray:
        """[rows] texts as they were before cleaning."""
        return self.data.rows.texts

    @property
    def tokens(self) -> Tokens:
        """All words of all texts after cleaning: not cut to `length`, nor to `max_words`."""
        return self.data.tokens

    def train_dataloader(self) -> BatchLoader:
        """Bucketed batches in an order drawn from seed and epoch."""
        texts, rows = self.data.texts, self.training_rows
        if self.sampling == "balanced_batches":
            sampler = BalancedSampler(
                rows, self.labels[rows], texts.lengths, self.batch_size, self.seed
            )
        else:
            sampler = BucketSampler(rows, texts.lengths, self.batch_size, self.seed)
        return self._loader(sampler, self.process)

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
        tensors = (part.to(device, non_blocking=True) for part in batch[:-1])
        return Batch(*tensors, batch.weight)

    def _evaluation_loader(self, part: Part) -> BatchLoader:
        texts, positions = self.data.texts, self.data.parts[part]
        size = max(self.batch_size, EVALUATION_TEXTS)
        return self._loader(SortedSampler(positions, texts.lengths, size, self.process))

    def _loader(self, sampler: Sampler, process: ProcessInfo = ProcessInfo()) -> BatchLoader:  # noqa: B008
        if self._placed is None and self.trainer is not None:
            self._placed = placed(self.data.texts, self.trainer.strategy.root_device)
        return BatchLoader(self._placed or self.data.texts, sampler, process)
