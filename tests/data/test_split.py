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
    official = np.where(np.arange(300) >= 200, 2, 0)
    parts = Split(val=0.1).parts(**rows, official=official)
    assert parts["test"].tolist() == list(range(200, 300))
    assert len(parts["val"]) == pytest.approx(20, abs=2)


def test_official_validation_part(rows):
    official = np.arange(300) % 3 % 2
    parts = Split(test=0.1).parts(**rows, official=official)
    assert parts["val"].tolist() == list(range(1, 300, 3))
    assert len(parts["test"]) == pytest.approx(20, abs=2)


def test_class_that_cannot_be_learned_is_refused(rows):
    official = np.where(rows["labels"] == 1, 2, 0)
    official[0] = 2
    with pytest.raises(UserError, match=r"'yes' has 60 rows in the test part and none to train"):
        Split(stratify=False).parts(**rows, official=official)


def test_class_of_one_row_is_refused(rows):
    rows["labels"] = (np.arange(300) == 7).astype(int)
    with pytest.raises(UserError, match="'yes' has too few"):
        Split().parts(**rows)
    with pytest.raises(UserError, match="none to train with"):
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


def test_folds_judge_every_row_once(rows):
    tests = [Split(folds=5, fold=fold).parts(**rows)["test"] for fold in range(5)]
    assert sorted(np.concatenate(tests)) == list(range(300))
    for test in tests:
        assert rows["labels"][test].mean() == pytest.approx(0.2, abs=0.04)
    parts = Split(folds=5, fold=2).parts(**rows)
    texts = [set(rows["text_ids"][part]) for part in parts.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 270


def test_unstratified_folds(rows):
    tests = [Split(folds=3, fold=f, stratify=False).parts(**rows)["test"] for f in range(3)]
    assert sorted(np.concatenate(tests)) == list(range(300))


@pytest.mark.parametrize(
    "options", [{"folds": 5, "fold": 5}, {"fold": 1}, {"folds": 1}, {"folds": 3, "official": True}]
)
def test_impossible_folds_are_refused(options):
    with pytest.raises(UserError, match="fold"):
        Split(**options)


def test_more_folds_than_rows_of_a_class(rows):
    with pytest.raises(UserError, match=r"too few rows for a stratified split .* at least 101"):
        Split(folds=100).parts(**rows)


@pytest.mark.parametrize(("limit", "count"), [(0.5, 135), (100, 100)])
def test_limit_keeps_class_shares(rows, limit, count):
    parts = Split(limit=limit).parts(**rows, duplicates="drop")
    chosen = np.concatenate(list(parts.values()))
    assert len(chosen) == len(set(chosen)) == count
    assert rows["labels"][chosen].mean() == pytest.approx(rows["labels"].mean(), abs=0.05)


def test_dropped_duplicates_keep_the_first_row(rows):
    parts = Split().parts(**rows, duplicates="drop")
    chosen = sorted(np.concatenate(list(parts.values())))
    assert chosen == [row for row in range(300) if row % 10 != 1]


def test_kept_duplicates_are_cut_like_any_rows(rows):
    parts = Split().parts(**rows, duplicates="keep")
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))
    texts = [set(rows["text_ids"][part]) for part in parts.values()]
    assert sum(map(len, texts)) > len(set.union(*texts))
