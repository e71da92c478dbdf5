"""Scores of many resamples of the same rows at once, for the bootstrap.

A resample is a weight per row: how often it was drawn. Every metric is computed from weights, for B
resamples at a time, as `seqtext.metrics.definitions` defines it.
"""

from collections.abc import Callable, Iterator

import numpy as np

from seqtext.metrics.definitions import RANKING, Ranking, get_count_metrics, list_ranking_metrics
from seqtext.reporting.runs import Said

RESAMPLES = 10_000
RANKED_RESAMPLES = 2_000  # of metrics that take the order of all rows, a thousand times the work
CHUNK = 250  # resamples at a time, which keeps the weights within some 10 MB
SEED = 0


def resamples(rows: int, metric: str) -> Iterator[np.ndarray]:
    """Weights [b, rows] of all resamples, chunk by chunk; the same at every call."""
    rng = np.random.default_rng(SEED)
    for _ in range((RANKED_RESAMPLES if metric in RANKING else RESAMPLES) // CHUNK):
        drawn = rng.integers(rows, size=(CHUNK, rows), dtype=np.int32)
        drawn += (np.arange(CHUNK, dtype=np.int32) * rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=CHUNK * rows)
        yield counts.reshape(CHUNK, rows).astype(np.float32)


def scorer(said: Said, metric: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from weights [B, N] to this run's scores [B].

    A score is NaN where the metric does not exist: such as the recall of a class that the rows of a
    resample lack.

    Raises:
        KeyError: if no such metric can be computed from predictions.
    """
    if metric == "loss":
        shares = said.probabilities[np.arange(len(said.rows)), said.labels]
        losses = -np.log(shares.clip(np.finfo(float).tiny))
        losses = losses.astype(np.float32)
        return lambda weights: weights @ losses / weights.sum(axis=1)
    classes = len(said.class_names)
    if metric in list_ranking_metrics(said.class_names):
        ranking = Ranking(said.labels, said.probabilities)
        return lambda weights: ranking.score(metric, weights)
    from_counts = get_count_metrics(said.class_names)[metric]
    cells = np.zeros((len(said.rows), classes * classes), np.float32)
    cells[np.arange(len(said.rows)), said.labels * classes + said.predicted] = 1

    def score(weights: np.ndarray) -> np.ndarray:
        return from_counts((weights @ cells).reshape(-1, classes, classes).astype(float))

    return score
