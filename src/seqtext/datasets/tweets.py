"""Hateful and other tweets (Analytics Vidhya's "Twitter Sentiment Analysis")."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from seqtext.data.readers import encode_labels, read_csv
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError

UNLABELLED_FILE = "test.csv"


class Tweets(TextDataModule):
    """Loads 31,962 labelled tweets, 7 % of them hateful; the source double-encodes emoji."""

    name = "tweets"
    filenames = ("train.csv",)
    homepage = (
        "https://huggingface.co/datasets/tweets-hate-speech-detection/tweets_hate_speech_detection"
    )
    class_names = ("other", "hateful")
    default_tokenizer: ClassVar = {"max_length": "longest", "vocab_size": 5_000}
    text_columns = ("tweet",)

    def read_tables(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        for block in read_csv(paths[0], ["label", "tweet"]):
            label = encode_labels(block, "label", ("0", "1"), paths[0])
            yield pa.table({"text": block["tweet"], "label": label})

    def find_own_unlabelled(self) -> Path:
        """Return test.csv, the source's 17,197 tweets without labels: not a test part."""
        if not (path := self.folder() / UNLABELLED_FILE).is_file():
            message = self.build_missing_message([UNLABELLED_FILE], self.folder())
            raise UserError(f"dataset.unlabelled=auto: {message}")
        return path
