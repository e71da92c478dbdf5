"""Scores of weighted rows equal those of runs and scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from seqtext.metrics.scores import compute_metrics, compute_probabilities, predict_classes
from seqtext.reporting.bootstrap import RESAMPLES_PER_CHUNK, build_scorer, draw_resamples
from seqtext.reporting.runs import LoadedPredictions

NAMES = {
    2: ("no", "yes"),
    3: ("at_precision_98", "x/dataloader_idx_0", "loss"),
    4: ("a", "b", "c", "d"),
}


def said_of(classes: int, rows: int = 60) -> tuple[LoadedPredictions, torch.Tensor]:
    """Return predictions with ties, and their logits."""
    rng = np.random.default_rng(classes)
    labels = rng.integers(classes, size=rows)
    logits = rng.normal(0, 1, (rows, classes)).round(1) + np.eye(classes)[labels]
    logits = torch.from_numpy(logits[:, 1] if classes == 2 else logits)
    shares = compute_probabilities(logits)
    predicted = predict_classes(shares).numpy()
    said = LoadedPredictions(np.arange(rows), labels, predicted, shares.numpy(), NAMES[classes])
    return said, logits


@pytest.mark.parametrize("classes", NAMES)
def test_every_metric_is_that_of_the_run(classes):
    said, logits = said_of(classes)
    wanted = compute_metrics(logits, torch.from_numpy(said.labels), said.class_names)
    everything = np.ones((1, len(said.rows)), np.float32)
    found = {name: float(build_scorer(said, name)(everything)[0]) for name in wanted}
    assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("classes", NAMES)
def test_weights_are_repeated_rows(classes):
    said, _ = said_of(classes)
    weights = np.random.default_rng(0).integers(0, 4, size=(3, len(said.rows))).astype(np.float32)
    for metric, reference in (
        ("accuracy", lambda y, p, _: sk.accuracy_score(y, p)),
        ("macro_f1", lambda y, p, _: sk.f1_score(y, p, average="macro")),
        ("mcc", lambda y, p, _: sk.matthews_corrcoef(y, p)),
        ("auroc", _area(sk.roc_auc_score)),
        ("average_precision", _area(sk.average_precision_score)),
    ):
        found = build_scorer(said, metric)(weights)
        for row, one in enumerate(weights):
            again = np.repeat(said.rows, one.astype(int))
            wanted = reference(said.labels[again], said.predicted[again], said.probabilities[again])
            assert found[row] == pytest.approx(wanted, abs=1e-5), metric


def _area(area):
    """Area for class 1 of two classes, otherwise the one-vs-rest mean."""

    def value(labels, _, shares):
        classes = [1] if shares.shape[1] == 2 else range(shares.shape[1])
        return np.mean([area(labels == c, shares[:, c]) for c in classes])

    return value


def test_a_class_that_a_resample_lacks():
    """Its recall is undefined; the mean is over the other classes."""
    said, _ = said_of(4)
    weights = (said.labels != 2).astype(np.float32)[None]
    assert np.isfinite(build_scorer(said, "balanced_accuracy")(weights)).all()
    assert np.isfinite(build_scorer(said, "auroc")(weights)).all()


def test_resamples_draw_as_many_rows_and_always_the_same():
    said, _ = said_of(2)
    first, second = (
        next(draw_resamples(50, "accuracy", [said])),
        next(draw_resamples(50, "accuracy", [said])),
    )
    assert first.shape == (RESAMPLES_PER_CHUNK, 50)
    assert (first.sum(axis=1) == 50).all()
    assert (first == second).all()
    assert not (first[0] == first[1]).all()
    assert first.mean(axis=0) == pytest.approx(np.ones(50), abs=0.35)
