"""Splits do not overlap, keep class proportions, and never share a text."""

import numpy as np
import pytest

from seqtext.data.split import PARTS, Split
from seqtext.errors import OptionError, UserError

NAMES = ("no", "yes")


@pytest.fixture
def rows() -> dict:
    """300 rows, 20 % of class 1; every tenth text equals the one before."""
    number = np.arange(300)
    return {
        "labels": (number % 5 == 0).astype(int),
        "text_ids": np.where(number % 10 == 1, number - 1, number),
        "class_names": NAMES,
    }


def test_parts_are_a_partition(rows):
    parts = Split(test_size=0.2, val_size=0.25).parts(**rows)
    assert tuple(parts) == PARTS
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))
    shares = [len(parts[part]) / 300 for part in PARTS]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.03)


def test_the_same_text_never_stands_in_two_parts(rows):
    parts = Split().parts(**rows)
    texts = [set(rows["text_ids"][part]) for part in parts.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 270


def test_class_shares_are_kept(rows):
    for part in Split(test_size=0.2, val_size=0.2).parts(**rows).values():
        assert rows["labels"][part].mean() == pytest.approx(0.2, abs=0.03)


def test_seed_decides(rows):
    one, same, other = (Split(seed=seed).parts(**rows)["test"].tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_counts(rows):
    rows["text_ids"] = np.arange(300)
    parts = Split(test_size=30, val_size=20).parts(**rows)
    assert [len(parts[part]) for part in PARTS] == [250, 20, 30]


def test_official_test_part(rows):
    official = np.where(np.arange(300) >= 200, 2, 0)
    parts = Split(val_size=0.1).parts(**rows, official=official)
    assert parts["test"].tolist() == list(range(200, 300))
    assert len(parts["val"]) == pytest.approx(20, abs=2)


def test_official_validation_part(rows):
    official = np.arange(300) % 3 % 2
    parts = Split(test_size=0.1).parts(**rows, official=official)
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
    with pytest.raises(OptionError, match="test_size="):
        Split(test_size=size)


def test_more_than_there_are_is_refused(rows):
    with pytest.raises(UserError, match=r"split\.val_size=400"):
        Split(val_size=400).parts(**rows)


def test_part_of_one_class_is_refused(rows):
    with pytest.raises(UserError, match="val part has rows of one class only"):
        Split(val_size=1, stratify=False).parts(**rows)


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
    "options",
    [{"folds": 5, "fold": 5}, {"fold": 1}, {"folds": 1}, {"folds": 3, "use_official_split": True}],
)
def test_impossible_folds_are_refused(options):
    with pytest.raises(UserError, match="fold"):
        Split(**options)


def test_more_folds_than_rows_of_a_class(rows):
    with pytest.raises(UserError, match=r"too few rows for a stratified split .* at least 101"):
        Split(folds=100).parts(**rows)


OFFICIAL = np.repeat([0, 1, 2], [200, 40, 60])


@pytest.mark.parametrize(("limit", "count"), [(0.5, 0.5), (100, 100), (21, 21), (10_000, 1.0)])
@pytest.mark.parametrize("duplicates", ["group", "drop", "keep"])
@pytest.mark.parametrize(
    ("options", "official"),
    [
        ({}, None),
        ({"test_size": 31, "val_size": 17, "stratify": False}, None),
        ({"folds": 4, "fold": 2}, None),
        ({}, OFFICIAL),
        ({"val_size": 0.3}, np.where(OFFICIAL == 1, 0, OFFICIAL)),
        ({}, np.where(OFFICIAL == 2, 0, OFFICIAL)),
    ],
)
def test_limit_cuts_the_training_part_alone(rows, limit, count, duplicates, options, official):
    given = rows | {"official": official, "duplicates": duplicates}
    whole = Split(**options).parts(**given)
    parts = Split(**options, max_train_examples=limit).parts(**given)
    assert parts["val"].tolist() == whole["val"].tolist()
    assert parts["test"].tolist() == whole["test"].tolist()
    assert set(parts["train"]) <= set(whole["train"])
    most = round(count * len(whole["train"])) if isinstance(count, float) else count
    assert len(parts["train"]) == most
    assert (np.diff(parts["train"]) > 0).all()
    if options.get("stratify", True):
        shares = [rows["labels"][part["train"]].mean() for part in (parts, whole)]
        assert shares[0] == pytest.approx(shares[1], abs=1 / most)


def test_rows_of_a_lower_limit_are_among_those_of_a_higher_one(rows):
    few, more = (set(Split(max_train_examples=limit).parts(**rows)["train"]) for limit in (20, 100))
    assert few < more


def test_limit_keeps_a_row_of_each_class():
    labels = np.repeat(np.arange(12), [500, *[9] * 11])
    given = {
        "labels": labels,
        "text_ids": np.arange(len(labels)),
        "class_names": list("abcdefghijkl"),
    }
    parts = Split(test_size=0.4, val_size=0.4, max_train_examples=12).parts(**given)
    assert sorted(labels[parts["train"]]) == list(range(12))
    with pytest.raises(
        UserError, match=r"max_train_examples=11 is not possible: 11 .* of 12 classes"
    ):
        Split(test_size=0.4, val_size=0.4, max_train_examples=11).parts(**given)


def test_official_parts_are_not_cut_anew_without_a_word(rows):
    rows["text_ids"] = np.arange(300) % 240  # the test part repeats texts of the training part
    with pytest.raises(UserError, match=r"All 60 rows of the source's test part repeat texts"):
        Split().parts(**rows, official=OFFICIAL, duplicates="drop")
    rows["text_ids"][299] = 999
    parts, notes = Split().split_rows(
        **rows, official=np.repeat([0, 2], [150, 150]), duplicates="drop"
    )
    assert parts["test"].tolist() == [*range(150, 240), 299]
    assert "59 of 150 rows of the source's test part repeat an earlier text" in notes[1]
    assert "The source names no val part: split.val_size=0.1 cuts it from train" in notes[0]


def test_texts_that_all_have_unlike_labels(rows):
    rows["labels"], rows["text_ids"] = np.arange(300) % 2, np.arange(300) // 2
    said = r"'yes' has 150 rows to divide, but the same texts have other labels"
    with pytest.raises(UserError, match=said):
        Split().parts(**rows)
    assert Split(stratify=False).parts(**rows)


def test_class_without_rows(rows):
    with pytest.raises(UserError, match=r"'more' has no rows: .*drop_labels=\[more\]"):
        Split().parts(**rows | {"class_names": [*NAMES, "more"]})


def test_named_part_of_one_class_is_not_blamed_on_the_sizes(rows):
    official = np.where((np.arange(300) > 200) & (rows["labels"] == 0), 2, 0)
    with pytest.raises(UserError, match=r"test part has .* one class only, 'no' .*source names"):
        Split().parts(**rows, official=official)


def test_dropped_duplicates_keep_the_first_row(rows):
    parts = Split().parts(**rows, duplicates="drop")
    chosen = sorted(np.concatenate(list(parts.values())))
    assert chosen == [row for row in range(300) if row % 10 != 1]


def test_kept_duplicates_are_cut_like_any_rows(rows):
    parts = Split().parts(**rows, duplicates="keep")
    assert sorted(np.concatenate(list(parts.values()))) == list(range(300))
    texts = [set(rows["text_ids"][part]) for part in parts.values()]
    assert sum(map(len, texts)) > len(set.union(*texts))
