"""Women's clothing reviews with one to five stars (study 5; Kaggle)."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.archives import open_csv
from seqtext.data.datamodule import TextDataModule
from seqtext.data.tables import class_numbers, read_csv

log = logging.getLogger(__name__)
FILE = "Womens Clothing E-Commerce Reviews.csv"


class Clothing(TextDataModule):
    """22,641 reviews, 55 % with five stars and 4 % with one; rows without a text are left out."""

    name = "clothing"
    files = (FILE, f"{FILE}.zip")
    page = "https://www.kaggle.com/datasets/nicapotato/womens-ecommerce-clothing-reviews"
    class_names = ("1", "2", "3", "4", "5")
    default_cleaning = ("lower", "drop_stopwords", "drop_punctuation")

    def read(self, paths: Sequence[Path]) -> pa.Table:
        """See `TextDataModule.read`."""
        (path,) = paths
        table = read_csv(open_csv(path), path, ["Review Text", "Rating"])
        written = table.filter(pc.not_equal(pc.utf8_trim_whitespace(table["Review Text"]), ""))
        if dropped := table.num_rows - written.num_rows:
            log.info("%d rows without a review are left out.", dropped)
        label = class_numbers(written, "Rating", self.class_names, path)
        return pa.table({"text": written["Review Text"], "label": label})
