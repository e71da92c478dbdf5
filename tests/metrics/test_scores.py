"""Scores equal scikit-learn's."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from seqtext.errors import UserError
from seqtext.metrics.definitions import get_metric_mode, is_better
from seqtext.metrics.scores import (
    compute_metrics,
    compute_probabilities,
    find_best_threshold,
    list_metrics,
    predict_classes,
)
from seqtext.reporting.bootstrap import build_scorer
from seqtext.reporting.runs import LoadedPredictions


def most_probable(shares: np.ndarray) -> np.ndarray:
    """Return class numbers; of two classes, class 1 from a probability of 0.5."""
    return (shares[:, 1] >= 0.5).astype(int) if shares.shape[1] == 2 else shares.argmax(axis=1)


def expected(labels: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """Compute scores with scikit-learn, without those that do not exist for these labels."""
    predicted, classes = most_probable(shares), shares.shape[1]
    met, there = np.union1d(labels, predicted), np.unique(labels)
    average = {"average": "macro", "labels": met, "zero_division": 0}
    named = {
        "loss": -np.log(shares[np.arange(len(labels)), labels]).mean(),
        "brier": np.square(shares - np.eye(classes)[labels]).sum(axis=1).mean()
        / (2 if classes == 2 else 1),
        "ece": calibration_error(labels, shares),
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": np.mean([(predicted == c)[labels == c].mean() for c in there]),
        "macro_f1": sk.f1_score(labels, predicted, **average),
        "mcc": sk.matthews_corrcoef(labels, predicted) if len(met) > 1 else 0.0,
    }
    ranked = {
        "auroc": [
            sk.roc_auc_score(labels == c, shares[:, c]) for c in there if (labels != c).any()
        ],
        "average_precision": [sk.average_precision_score(labels == c, shares[:, c]) for c in there],
    }
    if classes == 2:
        if 1 in there:
            named |= {
                "precision": sk.precision_score(labels, predicted, zero_division=0),
                "recall": sk.recall_score(labels, predicted),
                "f1": sk.f1_score(labels, predicted),
                "average_precision": sk.average_precision_score(labels, shares[:, 1]),
                "recall_at_precision_98": recall_at(0.98, labels, shares[:, 1]),
            }
        if 0 in there:
            named["specificity"] = sk.recall_score(labels, predicted, pos_label=0)
        return named | ({"auroc": ranked["auroc"][0]} if len(there) == 2 else {})
    each = sk.recall_score(labels, predicted, average=None, labels=there)
    return (
        named
        | {
            "macro_precision": sk.precision_score(labels, predicted, **average),
            "weighted_f1": sk.f1_score(labels, predicted, average="weighted", zero_division=0),
        }
        | {name: np.mean(values) for name, values in ranked.items() if values}
        | {f"recall_c{c}": value for c, value in zip(there, each, strict=True)}
    )


def calibration_error(labels: np.ndarray, shares: np.ndarray) -> float:
    """Compute the mean gap of confidence and accuracy over the rows of 15 intervals."""
    confidence, is_correct = shares.max(axis=1), shares.argmax(axis=1) == labels
    total = 0.0
    for number in range(15):
        rows = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if rows.any():
            total += rows.sum() * abs(confidence[rows].mean() - is_correct[rows].mean())
    return total / len(labels)


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
    assert set(assert_as_expected(logits, labels)) == set(list_metrics(names))


def test_ordered_classes_equal_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=300)
    logits = torch.tensor(rng.normal(size=(300, 5)) + np.eye(5)[labels])
    shares = compute_probabilities(logits)
    names = ["1", "2", "3", "4", "5"]
    for is_ordinal in (False, True):
        predicted = predict_classes(shares, is_ordinal=is_ordinal).numpy()
        got = compute_metrics(logits, torch.tensor(labels), names, is_ordinal=is_ordinal)
        assert got["mae"] == pytest.approx(sk.mean_absolute_error(labels, predicted))
        kappa = sk.cohen_kappa_score(labels, predicted, weights="quadratic")
        assert got["quadratic_kappa"] == pytest.approx(kappa)
        assert got["accuracy"] == pytest.approx((labels == predicted).mean())
        loaded = LoadedPredictions(
            np.arange(300), labels, predicted, shares.numpy(), tuple(names), is_ordinal=is_ordinal
        )
        for name in ("mae", "quadratic_kappa"):
            found = build_scorer(loaded, name)(np.ones((1, 300), np.float32))
            assert found == pytest.approx(got[name], rel=1e-6)
    named = ["low", "mid", "high", "higher", "highest"]
    assert "mae" not in compute_metrics(logits, torch.tensor(labels), named)
    assert "mae" in compute_metrics(logits, torch.tensor(labels), named, is_ordinal=True)
    alone = compute_metrics(torch.eye(5)[[2, 2]] * 9.0, torch.tensor([2, 2]), names)
    assert alone["mae"] == 0
    assert "quadratic_kappa" not in alone, "undefined for one class"


def assert_as_expected(logits: torch.Tensor, labels: np.ndarray) -> dict[str, float]:
    """Check the scores, and those of the report, against scikit-learn's."""
    names = [f"c{number}" for number in range(2 if logits.ndim == 1 else logits.shape[1])]
    shares = compute_probabilities(logits).numpy()
    got = compute_metrics(logits, torch.tensor(labels), names)
    wanted = expected(labels, shares)
    assert got.keys() == wanted.keys() == set(list_metrics(names, labels))
    assert got == pytest.approx(wanted, abs=1e-9)
    said = LoadedPredictions(
        np.arange(len(labels)), labels, most_probable(shares), shares, tuple(names)
    )
    everything = np.ones((1, len(labels)), np.float32)
    reported = {
        name: float(build_scorer(said, name)(everything)[0]) for name in list_metrics(names)
    }
    assert {name: v for name, v in reported.items() if not np.isnan(v)} == pytest.approx(
        got, abs=1e-5
    )
    return got


