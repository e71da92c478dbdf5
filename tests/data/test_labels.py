"""Labels have one spelling in all file formats, and doubtful ones cause a warning."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from seqtext.data.labels import (
    check_labels,
    find_class,
    find_several_labels,
    is_missing_label,
    merge_labels,
    normalize_label,
    normalize_labels,
    sort_labels,
)
from seqtext.data.split import Split
from seqtext.datasets.imdb import IMDB
from seqtext.datasets.table import TableDataset
from seqtext.errors import UserError
from tests.conftest import csv_of, invented_reviews

REVIEWS = [text for text, _ in invented_reviews(90)]


@pytest.mark.parametrize(
    ("label", "spelling"),
    [
        *((same, "1") for same in (1, 1.0, "1", " 1\t", "1.00", "+1", np.int64(1))),
        *(("-2.0", "-2"), ("-0", "0"), ("0.0", "0"), ("4.5", "4.5"), ("1.10", "1.10")),
        *((True, "true"), ("TRUE", "true"), ("False", "false"), ("001", "001"), ("1e3", "1e3")),
        *(("spam ", "spam"), ("Spam", "Spam"), ("\u00a0é", "é"), ("", ""), ("1 star", "1 star")),
    ],
)
def test_spelling_of_a_label(label, spelling):
    assert normalize_label(label) == spelling
    assert normalize_label(spelling) == spelling
    assert normalize_labels(pa.array([str(label), None])).to_pylist() == [spelling, ""]


def test_labels_that_say_that_there_is_none():
    missing = ["", "NaN", "nan", "None", "NA", "N/A", "n/a", "<NA>", "null", "NULL"]
    assert all(map(is_missing_label, missing))
    assert not any(is_missing_label(label, kept=missing) for label in missing[1:])
    assert is_missing_label("", kept=[""])
    assert not any(map(is_missing_label, ["none", "NONE", "na", "neutral", "nano", "0"]))


def test_order():
    numbers = ["10", "9", "-1", "2.5", "1e1"]
    assert sort_labels([*numbers, "b", "a", "inf", "nano", "１"]) == [
        *("-1", "2.5", "9", "10", "1e1"),
        *("a", "b", "inf", "nano", "１"),
    ]


def test_booleans_among_numbers_are_numbers():
    assert merge_labels({"true": 1, "0": 1, "1": 2}) == {"true": "1", "0": "0", "1": "1"}
    for others in ({"true": 1, "false": 1}, {"true": 1, "false": 1, "mixed": 1}):
        assert merge_labels(others) == {label: label for label in others}


def test_case_is_ignored_if_that_is_wanted():
    counts = {"Spam": 2, "spam": 5, "SPAM": 1, "no  spam": 1, "No\u200b Spam": 1, "x": 1}
    assert merge_labels(counts) == {label: label for label in counts}
    merged = merge_labels(counts, ignore_case=True)
    assert {merged[label] for label in ("Spam", "spam", "SPAM")} == {"spam"}
    assert len(set(merged.values())) == 3


def test_class_of_a_label():
    assert find_class("Spam", ["spam", "ham"]) is None
    assert find_class("Spam", ["spam", "ham"], ignore_case=True) == "spam"
    assert find_class("Spam", ["spam", "SPAM"], ignore_case=True) is None
    assert find_class("SPAM", ["spam", "SPAM"], ignore_case=True) == "SPAM"
    assert find_class("true", ["0", "1"]) == "1"
    assert find_class("true", ["no", "yes"]) is None
    assert find_class("1", ["true", "false"]) == "true"
    assert find_class("1", ["true", "false", "maybe"]) is None


def test_warnings():
    (case,) = check_labels(["Spam", "spam", "SPAM", "ham"], "dataset.merge=true")
    assert "case or white space only: 'Spam' and 'spam' and 'SPAM'; dataset.merge=true" in case
    (number,) = check_labels(["4.5", "4.50"])
    assert "equal as numbers: '4.5' and '4.50'" in number
    (several,) = check_labels(["a", "b", "a|b", "c"])
    assert "look like several in one ('a|b')" in several
    assert check_labels(["positive", "negative", "New York, NY", "Buffalo, NY", "a/b"]) == []


@pytest.mark.parametrize(
    ("labels", "several"),
    [
        (["a|b", "b|c", "a|c"], ["a|b", "b|c", "a|c"]),
        (["a;b", "a", "b; a", "b"], ["a;b", "b; a"]),
        (['["a", "b"]', "[]", "x"], ['["a", "b"]', "[]"]),
        (["a|", "|", "a"], []),
        (["a|d", "b|c"], []),
    ],
)
def test_several_labels_in_one(labels, several):
    assert find_several_labels(labels) == several


def write(folder, name: str, labels: list) -> str:
    """Write reviews with these labels in turn."""
    each = [labels[n % len(labels)] for n in range(len(REVIEWS))]
    path = folder / name
    if name.endswith(".csv"):
        shown = ["" if label is None else label for label in each]
        path.write_text(csv_of(list(zip(REVIEWS, shown, strict=True)), ("text", "label")))
    elif name.endswith(".jsonl"):
        rows = [{"text": t, "label": label} for t, label in zip(REVIEWS, each, strict=True)]
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pd.DataFrame({"text": REVIEWS, "label": each}).to_parquet(path)
    return str(path)


def loaded(folder, name: str, labels: list, **options) -> TableDataset:
    data = TableDataset(path=write(folder, name, labels), cache=str(folder / "cache"), **options)
    data.setup()
    return data


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1.0, 2.0, 10.0], ["1", "2", "10"]),
        ([True, False], ["false", "true"]),
        ([1, 2, None], ["1", "2"]),
        ([1.5, 2.0, float("nan")], ["1.5", "2"]),
        (["1", "1.0", "0", "True", "false"], ["0", "1"]),
        (["None", "yes", "no", "n/a", "NaN"], ["no", "yes"]),
    ],
)
def test_the_same_classes_in_every_format(tmp_path, name, labels, classes):
    data = loaded(tmp_path, name, labels)
    assert data.class_names == classes
    none = (None, "None", "n/a", "NaN", "nan")
    kept = [label for label in (labels * 90)[:90] if label not in none and str(label) not in none]
    spelled = {"True": "1", "false": "0"} if "1.0" in labels else {}
    wanted = [normalize_label(spelled.get(label, label)) for label in kept]
    assert [classes[number] for number in data.labels] == wanted


def test_missing_labels_are_told_and_can_be_classes(tmp_path, caplog):
    caplog.set_level("INFO")
    labels = ["NA", "EU", "", "US"]
    data = loaded(tmp_path, "a.csv", labels)
    assert data.class_names == ["EU", "US"]
    assert "45 rows without a label are left out of a.csv: the first is row 1" in caplog.text
    assert "23 rows left out of a.csv with the label 'NA': if it is a class" in caplog.text
    assert loaded(tmp_path, "a.csv", labels, classes=["NA", "EU", "US"]).class_names[0] == "NA"
    with pytest.raises(UserError, match=r"one class only: 'yes'; .*the label 'None': if it is"):
        loaded(tmp_path, "b.csv", ["yes", "None"])
    caplog.clear()
    assert loaded(tmp_path, "c.csv", ["none", "racism"]).class_names == ["none", "racism"]
    assert "The label 'none' is a class like the others" in caplog.text


def test_classes_that_differ_in_case(tmp_path, caplog):
    labels = ["spam", "Spam", "ham", "SPAM ", "ham"]
    assert len(loaded(tmp_path, "a.csv", labels).class_names) == 4
    assert "dataset.ignore_label_case=true makes each of these one class" in caplog.text
    caplog.clear()
    merged = loaded(tmp_path, "a.csv", labels, ignore_label_case=True)
    assert merged.class_names == ["SPAM", "ham"]  # of equally frequent ones the first
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    given = loaded(tmp_path, "a.csv", labels, ignore_label_case=True, classes=["Spam", "ham"])
    assert given.labels.tolist()[:5] == [0, 0, 1, 0, 1]


def test_given_classes_are_spelled_as_labels_are(tmp_path):
    data = loaded(tmp_path, "a.csv", ["2.0", "1"], classes=[2, 1.0])
    assert data.class_names == ["2", "1"]
    assert loaded(tmp_path, "a.jsonl", [True, False], classes=[True, False]).labels[0] == 0
    with pytest.raises(UserError, match=r"dataset\.classes names '1' twice"):
        TableDataset(path="a.csv", classes=["1", 1.0])
    with pytest.raises(UserError, match=r"dataset\.classes=\[\] names no class"):
        TableDataset(path="a.csv", classes=[])


@pytest.mark.parametrize("classes", [None, ["yes", "no"], ["maybe", "yes", "no"]])
def test_dropped_labels(tmp_path, caplog, classes):
    caplog.set_level("INFO")
    labels = ["maybe", "yes", "no"]
    data = loaded(tmp_path, "a.csv", labels, classes=classes, drop_labels=["maybe"])
    assert set(data.class_names) == {"yes", "no"}
    assert len(data.labels) == 60
    assert data.dataset.rows.numbers.tolist()[:3] == [1, 2, 4]
    assert [data.class_names[number] for number in data.labels[:3]] == ["yes", "no", "yes"]
    assert "30 rows with the label 'maybe' left out (dataset.drop_labels)" in caplog.text
    assert data.input_spec()["drop_labels"] == ["maybe"]
    assert len(loaded(tmp_path, "a.csv", labels).labels) == 90, "another entry of the cache"


class Stars(IMDB):
    """Reviews with stars, as class numbers."""

    class_names = ("one", "two", "three")

    def read_tables(self, paths):
        """See `TextDataModule.read_tables`."""
        numbers = [n % 3 for n in range(len(REVIEWS))]
        return pa.table({"text": REVIEWS, "label": numbers})


def test_dropped_labels_of_a_data_set_with_classes_of_its_own(kaggle_dir, tmp_path):
    where = {"dir": str(kaggle_dir), "cache": str(tmp_path / "cache")}
    data = Stars(**where, drop_labels=["two"])
    data.setup()
    assert data.class_names == ["one", "three"]
    assert data.labels.tolist() == [0, 1] * 30
    assert data.dataset.rows.numbers.tolist()[:4] == [0, 2, 3, 5]
    with pytest.raises(UserError, match=r"drop_labels: 'four' is none of the classes one, two"):
        Stars(**where, drop_labels=["four"]).setup()


def test_thousands_of_classes_and_a_column_of_ids(tmp_path):
    texts = [f"text {n}" for n in range(4500)]
    frame = pd.DataFrame({"text": texts, "label": [f"class {n % 1500}" for n in range(4500)]})
    frame.to_parquet(tmp_path / "a.parquet")
    options = {"cache": str(tmp_path / "cache"), "split": Split(test_size=1500, val_size=1500)}
    data = TableDataset(path=str(tmp_path / "a.parquet"), **options)
    data.setup()
    assert len(data.class_names) == 1500
    with pytest.raises(
        UserError, match=r"60 different values in 90 rows, such as .* looks like ids"
    ):
        loaded(tmp_path, "b.csv", list(range(60)))


def test_classes_that_are_numbers_are_quoted_beside_their_counts(tmp_path, caplog):
    caplog.set_level("INFO")
    loaded(tmp_path, "a.csv", ["0", "1"])
    assert re.search(r"train +\d+ rows: \d+ '0', \d+ '1'\n", caplog.text)
