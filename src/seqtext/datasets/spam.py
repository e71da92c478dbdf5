"""Spam and ham e-mails (Kaggle's emails.csv)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from seqtext.data.download import Download
from seqtext.data.readers import encode_labels, read_csv
from seqtext.datasets.base import TextDataModule


class Spam(TextDataModule):
    """Loads 5,728 e-mails, 24 % of them spam; each text begins with "Subject:"."""

    name = "spam"
    filenames = ("emails.csv", "emails.csv.zip")
    homepage = "https://github.com/Balakishan77/Spam-Email-Classifier"
    download_source = Download(
        url="https://raw.githubusercontent.com/Balakishan77/Spam-Email-Classifier/master/spamham.csv",
        page=homepage,
        checksum="sha256:a5d0d75d15d370ef2dd3229b30204b18deab6d3fd249206e89a2c58f901bcc77",
        size=8_954_755,
        name="emails.csv",
    )
    class_names = ("ham", "spam")
    default_tokenizer: ClassVar = {"max_length": 250, "vocab_size": None}

    def read_tables(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        for block in read_csv(paths[0], ["text", "spam"]):
            label = encode_labels(block, "spam", ("0", "1"), paths[0])
            yield pa.table({"text": block["text"], "label": label})
