"""What others reported on the same data sets: the studies, publications, TF-IDF."""

from importlib import resources
from typing import NamedTuple

import pandas as pd

FILE = "studies.csv"
KEYS = ["study", "dataset", "model", "setting", "note"]


class Reference(NamedTuple):
    """Scores that were reported elsewhere, on other splits: they are never tested against ours.

    study: "study 1" to "study 5", "published", or "measured" (by others, in one run)
    scores: by "val/<metric>" and "test/<metric>"
    note: what was wrong with it, or what it stands for
    """

    study: str
    dataset: str
    model: str
    setting: str
    note: str
    scores: dict[str, float]

    @property
    def label(self) -> str:
        """As in the tables' first column."""
        return f"{self.study}: {self.model}" + (f", {self.setting}" if self.setting else "")


def references(dataset: str) -> list[Reference]:
    """Those of a data set, in the order of the file."""
    with resources.files("seqtext.report").joinpath(FILE).open(encoding="utf-8") as stream:
        table = pd.read_csv(stream, keep_default_na=False)
    own = table[table["dataset"] == dataset]
    return [
        Reference(*key, dict(zip(rows["part"] + "/" + rows["metric"], rows["value"], strict=True)))
        for key, rows in own.groupby(KEYS, sort=False)
    ]
