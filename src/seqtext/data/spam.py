"""Spam and ham e-mails (study 1; Kaggle's emails.csv)."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from seqtext.data.archives import open_csv
from seqtext.data.datamodule import TextDataModule
from seqtext.data.tables import class_numbers, read_csv


class Spam(TextDataModule):
    """5,728 e-mails, 24 % of them spam; each text begins with "Subject:"."""

    name = "spam"
    files = ("emails.csv", "emails.csv.zip")
    page = "https://github.com/Balakishan77/Spam-Email-Classifier"
    class_names = ("ham", "spam")

    def read(self, paths: Sequence[Path]) -> pa.Table:
        """See `TextDataModule.read`."""
        (path,) = paths
        table = read_csv(open_csv(path), path, ["text", "spam"])
        return pa.table(
            {"text": table["text"], "label": class_numbers(table, "spam", ("0", "1"), path)}
        )
