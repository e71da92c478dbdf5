"""Amazon reviews, negative or positive (Zhang et al., 2015, "Character-level
Convolutional Networks for Text Classification"; Kaggle's files in fastText's format)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.readers import encode_labels, read_lines
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError

LABELS = ("__label__1", "__label__2")


class Amazon(TextDataModule):
    """Loads reviews from train.ft.txt and test.ft.txt with lines ``__label__2 title: text``.

    The two files are the official parts.
    """

    name = "amazon"
    filenames = ("train.ft.txt", "test.ft.txt")  # each may have the suffix .bz2
    homepage = "https://www.kaggle.com/datasets/bittlingmayer/amazonreviews"
    requires_account = True
    class_names = ("negative", "positive")
    default_tokenizer: ClassVar = {"max_length": 100, "vocab_size": 10_000, "fit_rows": 100_000}

    def locate_files(self) -> tuple[str, Sequence[Path]]:
        folder, paths = self.folder(), []
        for file in self.filenames:
            choices = [folder / file, folder / f"{file}.bz2"]
            found = [path for path in choices if path.is_file()]
            if not found:
                raise UserError(self.build_missing_message([path.name for path in choices], folder))
            paths.append(found[0])
        return " and ".join(map(str, paths)), paths

    def read_tables(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        for path, part in zip(paths, ("train", "test"), strict=True):
            for block in read_lines(path):
                yield _build_rows(block, path, part)


def _build_rows(block: pa.Table, path: Path, part: str) -> pa.Table:
    lines, width = block["line"], len(LABELS[0])
    labels = block.append_column("label", pc.utf8_slice_codeunits(lines, 0, width))
    return pa.table(
        {
            "text": pc.utf8_slice_codeunits(lines, width + 1),
            "label": encode_labels(labels, "label", LABELS, path),
            "part": pa.repeat(part, len(lines)),
        }
    )
