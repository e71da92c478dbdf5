"""Scores against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from seqtext.results.direction import direction
from seqtext.results.metrics import best_threshold, metric_names, probabilities, scores


def expected(labels: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    predicted, classes = shares.argmax(axis=1), shares.shape[1]
    named = {
        "loss": sk.log_loss(labels, shares, labels=range(classes)),
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "macro_f1": sk.f1_score(labels, predicted, average="macro", zero_division=0),
        "mcc": sk.matthews_corrcoef(labels, predicted),
    }
    if classes == 2:
        return named | {
            "precision": sk.precision_score(labels, predicted),
            "recall": sk.recall_score(labels, predicted),
            "specificity": sk.recall_score(labels, predicted, pos_label=0),
            "f1": sk.f1_score(labels, predicted),
            "auroc": sk.roc_auc_score(labels, shares[:, 1]),
            "average_precision": sk.average_precision_score(labels, shares[:, 1]),
            "recall_at_precision_98": recall_at(0.98, labels, shares[:, 1]),
        }
    each = sk.recall_score(labels, predicted, average=None, labels=range(classes), zero_division=0)
    truth = np.eye(classes)[labels]
    return (
        named
        | {
            "macro_precision": sk.precision_score(
                labels, predicted, average="macro", zero_division=0
            ),
            "weighted_f1": sk.f1_score(labels, predicted, average="weighted", zero_division=0),
            "auroc": sk.roc_auc_score(labels, shares, multi_class="ovr", average="macro"),
            "average_precision": sk.average_precision_score(truth, shares, average="macro"),
        }
        | {f"recall_c{c}": value for c, value in enumerate(each)}
    )


def recall_at(precision: float, labels: np.ndarray, share: np.ndarray) -> float:
    precisions, recalls, _ = sk.precision_recall_curve(labels, share)
    return recalls[precisions >= precision].max()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_equal_scikit_learn(classes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, size=400, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    logits = rng.normal(size=(400, classes)) + 1.5 * np.eye(classes)[labels]
    logits = logits[:, 1] - logits[:, 0] if classes == 2 else logits
    logits = torch.tensor(logits, dtype=torch.float32)
    names = [f"c{number}" for number in range(classes)]
    got = scores(logits, torch.tensor(labels), names)
    wanted = expected(labels, probabilities(logits).numpy())
    assert got.keys() == wanted.keys() == set(metric_names(names))
    assert got == pytest.approx(wanted, abs=1e-5)


def test_sure_predictions_keep_their_order():
    logits = torch.tensor([30.0, 20.0, 25.0, 18.0])
    assert scores(logits, torch.tensor([1, 0, 1, 0]), ["no", "yes"])["auroc"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_best_threshold(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=60)
    shares = np.round(rng.random(60) * 0.6 + 0.3 * labels, 1 + seed % 2)  # many are equal
    best = best_threshold(torch.tensor(shares), torch.tensor(labels))
    possible = [sk.f1_score(labels, shares >= cut) for cut in np.unique(shares)]
    assert sk.f1_score(labels, shares >= best) == pytest.approx(max(possible))
    assert np.abs(shares - best).min() > 0.004, "between two of them, or below all"


def test_scores_at_another_threshold():
    logits, labels = torch.tensor([-2.0, -1.0, 0.5, 2.0]), torch.tensor([0, 1, 1, 1])
    names = ["no", "yes"]
    at_half, lower = scores(logits, labels, names), scores(logits, labels, names, threshold=0.2)
    assert [at_half["recall"], lower["recall"]] == pytest.approx([2 / 3, 1])
    assert [at_half["accuracy"], lower["accuracy"]] == pytest.approx([0.75, 1])
    for name in ("loss", "auroc", "average_precision"):
        assert at_half[name] == lower[name]


def test_direction():
    assert [direction(m) for m in ("val/loss", "val/f1", "loss")] == ["min", "max", "min"]
    of_classes = ("val/recall_loss", "val/recall_x/loss", "recall_a/loss")
    assert [direction(metric) for metric in of_classes] == ["max"] * 3
