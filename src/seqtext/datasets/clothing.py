"""Women's clothing reviews with one to five stars (Kaggle)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.readers import encode_labels, read_csv
from seqtext.datasets.base import TextDataModule
from seqtext.display import count_noun

FILE = "Womens Clothing E-Commerce Reviews.csv"


class Clothing(TextDataModule):
    """Loads 22,641 reviews, 55 % with five stars and 4 % with one; drops rows without a text."""

    name = "clothing"
    filenames = (FILE, f"{FILE}.zip")
    homepage = "https://www.kaggle.com/datasets/nicapotato/womens-ecommerce-clothing-reviews"
    requires_account = True
    class_names = ("1", "2", "3", "4", "5")
    text_columns = ("Review Text",)
    default_tokenizer: ClassVar = {"max_length": "longest", "vocab_size": 5_000}
    default_cleaning = ("lower", "drop_stopwords", "drop_punctuation")

    def read_tables(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        dropped = 0
        for block in read_csv(paths[0], ["Review Text", "Rating"]):
            written = block.filter(pc.not_equal(pc.utf8_trim_whitespace(block["Review Text"]), ""))
            dropped += block.num_rows - written.num_rows
            label = encode_labels(written, "Rating", self.class_names, paths[0])
            yield pa.table({"text": written["Review Text"], "label": label, "row": written["row"]})
        left_out = count_noun(dropped, "row without a review is", "rows without a review are")
        self.log_notes.append(f"{left_out} left out.")
