"""Bootstrap over test rows, vectorized over resamples.

A resample is a weight per row, the number of times that the row was drawn. The metrics of
`seqtext.metrics.definitions` are computed from weights, for R resamples at a time. Other metrics
are computed from the drawn rows of each resample.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seqtext.errors import UserError
from seqtext.metrics.calibration import CALIBRATION_METRICS, CalibrationScorer
from seqtext.metrics.definitions import (
    RANKING_METRICS,
    RankingScorer,
    get_count_metrics,
    list_ranking_metrics,
)
from seqtext.reporting.run_files import LoadedPredictions

RESAMPLES = 10_000
RANKED_RESAMPLES = 2_000  # of rank-based metrics, which take a thousand times as long
RESAMPLES_PER_CHUNK = 250  # resamples at a time, which limits the weights to about 10 MB
SEED = 0
SLOW_RESAMPLES = 200  # of metrics without a definition for weights
SLOW_WORK = 50_000_000  # rows times runs times resamples of such metrics, which take minutes
MIN_RESAMPLES = 50  # minimum for a variance
MIN_LOG = -745.0  # logarithm of the smallest positive probability

Scorer = Callable[[np.ndarray], np.ndarray]


def build_scorer(predictions: LoadedPredictions, metric: str) -> Scorer:
    """Build a function from weights [R, N] to the scores [R] of this run.

    A score is NaN if the metric is undefined, such as the recall of a class without rows in the
    resample.
    """
    labels, class_names = predictions.labels, predictions.class_names
    if metric == "loss":
        probs = predictions.probabilities[np.arange(len(labels)), labels]
        losses = (-np.log(probs.clip(np.finfo(float).tiny))).astype(np.float32)
        return lambda weights: weights @ losses / weights.sum(axis=1)
    if metric in list_ranking_metrics(class_names):
        ranking = RankingScorer(labels, predictions.probabilities)
        return lambda weights: ranking.score(metric, weights)
    if metric in CALIBRATION_METRICS:
        calibration = CalibrationScorer(labels, predictions.probabilities)
        return lambda weights: calibration.score(metric, weights)
    if metric in predictions.custom:
        return _build_custom_scorer(predictions, metric)
    count_metrics = get_count_metrics(class_names, predictions.is_ordinal)
    if metric not in count_metrics:
        return _build_slow_scorer(predictions, metric)
    classes = len(class_names)
    cells = np.zeros((len(labels), classes * classes), np.float32)  # one-hot (true, predicted)
    cells[np.arange(len(labels)), labels * classes + predictions.predicted] = 1

    def score(weights: np.ndarray) -> np.ndarray:
        counts = (weights @ cells).reshape(-1, classes, classes).astype(float)
        return count_metrics[metric](counts)

    return score


def has_score(predictions: LoadedPredictions, metric: str) -> bool:
    """Return whether the metric of these predictions is defined and finite."""
    everything = np.ones((1, len(predictions.rows)), np.float32)
    try:
        scorer = build_scorer(predictions, metric)
    except UserError:  # a metric of the run that its settings, which may be untrusted, may not name
        return False
    return bool(np.isfinite(scorer(everything)).all())


def draw_resamples(
    rows: int, metric: str, predictions: Sequence[LoadedPredictions]
) -> Iterator[np.ndarray]:
    """Yield weights [R, N] of all resamples in chunks; deterministic.

    The number of resamples is lower for a metric without a definition for weights.

    Args:
        predictions: predictions of the compared runs
    """
    chunks = _draw_weights(rows, RANKED_RESAMPLES if metric in RANKING_METRICS else RESAMPLES)
    class_names = predictions[0].class_names
    of_any_classes = ("loss", *CALIBRATION_METRICS)
    if metric in (
        *of_any_classes,
        *list_ranking_metrics(class_names),
        *get_count_metrics(class_names, any(each.is_ordinal for each in predictions)),
    ):
        yield from chunks
    else:
        affordable = SLOW_WORK // sum(len(each.rows) for each in predictions)
        yield next(chunks)[: min(SLOW_RESAMPLES, max(affordable, MIN_RESAMPLES))]


def _draw_weights(rows: int, resamples: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(SEED)
    for _ in range(resamples // RESAMPLES_PER_CHUNK):
        drawn = rng.integers(rows, size=(RESAMPLES_PER_CHUNK, rows), dtype=np.int32)
        drawn += (np.arange(RESAMPLES_PER_CHUNK, dtype=np.int32) * rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=RESAMPLES_PER_CHUNK * rows)
        yield counts.reshape(RESAMPLES_PER_CHUNK, rows).astype(np.float32)


def _build_custom_scorer(predictions: LoadedPredictions, metric: str) -> Scorer:
    """Build a scorer of a metric that the run added, from the drawn rows of each resample.

    Raises:
        UserError: if its settings name a class that is not allowed.
    """
    import torch

    from seqtext.config.metrics import build_custom_metrics  # imports lightning

    options = {metric: predictions.custom[metric]}
    built = build_custom_metrics(options, len(predictions.class_names))
    assert built is not None  # there is one
    columns = (predictions.probabilities, predictions.predicted, predictions.labels)
    inputs = [torch.from_numpy(np.ascontiguousarray(column)) for column in columns]

    def score_resample(weights: np.ndarray) -> float:
        drawn = torch.from_numpy(np.repeat(np.arange(len(weights)), weights.astype(int)))
        try:
            return built.compute_one(metric, *(column[drawn] for column in inputs))
        except UserError:  # such as a class without rows
            return np.nan

    return lambda weights: np.array([score_resample(row) for row in weights], float)


def _build_slow_scorer(predictions: LoadedPredictions, metric: str) -> Scorer:
    """Build a scorer that computes the metric of each resample as in training."""
    import torch

    from seqtext.metrics import scores

    with np.errstate(divide="ignore"):
        logs = torch.from_numpy(np.log(predictions.probabilities)).clip(min=MIN_LOG)
    logits = logs[:, 1] - logs[:, 0] if len(predictions.class_names) == 2 else logs
    labels = torch.from_numpy(predictions.labels)

    def score(weights: np.ndarray) -> np.ndarray:
        found = []
        for row in weights:
            drawn = torch.from_numpy(np.repeat(np.arange(len(row)), row.astype(int)))
            with warnings.catch_warnings():  # of torchmetrics, for classes without rows
                warnings.simplefilter("ignore")
                values = scores.compute_metrics(
                    logits[drawn],
                    labels[drawn],
                    predictions.class_names,
                    threshold=predictions.threshold,
                    is_ordinal=predictions.is_ordinal,
                )
            found.append(values.get(metric))
        return np.array(found, float)  # None becomes NaN

    return score
