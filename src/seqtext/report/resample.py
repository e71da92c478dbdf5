"""Scores of many resamples of the same rows at once, for the bootstrap.

A resample is a weight per row: how often it was drawn. Every metric of `seqtext.results.metrics`
is computed from weights, for B resamples at a time.
"""

from collections.abc import Callable, Iterator

import numpy as np

from seqtext.report.runs import Said
from seqtext.results.direction import name_recall

RESAMPLES = 10_000
RANKED_RESAMPLES = 2_000  # of metrics that take the order of all rows, a thousand times the work
CHUNK = 250  # resamples at a time, which keeps the weights within some 10 MB
RANKED_OF_MANY = ("auroc", "average_precision")  # recall_… is that of a class of that name
RANKED = ("auroc", "average_precision", "recall_at_precision_98")
SEED = 0


def resamples(rows: int, metric: str) -> Iterator[np.ndarray]:
    """Weights [b, rows] of all resamples, chunk by chunk; the same at every call."""
    rng = np.random.default_rng(SEED)
    for _ in range((RANKED_RESAMPLES if metric in RANKED else RESAMPLES) // CHUNK):
        drawn = rng.integers(rows, size=(CHUNK, rows), dtype=np.int32)
        drawn += (np.arange(CHUNK, dtype=np.int32) * rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=CHUNK * rows)
        yield counts.reshape(CHUNK, rows).astype(np.float32)


def scorer(said: Said, metric: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from weights [B, N] to this run's scores [B].

    Raises:
        KeyError: if no such metric can be computed from predictions.
    """
    if metric == "loss":
        losses = -np.log(said.probabilities[np.arange(len(said.rows)), said.labels].clip(1e-45))
        losses = losses.astype(np.float32)
        return lambda weights: weights @ losses / weights.sum(axis=1)
    classes = len(said.class_names)
    if metric in (RANKED if classes == 2 else RANKED_OF_MANY):
        return _ranking(said, metric)
    from_counts = _count_metrics(said.class_names)[metric]
    cells = np.zeros((len(said.rows), classes * classes), np.float32)
    cells[np.arange(len(said.rows)), said.labels * classes + said.predicted] = 1

    def score(weights: np.ndarray) -> np.ndarray:
        counts = (weights @ cells).reshape(-1, classes, classes).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return from_counts(counts)

    return score


def _count_metrics(names: tuple[str, ...]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Metrics of counts [B, true class, predicted class], as `seqtext.results.metrics` has them."""
    shared = {
        "accuracy": lambda c: np.trace(c, axis1=1, axis2=2) / c.sum((1, 2)),
        "balanced_accuracy": lambda c: np.nanmean(_hits(c) / c.sum(2), axis=1),
        "macro_f1": _macro_f1,
        "mcc": _mcc,
    }
    if len(names) == 2:
        return shared | {
            "precision": lambda c: np.nan_to_num(c[:, 1, 1] / c[:, :, 1].sum(1)),
            "recall": lambda c: np.nan_to_num(c[:, 1, 1] / c[:, 1].sum(1)),
            "specificity": lambda c: np.nan_to_num(c[:, 0, 0] / c[:, 0].sum(1)),
            "f1": lambda c: _f1(c)[:, 1],
        }
    recalls = {
        name_recall(name): lambda c, k=k: np.nan_to_num(c[:, k, k] / c[:, k].sum(1))
        for k, name in enumerate(names)
    }
    return shared | recalls | {"macro_precision": _macro_precision, "weighted_f1": _weighted_f1}


def _hits(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=1, axis2=2)


def _f1(counts: np.ndarray) -> np.ndarray:
    return np.nan_to_num(2 * _hits(counts) / (counts.sum(1) + counts.sum(2)))


def _met(counts: np.ndarray) -> np.ndarray:
    """[B, C] whether a class occurs, truly or predicted: the others count in no average."""
    return (counts.sum(1) + counts.sum(2)) > 0


def _macro_f1(counts: np.ndarray) -> np.ndarray:
    return (_f1(counts) * _met(counts)).sum(1) / _met(counts).sum(1)


def _macro_precision(counts: np.ndarray) -> np.ndarray:
    precision = np.nan_to_num(_hits(counts) / counts.sum(1))
    return (precision * _met(counts)).sum(1) / _met(counts).sum(1)


def _weighted_f1(counts: np.ndarray) -> np.ndarray:
    support = counts.sum(2)
    return (_f1(counts) * support).sum(1) / support.sum(1)


def _mcc(counts: np.ndarray) -> np.ndarray:
    """Matthews' correlation of any number of classes (Gorodkin, 2004)."""
    total, true, predicted = counts.sum((1, 2)), counts.sum(2), counts.sum(1)
    covariance = _hits(counts).sum(1) * total - (true * predicted).sum(1)
    spread = (total**2 - (true**2).sum(1)) * (total**2 - (predicted**2).sum(1))
    return np.nan_to_num(covariance / np.sqrt(spread))


def _ranking(said: Said, metric: str) -> Callable[[np.ndarray], np.ndarray]:
    """One class against the rest, averaged; class 1 alone for two classes."""
    classes = [1] if len(said.class_names) == 2 else range(len(said.class_names))
    areas = (_auroc, _average_precision, _recall_at_precision_98)
    area = dict(zip(RANKED, areas, strict=True))[metric]
    ordered = []
    for number in classes:
        falling = -said.probabilities[:, number]
        order = np.argsort(falling, kind="stable")
        first_of_ties = np.flatnonzero(np.diff(falling[order], prepend=-np.inf))
        ordered.append((order, (said.labels == number)[order].astype(np.float32), first_of_ties))

    def score(weights: np.ndarray) -> np.ndarray:
        by_row = np.ascontiguousarray(weights.T)  # whole rows are gathered several times faster
        with np.errstate(invalid="ignore", divide="ignore"):
            each = [area(by_row[order], truth, ties) for order, truth, ties in ordered]
        return np.nanmean(each, axis=0)

    return score


def _auroc(weights: np.ndarray, truth: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Share of the pairs whose true row stands first; a tie counts half (Mann and Whitney)."""
    hits = _summed(weights * truth[:, None], ties)
    others = _summed(weights * (1 - truth)[:, None], ties)
    before = others.cumsum(axis=0) - others / 2
    return 1 - (hits * before).sum(0, dtype=float) / (hits.sum(0) * others.sum(0, dtype=float))


def _average_precision(weights: np.ndarray, truth: np.ndarray, ties: np.ndarray) -> np.ndarray:
    hits = _summed(weights * truth[:, None], ties)
    precision = np.nan_to_num(hits.cumsum(axis=0) / _summed(weights, ties).cumsum(axis=0))
    return (hits * precision).sum(0, dtype=float) / hits.sum(0)


def _recall_at_precision_98(weights: np.ndarray, truth: np.ndarray, ties: np.ndarray) -> np.ndarray:
    hits = _summed(weights * truth[:, None], ties).cumsum(axis=0)
    precision = np.nan_to_num(hits / _summed(weights, ties).cumsum(axis=0))
    return np.where(precision >= np.float32(0.98), hits, 0).max(axis=0) / hits[-1]


def _summed(values: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Rows of equal probability as one."""
    return values if len(ties) == len(values) else np.add.reduceat(values, ties, axis=0)
