"""Terms of the predictions themselves: entropy, its opposite, and agreement of two passes."""

from torch import Tensor

from seqtext.objectives.base import (
    Objective,
    TrainingPass,
    compute_divergence,
    compute_log_probabilities,
)


def compute_entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of predictions in nats, a scalar."""
    log_probabilities = compute_log_probabilities(logits)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1).mean()


class EntropyMinimization(Objective):
    """The entropy of predictions: certain ones are preferred (Grandvalet and Bengio, 2005)."""

    reads_unlabelled = True

    def compute(self, step: TrainingPass) -> Tensor:
        """See `Objective.compute`."""
        return compute_entropy(step.compute_clean_logits())


class ConfidencePenalty(Objective):
    """The negative entropy of predictions: uncertain ones are preferred (Pereyra et al., 2017)."""

    def compute(self, step: TrainingPass) -> Tensor:
        """See `Objective.compute`."""
        return -compute_entropy(step.compute_clean_logits())


class RDrop(Objective):
    """How much the predictions of a second pass, with other dropout masks, differ.

    It is the mean of both Kullback-Leibler divergences.

    Source: Liang et al. (2021).
    """

    reads_unlabelled = True

    def compute(self, step: TrainingPass) -> Tensor:
        """See `Objective.compute`."""
        first = step.compute_clean_logits()
        second = step.model.compute_batch_logits(step.batch)  # the next random numbers
        both = compute_divergence(first, second) + compute_divergence(second, first)
        return both / 2
