"""Mixup of text vectors."""

import torch
from torch import Tensor

from seqtext.objectives.base import Objective, TrainingPass
from seqtext.validation import NonNegativeFloat, PositiveFloat, validate_args


class Mixup(Objective):
    """The loss of pairs of texts whose vectors, before the head, and labels are mixed.

    Source: Guo et al. (2019), "Augmenting Data with Mixup for Sentence Classification" (senMixup).

    Args:
        weight: factor of the term
        alpha: the share of each text is drawn from the distribution Beta(alpha, alpha)
    """

    @validate_args
    def __init__(self, weight: NonNegativeFloat = 1.0, alpha: PositiveFloat = 1.0):
        super().__init__(weight)
        self.alpha = alpha

    def compute(self, step: TrainingPass) -> Tensor:
        """See `Objective.compute`."""
        model, labels = step.model, step.batch.labels
        order = torch.randperm(len(labels)).to(labels.device)
        alpha = torch.tensor(self.alpha)
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        with step.repeat(), model.mix_features(order, share):
            logits = model.compute_trained_logits(step.batch)
        rows = step.batch.rows
        own = model.compute_loss(logits, labels, rows)
        other = model.compute_loss(logits, labels[order], rows[order])
        return share * own + (1 - share) * other
