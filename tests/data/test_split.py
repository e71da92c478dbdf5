"""Parts do not overlap, keep class shares, and never share a text."""

import numpy as np
import pytest

from seqtext.data.split import PARTS, Split
from seqtext.options import OptionError, UserError

NAMES = ("no", "yes")


@pytest.fixture
def rows() -> dict:
    """300 rows, 20 % of class 1; every tenth text repeats the one before."""
    number = np.arange(300)
    return {
        "labels": (number % 5 == 0).astype(int),
        "text_ids": np.where(number % 10 == 1, number - 1, number),
        "class_names": NAMES,
    }


def test_parts_are_a_partition(rows):
    parts = Split(test=0.2, val=0.25).parts(**rows)
    assert tuple(parts) == PARTS
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))
    shares = [len(parts[part]) / 300 for part in PARTS]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.03)


def test_the_same_text_never_stands_in_two_parts(rows):
    parts = Split().parts(**rows)
    texts = [set(rows["text_ids"][part]) for part in parts.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 270


def test_class_shares_are_kept(rows):
    for part in Split(test=0.2, val=0.2).parts(**rows).values():
        assert rows["labels"][part].mean() == pytest.approx(0.2, abs=0.03)


def test_seed_decides(rows):
    one, same, other = (Split(seed=seed).parts(**rows)["test"].tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_counts(rows):
    rows["text_ids"] = np.arange(300)
    parts = Split(test=30, val=20).parts(**rows)
    assert [len(parts[part]) for part in PARTS] == [250, 20, 30]


def test_official_test_part(rows):
    official = np.arange(300) >= 200
    parts = Split(official=True, val=0.1).parts(**rows, official_test=official)
    assert parts["test"].tolist() == list(range(200, 300))
    assert len(parts["val"]) == pytest.approx(20, abs=2)


def test_official_without_one_is_refused(rows):
    with pytest.raises(UserError, match="no official test part"):
        Split(official=True).parts(**rows)


def test_texts_in_both_official_parts_are_reported(rows, caplog):
    rows["text_ids"] = np.arange(300) % 290
    Split(official=True).parts(**rows, official_test=np.arange(300) >= 200)
    assert "10 texts" in caplog.text


def test_class_of_one_row_is_refused(rows):
    rows["labels"] = (np.arange(300) == 7).astype(int)
    with pytest.raises(UserError, match="'yes' has too few"):
        Split().parts(**rows)
    with pytest.raises(UserError, match="one class only"):
        Split(stratify=False).parts(**rows)


def test_unstratified(rows):
    parts = Split(stratify=False).parts(**rows)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))


@pytest.mark.parametrize("size", [0, 1.0, 1.5, -0.1, "half", True, None])
def test_impossible_size_is_refused(size):
    with pytest.raises(OptionError, match="test="):
        Split(test=size)


def test_more_than_there_are_is_refused(rows):
    with pytest.raises(UserError, match=r"split\.val=400"):
        Split(val=400).parts(**rows)


def test_part_of_one_class_is_refused(rows):
    with pytest.raises(UserError, match="val part has rows of one class only"):
        Split(val=1, stratify=False).parts(**rows)
