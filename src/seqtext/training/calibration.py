"""What the validation part decides after training: temperature, threshold and prediction sets."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from seqtext.checkpoints.files import store_calibration
from seqtext.losses import compute_log_probabilities
from seqtext.metrics.conformal import compute_conformal_scores
from seqtext.metrics.predictions import Predictions
from seqtext.run_dir import RunDir

if TYPE_CHECKING:
    from seqtext.config.run_config import RunConfig

TEMPERATURES = 0.05, 20.0  # smallest and largest


def calibrate(
    predictions: dict[str, Predictions], options: "RunConfig", run_dir: RunDir
) -> dict[str, Predictions]:
    """Apply the run's temperature and threshold to predictions.

    Both, and the scores from which prediction sets are made, are stored in the best checkpoint.

    Args:
        predictions: of the parts "val", which alone decides, and "test"
    """
    temperature = 1.0
    if options.calibration == "temperature":
        temperature = find_temperature(predictions["val"])
        predictions = {part: p.with_temperature(temperature) for part, p in predictions.items()}
    val = predictions["val"]
    threshold = options.threshold
    if threshold == "tuned":
        threshold = val.find_best_threshold()
    scores = torch.from_numpy(compute_conformal_scores(val.labels, val.probabilities))
    store_calibration(run_dir.best_checkpoint, float(threshold), temperature, scores)
    return {part: found.with_threshold(float(threshold)) for part, found in predictions.items()}


def find_temperature(predictions: Predictions) -> float:
    """Find the divisor of the logits with the smallest cross-entropy (Guo et al., 2017).

    The labels are smoothed as if the rows had one more of each class (Platt, 1999), so that a
    separable validation part does not give infinite confidence.
    """
    from scipy.optimize import minimize_scalar  # imports for 0.2 s

    logits = compute_log_probabilities(predictions.logits.double())  # [N, C], also of two classes
    count, classes = logits.shape
    targets = torch.full_like(logits, 1 / (count + classes))
    targets[torch.arange(count), torch.from_numpy(predictions.labels)] += count / (count + classes)

    def compute_loss(log_temperature: float) -> float:
        scaled = (logits / np.exp(log_temperature)).log_softmax(dim=1)
        return -float((targets * scaled).sum(dim=1).mean())

    found = minimize_scalar(compute_loss, bounds=np.log(TEMPERATURES), options={"xatol": 1e-6})
    return float(np.exp(found.x))
