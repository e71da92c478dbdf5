"""Balance for the training part, and for it alone."""

from typing import Literal

import numpy as np

Sampling = Literal["none", "undersample", "oversample", "class_weights"]


def resampled(rows: np.ndarray, labels: np.ndarray, sampling: Sampling, seed: int) -> np.ndarray:
    """The rows to train on, every class as often as the rarest or as the largest one.

    Args:
        rows: [n] row numbers of the training part
        labels: [n] their classes
        sampling: "undersample" leaves rows of larger classes out, "oversample" repeats those of
            smaller ones, anything else changes nothing
        seed: which rows
    """
    if sampling not in ("undersample", "oversample"):
        return rows
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    kind = RandomUnderSampler if sampling == "undersample" else RandomOverSampler
    return np.sort(kind(random_state=seed).fit_resample(rows[:, None], labels)[0][:, 0])


def balanced_weights(labels: np.ndarray, classes: int) -> list[float]:
    """[classes] weights inverse to frequency, 1 on average over the rows (scikit-learn's rule)."""
    return (len(labels) / (classes * np.bincount(labels, minlength=classes))).tolist()
