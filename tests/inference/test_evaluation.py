"""Mapping of labels in other files to the model's classes."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch

from seqtext.errors import UserError
from seqtext.inference.evaluation import LabeledEvaluation


def truth(names: list[str], *blocks: list[str | None], **options) -> LabeledEvaluation:
    found = LabeledEvaluation("mood", names, Path("a.csv"), **options)
    start = 0
    for block in blocks:
        numbers = torch.arange(start, start + len(block), dtype=torch.float32)
        shape = (len(block), len(names)) if len(names) > 2 else (len(block),)
        logits = numbers if len(names) == 2 else numbers[:, None].expand(shape)
        found.add(pa.array(block, pa.string()), logits)
        start += len(block)
    return found


def labels(names: list[str], *blocks: list[str | None], **options) -> list[int]:
    return truth(names, *blocks, **options).predictions(0.5).labels.tolist()


@pytest.mark.parametrize(
    ("names", "given", "expected"),
    [
        (["neg", "pos"], ["pos", " neg ", "POS"], [1, 0, 1]),
        (["1", "2", "3"], ["1.0", "2", "3.00"], [0, 1, 2]),
        (["1.0", "2.0"], ["1", "2.0"], [0, 1]),  # of a model that was trained before
        (["0", "1"], ["True", "false"], [1, 0]),
        (["false", "true"], ["TRUE", "False"], [1, 0]),
        (["true", "false"], ["1", "0.0", "True"], [0, 1, 0]),  # not their places
        (["NA", "EU"], ["NA", "EU"], [0, 1]),
        (["2", "1", "0"], ["0", "1", "2"], [2, 1, 0]),
        (["pos", "POS"], ["POS", "pos"], [1, 0]),
    ],
)
def test_a_name_wins(names, given, expected):
    assert labels(names, given) == expected


def test_numbers_of_classes_are_told():
    found = truth(["neg", "pos"], ["1", "1"], ["0.0", "1"])
    assert found.predictions(0.5).labels.tolist() == [1, 1, 0, 1]
    (note,) = found.notes()
    assert "read as the model's classes in order: 0 as neg, 1 as pos" in note
    assert truth(["neg", "pos"], ["neg", "pos"]).notes() == []


@pytest.mark.parametrize(
    ("names", "blocks", "said"),
    [
        (
            ["neg", "pos"],
            [["1", "2"]],
            "row 2, column 'mood': '2' is none of the classes",
        ),
        (["a", "b", "c"], [["1", "2"]], "the labels 1, 2 may be numbers from 0 or from 1 on"),
        (["neg", "pos"], [["1"], ["1"]], "may be numbers from 0 or from 1 on"),
        (["neg", "pos"], [["pos"], ["neg", "0"]], r"row 3, column 'mood': '0' is none of"),
        (["1 star", "2 stars"], [["0", "1"]], r"row 1, column 'mood': '0' is none of"),
        (["1.5", "2.5"], [["0", "1"]], "'0' is none of the classes"),
        (["spam", "SPAM"], [["Spam"]], "'Spam' is none of the classes"),
        (["neg", "pos"], [["meh"]], "'meh' is none of the classes"),
        (["neg", "pos"], [["nan", None, ""]], "no rows with a label"),
        (["neg", "pos"], [], "has no rows"),
    ],
)
def test_labels_that_are_not_clear(names, blocks, said):
    with pytest.raises(UserError, match=said):
        truth(names, *blocks).predictions(0.5)


def test_rows_without_a_label_are_not_scored():
    found = truth(["neg", "pos"], ["pos", None, "NaN"], ["", "neg", "mixed"], drop_labels=["mixed"])
    predictions = found.predictions(0.5)
    assert predictions.rows.tolist() == predictions.logits.tolist() == [0, 4]
    assert predictions.labels.tolist() == [1, 0]
    (note,) = found.notes()
    assert note.startswith("4 of 6 rows have no label, or one that training left out")


def test_other_spellings_are_told():
    (note,) = truth(["neg", "pos"], ["Pos", "neg"]).notes()
    assert "'Pos' as 'pos'" in note
