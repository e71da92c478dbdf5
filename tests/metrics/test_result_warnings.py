"""Warnings about results that are less reliable than they seem."""

import numpy as np
import torch

from seqtext.metrics.predictions import Predictions
from seqtext.metrics.result_warnings import find_warnings

NAMES = ["good", "bad", "rare"]
TRAINING = np.array([0, 1, 2] * 10)


def warnings_of(logits: list, labels: list[int], names=NAMES, threshold: float = 0.5) -> list[str]:
    predictions = Predictions(
        np.arange(len(labels)), np.array(labels), torch.tensor(logits), names, threshold
    )
    return find_warnings("the test part", predictions, TRAINING % len(names))


def test_a_good_result_has_none():
    assert not warnings_of([[5.0, 0, 0], [0, 5.0, 0], [0, 0, 5.0]], [0, 1, 2])
    assert not warnings_of([3.0, -2.0], [1, 0], NAMES[:2])


def test_a_constant_classifier():
    said = "The model predicts 'bad' for all 3 rows of the test part."
    assert warnings_of([[0.0, 0.1, 0]] * 3, [0, 1, 2]) == [said]
    assert warnings_of([0.3, 0.2, 0.1], [1, 0, 1], NAMES[:2]) == [said]
    assert warnings_of([0.3, 0.2, -0.1], [1, 0, 1], NAMES[:2], threshold=0.1) == [said]
    assert not warnings_of([0.3, 0.2, -0.1], [1, 0, 1], NAMES[:2])


def test_classes_without_rows():
    (said,) = warnings_of([[5.0, 0, 0], [0, 5.0, 0]], [0, 1])
    assert said == "The test part has no row of 'rare': averages are over the other classes."
    (said,) = warnings_of([[5.0, 0, 0]] * 2, [0, 0])
    assert said == "The test part has no row of 'bad' or 'rare': its scores are hardly informative."


def test_worse_than_the_class_shares():
    (said,) = warnings_of([[5.0, 0, 0], [0, 5.0, 0], [5.0, 0, 0]], [1, 0, 2])
    assert "The loss on the test part, 5.013, is above 1.099" in said


def test_class_names_do_not_steer_a_terminal():
    (said,) = warnings_of([0.3, 0.2], [1, 0], ["a\x1b[31m", "b\u202ec"])
    assert "\x1b" not in said
    assert "\u202e" not in said
