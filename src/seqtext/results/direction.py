"""Which of two scores is better; apart from the metrics, since a sweep asks without torch."""

LOWER_IS_BETTER = ("loss",)


def direction(metric: str) -> str:
    """Whether a metric (with or without its part, as in val/loss) is best at "min" or "max"."""
    return "min" if metric.rsplit("/", 1)[-1] in LOWER_IS_BETTER else "max"


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
