"""Class balance of the training part; other parts are never resampled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from seqtext.choices import SAMPLINGS
from seqtext.display import count_noun
from seqtext.errors import UserError
from seqtext.validation import PositiveFloat

if TYPE_CHECKING:
    Sampling = str
else:
    Sampling = Literal[SAMPLINGS]
ClassWeights = Literal["balanced", "inverse_to_largest"] | list[PositiveFloat]


def resample(rows: np.ndarray, labels: np.ndarray, sampling: Sampling, seed: int) -> np.ndarray:
    """Return the rows to train on, with equally many rows of each class.

    Args:
        rows: [n] row numbers of the training part
        labels: [n] their class numbers
        sampling: "undersample" drops rows of larger classes, "oversample" repeats rows of smaller
            ones; any other value returns all rows
        seed: seed of the choice of rows
    """
    if sampling not in ("undersample", "oversample"):
        return rows
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    kind = RandomUnderSampler if sampling == "undersample" else RandomOverSampler
    return np.sort(kind(random_state=seed).fit_resample(rows[:, None], labels)[0][:, 0])


def compute_class_weights(
    labels: np.ndarray, class_names: Sequence[str], weighting: ClassWeights
) -> list[float]:
    """Return [classes] weights of the training loss.

    Args:
        labels: [n] class numbers of the training rows
        weighting: "balanced": inverse to frequency, 1 on average over the rows (scikit-learn's
            rule); "inverse_to_largest": the largest class's count divided by the class's own;
            or a list of weights

    Raises:
        UserError: if the number of weights differs from the number of classes.
    """
    counts = np.bincount(labels, minlength=len(class_names)).clip(1)
    if weighting == "balanced":
        return (len(labels) / (len(counts) * counts)).tolist()
    if weighting == "inverse_to_largest":
        return (counts.max() / counts).tolist()
    if len(weighting) != len(class_names):
        raise UserError(
            f"class_weights has {count_noun(len(weighting), 'number')} for {len(class_names)} "
            f"classes: give one for each of {', '.join(class_names)}, in this order."
        )
    return list(weighting)
