"""Names of scores, and which of two is better; without torch, since a sweep asks too."""

import re

PART = re.compile("^(train|val|test)/")  # the names of classes, in others, may have slashes too
LOWER_IS_BETTER = ("loss",)


def name_recall(class_name: str) -> str:
    """Return the name of a class's recall, as Lightning and TensorBoard take it."""
    return f"recall_{class_name}".replace("/dataloader_idx_", "/dataloader_idx-")  # it refuses that


def direction(metric: str) -> str:
    """Whether a metric (with or without its part, as in val/loss) is best at "min" or "max"."""
    return "min" if PART.sub("", metric) in LOWER_IS_BETTER else "max"


def is_better(
    score: float,
    best: float | None,
    metric: str,
    loss: float | None = None,
    best_loss: float | None = None,
) -> bool:
    """Tell whether a score beats the best so far; of equal scores the lower validation loss does.

    The one rule for the best epoch, early stopping, sweeps and ``best_of=``.

    Args:
        best: None where there is none yet
        loss, best_loss: the validation losses that belong to the two; None: not known
    """
    if best is None:
        return True
    if score == best:
        return loss is not None and best_loss is not None and loss < best_loss
    return score < best if direction(metric) == "min" else score > best
