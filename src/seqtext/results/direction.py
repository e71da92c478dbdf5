"""Which of two scores is better; apart from the metrics, since a sweep asks without torch."""

LOWER_IS_BETTER = ("loss",)


def direction(metric: str) -> str:
    """Whether a metric (with or without its part, as in val/loss) is best at "min" or "max"."""
    return "min" if metric.rsplit("/", 1)[-1] in LOWER_IS_BETTER else "max"


def is_better(score: float, best: float | None, metric: str) -> bool:
    """Whether a score beats the best so far."""
    return best is None or (score < best if direction(metric) == "min" else score > best)
