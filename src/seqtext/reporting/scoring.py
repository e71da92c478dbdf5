"""Scores of resampled rows by any metric: at once where `resample` knows it, else one by one."""

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seqtext.reporting import bootstrap as resample
from seqtext.reporting.run_files import Said

SLOW_RESAMPLES = 200  # of metrics that `resample` does not have
SLOW_WORK = 50_000_000  # rows times runs times resamples of such metrics: some minutes
FEWEST_RESAMPLES = 50  # that still give a variance
LEAST_LOG = -745.0  # of the smallest probability above zero

Scorer = Callable[[np.ndarray], np.ndarray]


def build_scorer(said: Said, metric: str) -> Scorer:
    """Build a function from weights [B, N] to a run's scores [B]; nan where there is no score."""
    try:
        return resample.scorer(said, metric)
    except KeyError:
        return _build_slow_scorer(said, metric)


def has_score(said: Said, metric: str) -> bool:
    """Whether predictions give this metric, and it is a number for all of their rows."""
    everything = np.ones((1, len(said.rows)), np.float32)
    return bool(np.isfinite(build_scorer(said, metric)(everything)).all())


def draw_resamples(rows: int, metric: str, said: Sequence[Said]) -> Iterator[np.ndarray]:
    """Draw weights [b, rows], chunk by chunk; few for a metric that is computed one by one.

    Args:
        said: by the runs that are compared
    """
    chunks = resample.resamples(rows, metric)
    try:
        resample.scorer(said[0], metric)
    except KeyError:
        affordable = SLOW_WORK // sum(len(one.rows) for one in said)
        yield next(chunks)[: min(SLOW_RESAMPLES, max(affordable, FEWEST_RESAMPLES))]
    else:
        yield from chunks


def _build_slow_scorer(said: Said, metric: str) -> Scorer:
    """As `build_scorer`, by the definition that training uses."""
    import torch

    from seqtext.metrics import scores as metrics

    with np.errstate(divide="ignore"):
        logs = torch.from_numpy(np.log(said.probabilities)).clip(min=LEAST_LOG)
    logits = logs[:, 1] - logs[:, 0] if len(said.class_names) == 2 else logs
    labels = torch.from_numpy(said.labels)

    def score(weights: np.ndarray) -> np.ndarray:
        found = []
        for row in weights:
            drawn = torch.from_numpy(np.repeat(np.arange(len(row)), row.astype(int)))
            with warnings.catch_warnings():  # torchmetrics', of classes that a resample lacks
                warnings.simplefilter("ignore")
                values = metrics.compute_metrics(
                    logits[drawn], labels[drawn], said.class_names, threshold=said.threshold
                )
            found.append(values.get(metric))
        return np.array(found, float)  # None becomes nan

    return score
