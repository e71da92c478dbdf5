"""Bootstrap over test rows: the scores of many resamples at once.

A resample is a weight per row: how often the row was drawn. The metrics of
`seqtext.metrics.definitions` are computed from weights, for B resamples at a time. A metric that
is not defined there is computed from the drawn rows themselves, resample by resample.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seqtext.metrics.definitions import (
    RANKING,
    RankingScorer,
    get_count_metrics,
    list_ranking_metrics,
)
from seqtext.reporting.run_files import LoadedPredictions

RESAMPLES = 10_000
RANKED_RESAMPLES = 2_000  # of metrics that take the order of all rows, a thousand times the work
CHUNK = 250  # resamples at a time, which keeps the weights within some 10 MB
SEED = 0
SLOW_RESAMPLES = 200  # of metrics without a definition for weights
SLOW_WORK = 50_000_000  # rows times runs times resamples of such metrics: some minutes
MIN_RESAMPLES = 50  # that still give a variance
MIN_LOG = -745.0  # of the smallest probability above zero

Scorer = Callable[[np.ndarray], np.ndarray]


def build_scorer(predictions: LoadedPredictions, metric: str) -> Scorer:
    """Build a function from weights [R, N] to the scores [R] of this run.

    A score is NaN where the metric does not exist: such as the recall of a class that the rows of a
    resample lack.
    """
    labels, class_names = predictions.labels, predictions.class_names
    if metric == "loss":
        probs = predictions.probabilities[np.arange(len(labels)), labels]
        losses = (-np.log(probs.clip(np.finfo(float).tiny))).astype(np.float32)
        return lambda weights: weights @ losses / weights.sum(axis=1)
    if metric in list_ranking_metrics(class_names):
        ranking = RankingScorer(labels, predictions.probabilities)
        return lambda weights: ranking.score(metric, weights)
    count_metrics = get_count_metrics(class_names)
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
    """Tell whether predictions give this metric, as a finite number for all of their rows."""
    everything = np.ones((1, len(predictions.rows)), np.float32)
    return bool(np.isfinite(build_scorer(predictions, metric)(everything)).all())


def draw_resamples(
    rows: int, metric: str, predictions: Sequence[LoadedPredictions]
) -> Iterator[np.ndarray]:
    """Draw weights [b, rows] of all resamples, chunk by chunk; the same at every call.

    There are few for a metric without a definition for weights.

    Args:
        predictions: of the runs that are compared
    """
    chunks = _draw_weights(rows, RANKED_RESAMPLES if metric in RANKING else RESAMPLES)
    class_names = predictions[0].class_names
    if metric in ("loss", *list_ranking_metrics(class_names), *get_count_metrics(class_names)):
        yield from chunks
    else:
        affordable = SLOW_WORK // sum(len(each.rows) for each in predictions)
        yield next(chunks)[: min(SLOW_RESAMPLES, max(affordable, MIN_RESAMPLES))]


def _draw_weights(rows: int, resamples: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(SEED)
    for _ in range(resamples // CHUNK):
        drawn = rng.integers(rows, size=(CHUNK, rows), dtype=np.int32)
        drawn += (np.arange(CHUNK, dtype=np.int32) * rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=CHUNK * rows)
        yield counts.reshape(CHUNK, rows).astype(np.float32)


def _build_slow_scorer(predictions: LoadedPredictions, metric: str) -> Scorer:
    """Build a scorer that computes each resample's metrics as training does."""
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
            with warnings.catch_warnings():  # torchmetrics', of classes that a resample lacks
                warnings.simplefilter("ignore")
                values = scores.compute_metrics(
                    logits[drawn],
                    labels[drawn],
                    predictions.class_names,
                    threshold=predictions.threshold,
                )
            found.append(values.get(metric))
        return np.array(found, float)  # None becomes nan

    return score
