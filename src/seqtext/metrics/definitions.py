"""Define all metrics, vectorized over bootstrap weights.

Training, the final scores and ``predict.py label=`` use one weighting, all ones; the report's
bootstrap uses a weight per row and resample, the number of times the row was drawn. The values are
equal to scikit-learn's; undefined metrics are NaN:

- scores of one class (precision, recall, specificity, F1) are defined if it has rows;
- the area under the ROC curve of a class requires rows of the class and of others, its average
  precision and its recall at a precision require rows of the class;
- averages are over the classes with a defined value.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np

from seqtext.metrics.custom_modes import get_custom_mode

PART_PREFIX = re.compile("^(train|val|test)/")  # class names in metrics may contain slashes too
LOWER_IS_BETTER = ("loss", "brier", "ece", "mae")
PRECISION_98 = 0.98
RANKING_METRICS = ("auroc", "average_precision", "recall_at_precision_98")  # rank-based metrics

CountMetric = Callable[[np.ndarray], np.ndarray]


def get_count_metrics(
    class_names: Sequence[str], is_ordinal: bool = False
) -> dict[str, CountMetric]:
    """Return functions from confusion counts [R, true class, predicted class] to metrics [R].

    Args:
        is_ordinal: whether the classes are ordered; those that are numbers always are
    """
    shared: dict[str, CountMetric] = {
        "accuracy": lambda c: _divide(np.trace(c, axis1=1, axis2=2), c.sum((1, 2))),
        "balanced_accuracy": lambda c: _nanmean(_compute_recalls(c)),
    }
    if len(class_names) == 2:
        own: dict[str, CountMetric] = {
            "precision": lambda c: np.where(
                c[:, 1].sum(1) > 0, _compute_precisions(c)[:, 1], np.nan
            ),
            "recall": lambda c: _compute_recalls(c)[:, 1],
            "specificity": lambda c: _compute_recalls(c)[:, 0],
            "f1": lambda c: np.where(c[:, 1].sum(1) > 0, _compute_f1_scores(c)[:, 1], np.nan),
            "macro_f1": lambda c: _nanmean(_compute_f1_scores(c)),
        }
    else:
        own = {
            "macro_precision": lambda c: _nanmean(_compute_precisions(c)),
            "macro_f1": lambda c: _nanmean(_compute_f1_scores(c)),
            "weighted_f1": _compute_weighted_f1,
            **(_ORDINAL_METRICS if is_ordinal or are_numbers(class_names) else {}),
            **{
                format_recall_name(name): partial(_compute_class_recall, number=number)
                for number, name in enumerate(class_names)
            },
        }
    return shared | own | {"mcc": _compute_mcc}


def are_numbers(class_names: Sequence[str]) -> bool:
    """Return whether all classes are numbers, such as 1 to 5 stars, so that they have an order."""
    try:
        return all(math.isfinite(float(name)) for name in class_names)
    except ValueError:
        return False


def list_ranking_metrics(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the metrics that `RankingScorer` computes for these classes."""
    return RANKING_METRICS if len(class_names) == 2 else RANKING_METRICS[:2]


class RankingScorer:
    """Computes rank-based metrics; keeps the rows sorted by each class's probability.

    Of two classes, class 1 is scored; of more, the average of each class against the rest.

    Args:
        labels: [N] true classes
        probabilities: [N, C] class probabilities
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray):
        classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
        self._ordered = []
        for number in classes:
            falling = -probabilities[:, number]
            order = np.argsort(falling, kind="stable")
            first_of_ties = np.flatnonzero(np.diff(falling[order], prepend=-np.inf))
            self._ordered.append((order, (labels == number)[order], first_of_ties))

    def score(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """Return a metric of `RANKING_METRICS` [R] under weights [R, N]."""
        areas = (_compute_auroc, _compute_average_precision, _compute_recall_at_precision_98)
        area = dict(zip(RANKING_METRICS, areas, strict=True))[metric]
        by_row = np.ascontiguousarray(weights.T)  # gathering whole rows is several times faster
        each = [
            area(by_row[order], truth.astype(weights.dtype), ties)
            for order, truth, ties in self._ordered
        ]
        return _nanmean(np.stack(each, axis=1))


def format_recall_name(class_name: str) -> str:
    """Return the name of a class's recall that Lightning and TensorBoard accept."""
    return f"recall_{class_name}".replace(
        "/dataloader_idx_", "/dataloader_idx-"
    )  # Lightning refuses it


def get_metric_mode(metric: str) -> Literal["min", "max"]:
    """Return "min" if a lower value of a metric is better, else "max"; accepts e.g. val/loss."""
    name = PART_PREFIX.sub("", metric)
    return get_custom_mode(name) or ("min" if name in LOWER_IS_BETTER else "max")


def is_better(
    score: float,
    best: float | None,
    metric: str,
    loss: float | None = None,
    best_loss: float | None = None,
) -> bool:
    """Return whether a score is better than the best so far; ties are broken by validation loss.

    This rule is used for the best epoch, early stopping, grids and ``from_best=``; Optuna's
    searches compare only scores.

    Args:
        best: best score, or None if there is none yet
        loss, best_loss: validation losses of the two scores; None if unknown
    """
    if best is None:
        return True
    if score == best:
        return loss is not None and best_loss is not None and loss < best_loss
    return score < best if get_metric_mode(metric) == "min" else score > best


