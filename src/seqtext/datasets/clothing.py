"""Women's clothing reviews with one to five stars (study 5; Kaggle)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.readers import class_numbers, read_csv
from seqtext.datasets.base import TextDataModule
from seqtext.display import count_noun

FILE = "Womens Clothing E-Commerce Reviews.csv"


class Clothing(TextDataModule):
    """22,641 reviews, 55 % with five stars and 4 % with one; rows without a text are left out."""

    name = "clothing"
    files = (FILE, f"{FILE}.zip")
    page = "https://www.kaggle.com/datasets/nicapotato/womens-ecommerce-clothing-reviews"
    class_names = ("1", "2", "3", "4", "5")
    text_columns = ("Review Text",)
    default_cleaning = ("lower", "drop_stopwords", "drop_punctuation")

    def read(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        """See `TextDataModule.read`."""
        dropped = 0
        for block in read_csv(paths[0], ["Review Text", "Rating"]):
            written = block.filter(pc.not_equal(pc.utf8_trim_whitespace(block["Review Text"]), ""))
            dropped += block.num_rows - written.num_rows
            label = class_numbers(written, "Rating", self.class_names, paths[0])
            yield pa.table({"text": written["Review Text"], "label": label, "row": written["row"]})
        left_out = count_noun(dropped, "row without a review is", "rows without a review are")
        self.notes.append(f"{left_out} left out.")
