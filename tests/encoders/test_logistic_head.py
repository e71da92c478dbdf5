"""The output layer of a frozen encoder starts as logistic regression."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from seqtext.embeddings.encoder import EncoderEmbedding
from seqtext.encoders.logistic_head import CANDIDATES, fit_logistic_head
from seqtext.models.pretrained import Pretrained
from tests.models.tiny_encoder import write_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("models") / "tiny", [f"w{n}" for n in range(6)])


def test_the_logistic_head_has_the_lowest_validation_loss():
    """The reference is scikit-learn's, with one fit for each C."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(120, 8)), rng.integers(3, size=120)
    features[:, 0] += labels
    train, val = (features[:60], labels[:60]), (features[60:], labels[60:])
    for weights in (None, [1.0, 2.0, 5.0]):
        losses = {}
        for C in CANDIDATES:
            by_class = None if weights is None else dict(enumerate(weights))
            fitted = LogisticRegression(C=C, class_weight=by_class, tol=1e-6).fit(*train)
            row_weights = None if weights is None else np.array(weights)[val[1]]
            probabilities = fitted.predict_proba(val[0])
            losses[C] = log_loss(val[1], probabilities, sample_weight=row_weights)
        head = fit_logistic_head(train, val, CANDIDATES, weights)
        assert min(losses, key=losses.get) == head.C
        logits = val[0] @ head.weights.T + head.bias
        expected = LogisticRegression(C=head.C, class_weight=by_class, tol=1e-6).fit(*train)
        probabilities = expected.predict_proba(val[0])
        np.testing.assert_allclose(
            softmax(logits, axis=1), expected.predict_proba(val[0]), atol=1e-3
        )


@pytest.mark.filterwarnings("error")
def test_probabilities_of_zero_have_a_finite_loss():
    """A feature may be thousands of its deviations away in the validation part."""
    rng = np.random.default_rng(0)
    for classes in (2, 3):
        features, labels = rng.normal(size=(60, 4)), np.arange(60) % classes
        features[:, 0] += labels
        val = features * np.array([1e5, 1, 1, 1]), labels
        head = fit_logistic_head((features, labels), val, CANDIDATES)
        assert CANDIDATES[0] == head.C


LABELS = np.array([0, 1, 0, 1])


def build_with_features(folder, **options) -> Pretrained:
    """Return a frozen model whose features are random, the last one constant in training."""
    model = Pretrained(EncoderEmbedding(10, 6, str(folder)), path=str(folder), **options)
    features = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    features[:4, 5] = 0.5
    parts = {"train": np.arange(4), "val": np.array([4, 5])}
    texts = SimpleNamespace(lengths=np.ones(6))
    dataset = SimpleNamespace(texts=texts, parts=parts)
    labels = np.array([*LABELS, 0, 1])
    data = SimpleNamespace(dataset=dataset, cache=None, training_rows=parts["train"], labels=labels)
    with mock.patch("seqtext.models.pretrained.load_features", return_value=(features, 0.0)):
        model.prepare_features(data)
    return model


@pytest.mark.parametrize("options", [{"C": None}, {"head_units": 3}])
def test_heads_that_are_not_fitted_have_the_full_rate(folder, options):
    assert not build_with_features(folder, **options).get_lr_factors()


def test_a_fitted_head_has_a_small_rate(folder):
    """Features that are constant in the training part have no deviation to be divided by."""
    model = build_with_features(folder, C=0.5)
    assert {*model.get_lr_factors().values()} == {0.01}
    train = model._features[0][:4]
    standardized = (train - train.mean(axis=0)) / np.r_[train.std(axis=0)[:5], 1]
    expected = LogisticRegression(C=0.5).fit(standardized, LABELS)
    np.testing.assert_allclose(model.output.weight.detach(), expected.coef_, atol=1e-3)