def _divide(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Divide; 0 / 0 is NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(one / other)


def _nanmean(values: np.ndarray) -> np.ndarray:
    """Return means [R] of values [R, C], ignoring NaN; NaN if all are, without a warning."""
    is_known = ~np.isnan(values)
    return _divide(np.where(is_known, values, 0).sum(1), is_known.sum(1))


def _count_hits(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=1, axis2=2)


def _compute_recalls(counts: np.ndarray) -> np.ndarray:
    """Return recalls [R, C]; NaN for a class without rows."""
    return _divide(_count_hits(counts), counts.sum(2))


def _compute_class_recall(counts: np.ndarray, number: int) -> np.ndarray:
    return _compute_recalls(counts)[:, number]


def _compute_precisions(counts: np.ndarray) -> np.ndarray:
    """Return precisions [R, C]: 0 for a class that is never predicted, NaN without rows."""
    precisions = np.nan_to_num(_divide(_count_hits(counts), counts.sum(1)))
    return np.where(counts.sum(1) + counts.sum(2) > 0, precisions, np.nan)


def _compute_f1_scores(counts: np.ndarray) -> np.ndarray:
    """Return F1 scores [R, C]; NaN for a class without true or predicted rows."""
    return _divide(2 * _count_hits(counts), counts.sum(1) + counts.sum(2))


def _compute_weighted_f1(counts: np.ndarray) -> np.ndarray:
    support = counts.sum(2)
    return _divide((np.nan_to_num(_compute_f1_scores(counts)) * support).sum(1), support.sum(1))


def _compute_mcc(counts: np.ndarray) -> np.ndarray:
    """Compute Matthews' correlation of C classes (Gorodkin, 2004); 0 for constant labels."""
    total, true, predicted = counts.sum((1, 2)), counts.sum(2), counts.sum(1)
    covariance = _count_hits(counts).sum(1) * total - (true * predicted).sum(1)
    spread = (total**2 - (true**2).sum(1)) * (total**2 - (predicted**2).sum(1))
    return np.nan_to_num(_divide(covariance, np.sqrt(spread)))


def _compute_mean_absolute_error(counts: np.ndarray) -> np.ndarray:
    """Compute the mean distance of the predicted from the true class, in classes."""
    return _divide((counts * _list_distances(counts)).sum((1, 2)), counts.sum((1, 2)))


def _compute_quadratic_kappa(counts: np.ndarray) -> np.ndarray:
    """Compute Cohen's kappa with squared distances as weights (Cohen, 1968); NaN for one class."""
    squares = _list_distances(counts) ** 2
    expected = counts.sum(2)[:, :, None] * counts.sum(1)[:, None, :]
    by_chance = _divide((squares * expected).sum((1, 2)), counts.sum((1, 2)))
    return 1 - _divide((squares * counts).sum((1, 2)), by_chance)


def _list_distances(counts: np.ndarray) -> np.ndarray:
    """Return the distances [C, C] of the numbers of two classes."""
    numbers = np.arange(counts.shape[1])
    return abs(numbers[:, None] - numbers)


_ORDINAL_METRICS: dict[str, CountMetric] = {
    "mae": _compute_mean_absolute_error,
    "quadratic_kappa": _compute_quadratic_kappa,
}


def _compute_auroc(weights: np.ndarray, truth: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Compute the share of correctly ordered pairs; a tie counts half (Mann-Whitney)."""
    hits = _sum_ties(weights * truth[:, None], ties)
    others = _sum_ties(weights * (1 - truth)[:, None], ties)
    before = others.cumsum(axis=0) - others / 2
    pairs = hits.sum(0) * others.sum(0, dtype=float)
    return 1 - _divide((hits * before).sum(0, dtype=float), pairs)


def _compute_average_precision(
    weights: np.ndarray, truth: np.ndarray, ties: np.ndarray
) -> np.ndarray:
    hits = _sum_ties(weights * truth[:, None], ties)
    precision = np.nan_to_num(_divide(hits.cumsum(axis=0), _sum_ties(weights, ties).cumsum(axis=0)))
    return _divide((hits * precision).sum(0, dtype=float), hits.sum(0))


def _compute_recall_at_precision_98(
    weights: np.ndarray, truth: np.ndarray, ties: np.ndarray
) -> np.ndarray:
    hits = _sum_ties(weights * truth[:, None], ties).cumsum(axis=0)
    precision = np.nan_to_num(_divide(hits, _sum_ties(weights, ties).cumsum(axis=0)))
    least = precision.dtype.type(PRECISION_98)
    return _divide(np.where(precision >= least, hits, 0).max(axis=0), hits[-1])


def _sum_ties(values: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Sum values over rows of equal probability."""
    return values if len(ties) == len(values) else np.add.reduceat(values, ties, axis=0)
