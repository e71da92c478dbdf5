"""Train a model with the settings of a run on rows in memory, without leaving files."""

import copy
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
from lightning.pytorch.utilities.seed import isolate_rng

from seqtext.config.groups import GROUPS
from seqtext.config.instantiate import build_from_config, resolve_target
from seqtext.config.run_config import is_spelling_read, validate_config
from seqtext.config.stored_settings import forbid_download
from seqtext.data.split import Split
from seqtext.data.split_checks import Part, SplitRows
from seqtext.datasets.base import TextDataModule
from seqtext.inference.load_model import LoadedModel, load_model
from seqtext.lightning_messages import silence_lightning
from seqtext.loggers.base import RunLoggers
from seqtext.run_dir import RunDir
from seqtext.training.calibration import calibrate
from seqtext.training.train import fit
from seqtext.validation import get_option_hints


class InMemoryDataModule(TextDataModule):
    """Provides rows in memory as a data module.

    Args:
        texts: [N] strings, null is an empty text
        labels: [N] class numbers
        class_names: names of class 0, 1, …
        shared: see `TextDataModule`
    """

    name = "rows"

    def __init__(
        self, texts: pa.Array, labels: np.ndarray, class_names: Sequence[str], **shared: Any
    ):
        super().__init__(**shared)
        self.table = pa.table({"text": texts.fill_null(""), "label": labels})
        self.class_names = list(map(str, class_names))

    def locate_files(self) -> tuple[str, Sequence[Path]]:
        return "the rows", []

    def settings(self) -> dict:
        digest = hashlib.blake2b(digest_size=16)
        for column in self.table.columns:
            for chunk in column.chunks:
                for buffer in filter(None, chunk.buffers()):
                    digest.update(buffer)
        return {"rows": digest.hexdigest(), "class_names": self.class_names}

    def read_tables(self, paths: Sequence[Path]) -> pa.Table:
        return self.table

    def _log_summary(self) -> None:
        """Log nothing: the test part is the validation part."""


class ValidationOnlySplit(Split):
    """Splits into train and validation; validation is also used as test part."""

    def _cut(
        self, rows: np.ndarray, texts: SplitRows, official: np.ndarray | None
    ) -> tuple[dict[Part, np.ndarray], list[str]]:
        rows = np.arange(len(texts.labels))  # including those that duplicates=drop would drop
        train, val = self._split_holdout(rows, texts, self.val_size, "split.val_size")
        texts.check_learnable(train, {"val": val})
        return {"train": train, "val": val, "test": val}, []


def train_on_rows(
    loaded_model: LoadedModel, texts: pa.Array, labels: np.ndarray, class_names: Sequence[str]
) -> LoadedModel:
    """Train a model with the settings of another model.

    Args:
        loaded_model: model with the settings
        texts: [N] strings
        labels: [N] class numbers
        class_names: names of class 0, 1, …

    Raises:
        UserError: if the settings or the rows are not valid for training.
    """
    settings = copy.deepcopy(dict(loaded_model.config))
    if isinstance(settings.get("trainer"), dict):
        settings["trainer"]["devices"] = 1
    settings.pop("logger", None)
    for group in ("model", "embedding", "tokenizer"):
        if isinstance(settings.get(group), dict):
            settings[group] = forbid_download(settings[group])
    silence_lightning()
    with tempfile.TemporaryDirectory() as folder, isolate_rng():
        settings["paths"] = {"data_dir": folder, "output_dir": folder, "cache_dir": folder}
        return _train(
            loaded_model, settings, RunDir(Path(folder, "run")), texts, labels, class_names
        )


def _train(
    loaded_model: LoadedModel,
    settings: dict[str, Any],
    folder: RunDir,
    texts: pa.Array,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> LoadedModel:
    options, split = validate_config(settings)
    options.check_for_classes(class_names)
    shared = {
        name: value
        for name, value in settings["dataset"].items()
        if name in get_option_hints(TextDataModule)
        and name not in (*GROUPS["dataset"].runtime_args, *OF_FILES)
    }
    tokenizer = build_from_config("tokenizer", settings["tokenizer"])
    dataset_class: Any = resolve_target("dataset", settings["dataset"]["_target_"])
    if shared.get("batch_size") is None:
        shared["batch_size"] = dataset_class.default_batch_size
    tokenizer.set_defaults(dataset_class.default_tokenizer)
    data = InMemoryDataModule(
        texts,
        labels,
        class_names,
        **shared,
        tokenizer=tokenizer,
        split=ValidationOnlySplit(
            val_size=split.val_size, stratify=split.stratify, seed=split.seed
        ),
        sampling=options.sampling,
        class_weights=options.class_weights,
        seed=options.seed,
        cache=options.paths.cache_dir,
    )
    data.keep_unknown = is_spelling_read(settings)
    data.cleaning = loaded_model.cleaning
    data.text_columns = loaded_model.input_spec.columns
    data.setup()
    L.seed_everything(options.seed, verbose=False)
    result = fit(settings, options, data, folder, RunLoggers())
    calibrate(result.predictions, options, folder)
    return load_model(folder.best_checkpoint)


# set by the checkpoint, or options of files
OF_FILES = (
    *("dir", "download", "cleaning", "stopwords", "drop_labels"),
    *("unlabelled", "unlabelled_column"),
)
