"""Grouping of runs by data set, and the published results that are comparable."""

from pathlib import Path

import pytest

from seqtext.reporting.datasets import group_by_dataset
from seqtext.reporting.published_results import has_study_rows
from seqtext.reporting.runs import Run

TABLE, TWEETS = "seqtext.datasets.table.TableDataset", "seqtext.datasets.tweets.Tweets"


def run(
    name: str = "tweets",
    target: str = TABLE,
    path: str | None = "tweets.csv",
    data: str | None = None,
    classes: tuple[str, ...] = ("no", "yes"),
    rows: int = 31_962,
    test: float = 0.2,
    max_train_examples=None,
    stopwords: str | None = None,
) -> Run:
    """Build a run. rows: of all splits; test: test fraction; data: fingerprint."""
    tested = round(rows * test)
    sizes = {"train": rows - tested, "val": 0, "test": tested}
    metrics = {
        "dataset": name,
        "model": "gru",
        "source": path or f"data/{name}",
        "rows": {
            part: {classes[0]: n, **dict.fromkeys(classes[1:], 0)} for part, n in sizes.items()
        },
        "settings": {
            "dataset": {"_target_": target, "path": path, "stopwords": stopwords},
            "split": {"max_train_examples": max_train_examples},
        },
    }
    if data:
        metrics["fingerprints"] = {"data": data, "vectors": None}
    return Run(Path("run"), metrics)


def sizes(*runs: Run) -> dict[str, int]:
    return {title: len(own) for title, own in group_by_dataset(runs).items()}


def test_a_users_file_is_not_the_set_of_its_name():
    found = group_by_dataset([run(), run(target=TWEETS, path=None)])
    assert [len(own) for own in found.values()] == [1, 1]
    assert list(found) == ["tweets (data/tweets)", "tweets (tweets.csv)"]


def test_files_of_one_name_are_told_by_their_content():
    assert sizes(run(data="a"), run(data="a", path="copy/tweets.csv")) == {"tweets": 2}
    edited = sizes(run(data="a" * 64), run(data="b" * 64))
    assert edited == {"tweets (fingerprint aaaaaaaa)": 1, "tweets (fingerprint bbbbbbbb)": 1}
    assert len(sizes(run(data="a", path="x/a.csv"), run(data="b", path="y/a.csv"))) == 2


def test_older_runs_are_told_by_their_paths():
    assert sizes(run(), run(path="./tweets.csv")) == {"tweets": 2}
    assert len(sizes(run(), run(path="x/tweets.csv"))) == 2
    assert sizes(run(), run(data="a")) == {"tweets": 2}  # the same path, one content
    assert len(sizes(run(), run(data="a"), run(data="b"))) == 3  # nobody knows which


def test_stop_words_are_no_other_data():
    """The digest of a run's data includes them."""
    runs = [run(data="a"), run(data="b", stopwords="s.txt"), run(data="c", stopwords="t.txt")]
    assert sizes(*runs) == {"tweets": 3}
    assert sizes(*runs[1:]) == {"tweets": 2}


def test_other_classes_are_another_task():
    found = sizes(run(data="a"), run(data="a", classes=("1", "2", "3")))
    assert found == {"tweets (classes 1, 2, 3)": 1, "tweets (classes no, yes)": 1}


@pytest.mark.parametrize(
    ("options", "is_study"),
    [
        ({"target": TWEETS}, True),
        ({"target": TWEETS, "rows": 29_530}, True),  # repeated texts dropped
        ({"target": TWEETS, "test": 0.1}, True),
        ({"target": "seqtext.datasets.tweets.Tweets"}, True),  # wherever the class lies
        ({"target": TABLE}, False),
        ({"target": "my_project.Tweets"}, False),
        ({"target": TWEETS, "max_train_examples": 300}, False),
        ({"target": TWEETS, "rows": 300}, False),  # dataset.dir has another train.csv
        ({"target": TWEETS, "rows": 40_000}, False),
        ({"target": TWEETS, "test": 0.001}, False),
        ({"target": TWEETS, "name": "mine"}, False),
    ],
)
def test_others_numbers_stand_beside_the_studys_rows_only(options, is_study):
    assert has_study_rows(run(**options)) is is_study
