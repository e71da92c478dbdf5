"""Published results on the same data sets: studies, publications, TF-IDF."""

from importlib import resources
from typing import NamedTuple

import pandas as pd

from seqtext.reporting.runs import Run

FILE = "published_results.csv"
KEYS = ["study", "dataset", "model", "setting", "note"]
PACKAGE_PREFIX = "seqtext."  # of import paths of this package's classes


class StudyData(NamedTuple):
    """Describes the data set of a study.

    class_name: name of the data set class that reads it
    sizes: numbers of rows of its available sources
    """

    class_name: str
    sizes: tuple[int, ...]


STUDY_DATA = {
    "spam": StudyData("Spam", (5_728,)),
    "amazon": StudyData("Amazon", (12_443, 4_000_000)),
    "tweets": StudyData("Tweets", (31_962,)),
    "imdb": StudyData("IMDB", (25_000, 50_000)),
    "clothing": StudyData("Clothing", (22_641, 23_486)),
}
MIN_SHARE_LEFT = 0.8  # minimum share of rows after dropping duplicates and empty texts
MIN_SHARE_TESTED = 0.05  # minimum share of rows in the test part


class PublishedResult(NamedTuple):
    """Published scores on other splits, which are never tested for significance against ours.

    study: "study 1" to "study 5", "published", or "measured" (by others, in one run)
    scores: scores by "val/<metric>" and "test/<metric>"
    note: description of its faults, or of its source
    """

    study: str
    dataset: str
    model: str
    setting: str
    note: str
    scores: dict[str, float]

    @property
    def label(self) -> str:
        """Return the label in the tables' first column."""
        return f"{self.study}: {self.model}" + (f", {self.setting}" if self.setting else "")


def load_published_results(dataset: str) -> list[PublishedResult]:
    """Load the published results on a data set, in the order of the file."""
    with resources.files("seqtext.reporting").joinpath(FILE).open(encoding="utf-8") as stream:
        table = pd.read_csv(stream, keep_default_na=False)
    own = table[table["dataset"] == dataset]
    return [
        PublishedResult(
            **dict(zip(KEYS, key, strict=True)),
            scores=dict(zip(rows["part"] + "/" + rows["metric"], rows["value"], strict=True)),
        )
        for key, rows in own.groupby(KEYS, sort=False)
    ]


def has_study_rows(run: Run) -> bool:
    """Return whether published results on a data set of this name are comparable with a run.

    They are if this package's data set class read the rows, their number is that of the study, and
    enough of them were tested. A user's file may have the same name but other rows, and
    ``split.max_train_examples`` reduces the rows.
    """
    study = STUDY_DATA.get(run.metrics["dataset"])
    settings = run.metrics["settings"]
    target = str((settings.get("dataset") or {}).get("_target_", ""))
    if study is None or not target.startswith(PACKAGE_PREFIX):
        return False
    if target.rpartition(".")[2] != study.class_name:
        return False
    if (settings.get("split") or {}).get("max_train_examples") is not None:
        return False
    rows = sum(run.rows(part) for part in ("train", "val", "test"))
    is_whole = any(MIN_SHARE_LEFT * size <= rows <= size for size in study.sizes)
    return is_whole and run.rows("test") >= MIN_SHARE_TESTED * rows
