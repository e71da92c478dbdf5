"""The base class of data sets; subclasses define only what is specific to a data set."""

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import lightning as L
import numpy as np
import pyarrow as pa

from seqtext.cache import Cache, digest_json
from seqtext.data.class_balance import ClassWeights, Sampling, compute_class_weights, resample
from seqtext.data.cleaning import DROP_STOPWORDS, TextCleaner, read_stopwords
from seqtext.data.code_fingerprint import digest_code
from seqtext.data.corpus import TokenizedCorpus
from seqtext.data.labels import LabelFilter, normalize_label
from seqtext.data.loaders import DeviceDataset, EncodedDataset
from seqtext.data.preprocessing import PreparedDataset, PreprocessingConfig, prepare
from seqtext.data.raw_dataset import RawDataset, write_rows
from seqtext.data.split import PARTS, Duplicates, Part, Split
from seqtext.datasets.batch_loaders import BatchLoadersMixin
from seqtext.datasets.source_files import SourceFilesMixin
from seqtext.datasets.summary import log_summary
from seqtext.datasets.unlabelled import UnlabelledTextsMixin
from seqtext.distributed import ProcessInfo
from seqtext.errors import UserError
from seqtext.tokenizers.base import Tokenizer
from seqtext.tokenizers.vocabulary import Vocabulary
from seqtext.tokenizers.words import WordTokenizer
from seqtext.validation import PositiveInt, Seed, validate_args

log = logging.getLogger(__name__)


