"""Adversarial and virtual adversarial training on word vectors (Miyato et al., 2017)."""

import torch
from torch import Tensor

from seqtext.objectives.base import (
    Objective,
    TrainingPass,
    compute_divergence,
    compute_gradient,
)
from seqtext.validation import NonNegativeFloat, PositiveFloat, PositiveInt, validate_args


class Adversarial(Objective):
    """The loss of the batch with the change of its word vectors that increases the loss most.

    Args:
        weight: factor of the term
        epsilon: length of the change of a text, in units of the root mean square of the elements
            of its batch's word vectors (Miyato et al. normalize these to a variance of 1)
    """

    needs_gradient = True

    @validate_args
    def __init__(self, weight: NonNegativeFloat = 1.0, epsilon: PositiveFloat = 1.0):
        super().__init__(weight)
        self.epsilon = epsilon

    def compute(self, step: TrainingPass) -> Tensor:
        """See `Objective.compute`."""
        direction = normalize_texts(step.compute_embedding_gradient() * step.is_word)
        with step.repeat(self.epsilon * direction):
            return step.model.compute_logits_and_loss(step.batch)[1]


class VirtualAdversarial(Objective):
    """How much predictions change with the change of word vectors that they are most sensitive to.

    Labels are not read. The change is found by power iteration, from a random one.

    Args:
        weight: factor of the term
        epsilon: see `Adversarial`
        xi: length of the changes of the power iteration, in the same units
        iterations: steps of the power iteration, each a pass and its gradient
    """

    reads_unlabelled = True

    @validate_args
    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        epsilon: PositiveFloat = 1.0,
        xi: PositiveFloat = 0.1,
        iterations: PositiveInt = 1,
    ):
        super().__init__(weight)
        self.epsilon, self.xi, self.iterations = epsilon, xi, iterations

    def compute(self, step: TrainingPass) -> Tensor:
        """See `Objective.compute`."""
        reference = step.compute_clean_logits().detach()
        direction = normalize_texts(step.build_perturbation(random=True))
        for _ in range(self.iterations):
            change = (self.xi * direction).requires_grad_()
            with step.repeat(change):
                logits = step.model.compute_batch_logits(step.batch)
            gradient = compute_gradient(compute_divergence(reference, logits), change)
            direction = normalize_texts(gradient * step.is_word)
        with step.repeat(self.epsilon * direction):
            logits = step.model.compute_batch_logits(step.batch)
        return compute_divergence(reference, logits)


def normalize_texts(change: Tensor) -> Tensor:
    """Scale the change of each text, [B, T, E], to length 1."""
    change = change.to(torch.promote_types(change.dtype, torch.float32))
    largest = change.abs().amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(change.dtype).tiny)
    change = change / largest  # so that squares do not underflow
    return change / change.square().sum(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-12)
