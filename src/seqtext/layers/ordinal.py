"""Outputs for ordered classes: the continuation-ratio model, as trained by CORN.

Output k of C - 1 is the log-odds that a text is above class k, given that it is not below it. The
cross-entropy of the class probabilities is the sum of the losses of these C - 1 questions, each
asked of the texts that reach its class (Shi, Cao and Raschka, 2023, "Deep Neural Networks for Rank-
Consistent Ordinal Regression Based On Conditional Probabilities"). So every loss of class
probabilities trains such a model.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def compute_ordinal_logits(outputs: Tensor) -> Tensor:
    """Compute the logarithms of class probabilities, [N, C - 1] → [N, C]."""
    outputs = outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs
    above, not_above = F.logsigmoid(outputs), F.logsigmoid(-outputs)
    return F.pad(above.cumsum(dim=1), (1, 0)) + F.pad(not_above, (0, 1))


def build_step_signs(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Build two matrices [C - 1, C] of zeros and ones, float32.

    Returns:
        is_earlier: whether a text of a class is above the class of an output
        is_same: whether the class is that of an output
    """
    outputs, columns = np.arange(classes - 1)[:, None], np.arange(classes)
    return (outputs < columns).astype(np.float32), (outputs == columns).astype(np.float32)