class TextDataModule(
    SourceFilesMixin, UnlabelledTextsMixin, BatchLoadersMixin, L.LightningDataModule
):
    """Prepares a data set, from its files to batches of token ids.

    A subclass sets `name`, `class_names`, `filenames` and `homepage`, optionally the defaults of
    cleaning, tokenizer and batch size, and implements `read_tables`. Splitting, class balance,
    tokenizing, caching and batching are implemented here.

    Args:
        dir: folder of the raw files; None: <data_dir>/<name>
        download: download missing files from their public source into `dir`
        cleaning: names of cleaning steps, in order; None: those of the published study
        stopwords: file with the words that the step drop_stopwords removes; None: scikit-learn's
            list
        tokenizer: unfitted tokenizer, which is copied; None: `WordTokenizer()`
        batch_size: texts in a training batch; None: `default_batch_size` of the data set
        duplicates: "group": rows with the same words after cleaning are in the same part; "drop":
            only the first of them is used; "keep": they are split like other rows
        drop_labels: classes whose rows are dropped; None: none
        split: sizes and seed of the training, validation and test parts
        sampling: class balance of the training part: a value of `resample`; "class_weights", which
            weights the model's loss; or "balanced_batches", see `ClassBalancedBatchSampler`
        class_weights: with sampling="class_weights", see `compute_class_weights`
        unlabelled: file of further texts without labels, from which word vectors may be learned: a
            table, or one text per line (.txt); "auto": the data set's own; None: there are none
        unlabelled_column: its column of texts; None: that of the data set, or the only one
        seed: seed of the order of training batches
        cache: folder of prepared data, which processes may share
    """

    name: str
    class_names: Sequence[str] = ()  # of class 0, 1, …; empty: sorted labels
    dataset: PreparedDataset  # after `setup`
    training_rows: np.ndarray  # [N] after `setup`: rows to train on, after sampling
    default_cleaning: ClassVar[tuple[str, ...]] = ("lower", "keras_filter")
    default_batch_size: ClassVar[int] = 32
    default_tokenizer: ClassVar[Mapping[str, Any]] = MappingProxyType({})  # for options at "auto"
    allow_zero_length_dataloader_with_multiple_devices = True  # fewer rows than processes
    text_columns: Sequence[str | int] = ("text",)  # of the files
    ignore_label_case: bool | None = None  # see `write_rows`
    use_official_split = False  # if split.use_official_split is null
    reads_vocabulary = True  # whether the model reads ids of the tokenizer's vocabulary
    keep_unknown = False  # whether it reads the spelling of unknown tokens

    @validate_args
    def __init__(
        self,
        dir: str | None = None,
        download: bool = False,
        cleaning: list[str] | None = None,
        stopwords: str | None = None,
        tokenizer: Tokenizer | None = None,
        batch_size: PositiveInt | None = None,
        duplicates: Duplicates = "group",
        drop_labels: list[str | int | float | bool] | None = None,
        unlabelled: str | None = None,
        unlabelled_column: str | None = None,
        split: Split | None = None,
        sampling: Sampling = "none",
        class_weights: ClassWeights = "balanced",
        seed: Seed = 0,
        cache: str = ".cache",
    ):
        super().__init__()
        self.dir, self.download = dir, download
        self.cleaning = TextCleaner(
            self.default_cleaning if cleaning is None else cleaning,
            None if stopwords is None else read_stopwords(stopwords),
        )
        self.tokenizer = WordTokenizer() if tokenizer is None else copy.deepcopy(tokenizer)
        self.tokenizer.set_defaults(self.default_tokenizer)
        self.unlabelled_path, self.unlabelled_column = unlabelled, unlabelled_column
        self.duplicates = duplicates
        self.drop_labels = [normalize_label(label) for label in drop_labels or ()]
        self.batch_size = self.default_batch_size if batch_size is None else batch_size
        self.seed = seed
        self.split = split or Split()
        self.sampling, self.weighting = sampling, class_weights
        if class_weights != "balanced" and sampling != "class_weights":
            raise UserError("class_weights needs sampling=class_weights: set both, or neither.")
        self.cache = Cache(cache)
        self.source = ""  # description of the files, once they are located
        self.warnings: list[str] = []  # warnings about the results, caused by the data
        self.files_digest = ""
        self.log_notes: list[str] = []  # notes of `read_tables`, logged in every run
        self.row_warnings: list[str] = []  # its warnings of likely errors
        self.process = ProcessInfo()  # rank and number of the processes that share the rows
        self._on_device: EncodedDataset | DeviceDataset | None = None

    def read_tables(self, paths: Sequence[Path]) -> pa.Table | Iterable[pa.Table]:
        """Read the rows of the source, as one table or in blocks.

        The columns are `text` (string) and `label`: a class number, or a name if `class_names` is
        empty. Optional columns are `part` ("train", "val" or "test") for an official split, and
        `row`, the row number in the source, needed if rows are dropped.
        """
        raise NotImplementedError

    def settings(self) -> dict:
        """Return options that affect the rows, except the files' content, as plain values."""
        return {}

    def input_spec(self) -> dict[str, Any]:
        """Return how to read other files for a model trained on this data, as plain values.

        The keys are `columns` (columns of the text) and `drop_labels` (labels of dropped rows).
        """
        return {
            "columns": [str(column) for column in self.text_columns],
            "drop_labels": self.drop_labels,
        }

    def setup(self, stage: str | None = None) -> None:
        """Prepare the data, or load it from the cache, and log a summary."""
        if hasattr(self, "dataset"):
            return
        self.dataset = prepare(self.cache, *self.locate_rows(), self.build_preprocessing_config())
        self.tokenizer = self.dataset.tokenizer
        self.class_names = self.dataset.rows.class_names
        train = self.dataset.parts["train"]
        self.training_rows = resample(train, self.labels[train], self.sampling, self.split.seed)
        self._log_summary()

    def locate_rows(self) -> tuple[dict[str, Any], Callable[[Path], None]]:
        """Locate the files; return the source of the rows and their writer, for `prepare`."""
        self.source, paths = self.locate_files()
        log.info("Data set %s from %s.", self.name, self.source)
        files = self.cache.watch(paths)
        origin = {
            "data": type(self).__qualname__,
            "code": digest_code(type(self)),
            "content": files.digest,
            "drop_labels": self.drop_labels,
            **self.settings(),
        }
        self.files_digest = self.digest_sources(origin["content"])

        def write(folder: Path) -> None:
            self._write_rows(paths, folder)
            files.check_unchanged()

        return origin, write

    def build_preprocessing_config(self) -> PreprocessingConfig:
        """Collect the options of cleaning, splitting and encoding."""
        official = self.split.use_official_split
        use_official = self.use_official_split if official is None else official
        return PreprocessingConfig(
            self.cleaning,
            self.split,
            use_official,
            self.duplicates,
            self.tokenizer,
            self.keep_unknown,
        )

    def digest_sources(self, content: str) -> str:
        """Return a digest of all files that are read.

        Args:
            content: fingerprint of the files that `locate_files` returns
        """
        return digest_json(
            [type(self).__qualname__, content, self.settings(), self._get_used_stopwords()]
        )

    def fingerprint(self, rows: RawDataset | None = None) -> str:
        """Return a digest of the rows and the stop words, independent of the file format."""
        return digest_json([(rows or self.dataset.rows).digest, self._get_used_stopwords()])

    def _get_used_stopwords(self) -> Sequence[str] | None:
        cleaning = self.cleaning
        return cleaning.stopwords if DROP_STOPWORDS in cleaning.steps else None

    def _log_summary(self) -> None:
        log_summary(self)

    def _write_rows(self, paths: Sequence[Path], folder: Path) -> None:
        self.log_notes, self.row_warnings = [], []
        tables = self.read_tables(paths)
        dropped = LabelFilter(self.drop_labels, self.class_names or None)
        blocks = dropped.filter_rows([tables] if isinstance(tables, pa.Table) else tables)

        def read_all() -> Iterator[pa.Table]:
            yield from blocks
            self.log_notes += dropped.notes()

        write_rows(
            read_all(),
            dropped.class_names,
            self.source,
            folder,
            self.log_notes,
            self.row_warnings,
            self.ignore_label_case,
        )

    def rows(self) -> dict[Part, dict[str, int]]:
        """Count the rows of each class in each part."""
        return {part: self.dataset.class_counts(part) for part in PARTS}

    def class_weights(self) -> list[float] | None:
        """Return [classes] weights of the loss with sampling="class_weights"; else None."""
        if self.sampling != "class_weights":
            return None
        return compute_class_weights(
            self.labels[self.training_rows], self.class_names, self.weighting
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """Return the known tokens; available after `setup`."""
        return self.dataset.tokenizer.vocabulary

    @property
    def labels(self) -> np.ndarray:
        """Return [rows] class numbers; available after `setup`."""
        return self.dataset.rows.labels

    @property
    def texts(self) -> pa.ChunkedArray:
        """Return [rows] texts before cleaning; available after `setup`."""
        return self.dataset.rows.texts

    @property
    def corpus(self) -> TokenizedCorpus:
        """Return the words of all cleaned texts, not truncated; available after `setup`."""
        return self.dataset.corpus