@settings(max_examples=40)
@given(data=st.data())
def test_equal_scikit_learn_whatever_is_absent(data):
    """Few rows: constant predictions, ties, classes without rows or predictions."""
    classes = data.draw(st.sampled_from([2, 3, 4]))
    rows = data.draw(st.integers(1, 6))
    label = st.integers(0, classes - 1)
    labels = np.array(data.draw(st.lists(label, min_size=rows, max_size=rows)))
    value = st.sampled_from([-3.0, 0.0, 0.5, 40.0])
    count = rows * (1 if classes == 2 else classes)
    logits = torch.tensor(data.draw(st.lists(value, min_size=count, max_size=count)))
    assert_as_expected(logits if classes == 2 else logits.reshape(rows, classes), labels)


CASES = {  # logits, labels, some of the scores, what there is not
    "constant, two classes": (
        [2.0] * 5,
        [0, 0, 1, 1, 1],
        {"mcc": 0, "auroc": 0.5, "recall": 1, "specificity": 0, "macro_f1": 0.375},
        [],
    ),
    "constant, many classes": (
        [[0.1, 0.3, 0.2]] * 7,
        [0, 0, 1, 1, 1, 1, 2],
        {"mcc": 0, "auroc": 0.5, "recall_c0": 0, "recall_c1": 1, "balanced_accuracy": 1 / 3},
        [],
    ),
    "all probabilities equal": (
        [[0.0, 0.0, 0.0]] * 4,
        [0, 1, 2, 2],
        {"mcc": 0, "auroc": 0.5, "accuracy": 0.25, "loss": np.log(3)},
        [],
    ),
    "no row of a class, perfect": (
        [[9.0, 0, 0], [0, 9.0, 0], [8.0, 0, 0]],
        [0, 1, 0],
        {"auroc": 1, "average_precision": 1, "macro_f1": 1, "mcc": 1, "balanced_accuracy": 1},
        ["recall_c2"],
    ),
    "no row of a class that is predicted": (
        [[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]],
        [0, 1, 0],
        {"macro_f1": (2 / 3 + 1 + 0) / 3, "recall_c0": 0.5, "balanced_accuracy": 0.75},
        ["recall_c2"],
    ),
    "no positive row": (
        [-1.0, -2.0, 3.0],
        [0, 0, 0],
        {"specificity": 2 / 3, "accuracy": 2 / 3, "mcc": 0},
        ["recall", "precision", "f1", "auroc", "average_precision", "recall_at_precision_98"],
    ),
    "no negative row": ([-1.0, 3.0], [1, 1], {"recall": 0.5}, ["specificity", "auroc"]),
    "one row": ([[0.0, 1.0, 0.0]], [1], {"accuracy": 1, "mcc": 0, "macro_f1": 1}, ["auroc"]),
}


