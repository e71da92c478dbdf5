"""Spam and ham e-mails (study 1; Kaggle's emails.csv)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from seqtext.data.download import Download
from seqtext.data.readers import class_numbers, read_csv
from seqtext.datasets.base import TextDataModule


class Spam(TextDataModule):
    """5,728 e-mails, 24 % of them spam; each text begins with "Subject:"."""

    name = "spam"
    files = ("emails.csv", "emails.csv.zip")
    page = "https://github.com/Balakishan77/Spam-Email-Classifier"
    direct = Download(
        url="https://raw.githubusercontent.com/Balakishan77/Spam-Email-Classifier/master/spamham.csv",
        page=page,
        checksum="sha256:a5d0d75d15d370ef2dd3229b30204b18deab6d3fd249206e89a2c58f901bcc77",
        size=8_954_755,
        name="emails.csv",
    )
    class_names = ("ham", "spam")

    def read(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        """See `TextDataModule.read`."""
        for block in read_csv(paths[0], ["text", "spam"]):
            label = class_numbers(block, "spam", ("0", "1"), paths[0])
            yield pa.table({"text": block["text"], "label": label})
