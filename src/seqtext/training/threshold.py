"""The decision threshold of two classes."""

from seqtext.checkpoints.files import set_threshold
from seqtext.metrics.predictions import Predictions
from seqtext.run_dir import RunDir


def apply_threshold(
    predictions: dict[str, Predictions], threshold: float | str, run_dir: RunDir
) -> dict[str, Predictions]:
    """Apply the run's threshold to predictions, and store it in the best checkpoint.

    Args:
        threshold: a probability, or "tuned": the best one on the validation part
    """
    value = predictions["val"].find_best_threshold() if threshold == "tuned" else float(threshold)
    if value != 0.5:
        set_threshold(run_dir.best_checkpoint, value)
    return {part: found.with_threshold(value) for part, found in predictions.items()}