@pytest.mark.parametrize(("logits", "labels", "some", "absent"), CASES.values(), ids=CASES)
def test_degenerate_cases(logits, labels, some, absent):
    got = assert_as_expected(torch.tensor(logits), np.array(labels))
    assert {name: got[name] for name in some} == pytest.approx(some)
    assert not set(absent) & set(got)
    names = [f"c{number}" for number in range(2 if isinstance(logits[0], float) else 3)]
    assert set(got) | set(absent) <= set(list_metrics(names))


def test_scores_warn_of_nothing():
    """Undefined scores are left out, without warnings."""
    with warnings.catch_warnings(action="error"):
        compute_metrics(
            torch.tensor([[9.0, 0, 0], [0, 9.0, 0]]), torch.tensor([0, 0]), ["a", "b", "c"]
        )
        compute_metrics(torch.tensor([1.0]), torch.tensor([1]), ["a", "b"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_have_no_scores(value):
    with pytest.raises(UserError, match="not finite"):
        compute_metrics(torch.tensor([1.0, value]), torch.tensor([1, 0]), ["a", "b"])


def test_sure_predictions_keep_their_order():
    logits = torch.tensor([30.0, 20.0, 25.0, 18.0])
    assert compute_metrics(logits, torch.tensor([1, 0, 1, 0]), ["no", "yes"])["auroc"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_best_threshold(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=60)
    shares = np.round(rng.random(60) * 0.6 + 0.3 * labels, 1 + seed % 2)  # many are equal
    best = find_best_threshold(torch.tensor(shares), torch.tensor(labels))
    possible = [sk.f1_score(labels, shares >= cut) for cut in np.unique(shares)]
    assert sk.f1_score(labels, shares >= best) == pytest.approx(max(possible))
    assert np.abs(shares - best).min() > 0.004, "between two of them, or below all"


def test_scores_at_another_threshold():
    logits, labels = torch.tensor([-2.0, -1.0, 0.5, 2.0]), torch.tensor([0, 1, 1, 1])
    names = ["no", "yes"]
    at_half, lower = (
        compute_metrics(logits, labels, names),
        compute_metrics(logits, labels, names, threshold=0.2),
    )
    assert [at_half["recall"], lower["recall"]] == pytest.approx([2 / 3, 1])
    assert [at_half["accuracy"], lower["accuracy"]] == pytest.approx([0.75, 1])
    for name in ("loss", "auroc", "average_precision"):
        assert at_half[name] == lower[name]


def test_probability_at_the_threshold_is_class_1():
    logits = torch.tensor([0.0, -1.0, 1.0])
    probabilities = compute_probabilities(logits)
    assert predict_classes(probabilities).tolist() == [1, 0, 1]
    assert predict_classes(probabilities, float(probabilities[1, 1])).tolist() == [1, 1, 1]
    assert compute_metrics(logits, torch.tensor([1, 0, 1]), ["no", "yes"])["accuracy"] == 1


def test_direction():
    assert [get_metric_mode(m) for m in ("val/loss", "val/f1", "loss")] == ["min", "max", "min"]
    of_classes = ("val/recall_loss", "val/recall_x/loss", "recall_a/loss")
    assert [get_metric_mode(metric) for metric in of_classes] == ["max"] * 3


def test_equal_scores_are_told_apart_by_the_loss():
    assert is_better(0.5, None, "val/f1")
    assert is_better(0.5, 0.4, "val/f1", loss=2.0, best_loss=1.0)
    assert is_better(0.5, 0.5, "val/f1", loss=0.9, best_loss=1.0)
    assert not is_better(0.5, 0.5, "val/f1", loss=1.0, best_loss=1.0)
    assert not is_better(0.5, 0.5, "val/f1", loss=0.9)
    assert not is_better(0.5, 0.5, "val/loss", loss=0.5, best_loss=0.5)
