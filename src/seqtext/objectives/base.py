"""The base class of additional terms of the training loss, and the passes that they use."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.errors import UserError
from seqtext.losses import compute_log_probabilities
from seqtext.validation import NonNegativeFloat, validate_args


class Objective(ABC):
    """A term that is added to the mean loss of a training batch; subclasses define `compute`.

    Args:
        weight: factor of the term
    """

    needs_gradient = False  # whether `compute` calls `TrainingPass.compute_embedding_gradient`
    reads_unlabelled = False  # whether `compute` reads no labels: it is also called for other texts

    @validate_args
    def __init__(self, weight: NonNegativeFloat = 1.0):
        self.weight = weight

    @abstractmethod
    def compute(self, step: "TrainingPass") -> Tensor:
        """Return the term, a scalar, from the model, the batch and its logits."""


class TrainingPass:
    """The model's output for a training batch, and further passes of the same batch.

    All passes of a step have the same dropout masks, so that only the perturbation differs.

    Args:
        model: a `TextClassifier` in training mode
        needs_gradient: whether `compute_embedding_gradient` will be called
        has_labels: whether the batch has labels

    Attributes:
        logits: [B] for two classes, [B, C] for more, of the batch without a perturbation
        loss: its mean loss, a scalar; 0 without labels
    """

    def __init__(
        self,
        model: Any,
        batch: Batch,
        needs_gradient: bool = False,
        has_labels: bool = True,
    ):
        self.model, self.batch = model, batch
        self._random_state = _get_random_state(model.device)
        self._zero = self.build_perturbation().requires_grad_() if needs_gradient else None
        with model.perturb_embeddings(self._zero):
            if has_labels:
                self.logits, self.loss = model.compute_logits_and_loss(batch)
            else:
                self.logits = model.compute_batch_logits(batch)
                self.loss = self.logits.new_zeros(())

    def build_perturbation(self, random: bool = False) -> Tensor:
        """Return zeros, or normal random numbers where a text has words, [B, T, E]."""
        ids = self.batch.ids
        width = get_embedding_dim(self.model.embedding)
        if not random:
            return torch.zeros(*ids.shape, width, device=ids.device)
        noise = torch.randn(*ids.shape, width, device=ids.device)
        return noise * self.is_word

    @property
    def is_word(self) -> Tensor:
        """Return where a text has words, [B, T, 1]."""
        steps = torch.arange(self.batch.ids.shape[1], device=self.batch.ids.device)
        return (steps < self.batch.lengths[:, None])[..., None]

    def compute_embedding_gradient(self) -> Tensor:
        """Return the gradient of the loss with respect to the word vectors, [B, T, E]."""
        if self._zero is None:
            raise TypeError("compute_embedding_gradient: the objective lacks needs_gradient = True")
        return compute_gradient(self.loss, self._zero, retain=True)

    @contextmanager
    def repeat(self, perturbation: Tensor | None = None) -> Iterator[None]:
        """Run passes of the model in the context with the same dropout, and this perturbation."""
        state = _get_random_state(self.model.device)
        _set_random_state(self._random_state, self.model.device)
        with self.model.perturb_embeddings(perturbation):
            yield
        _set_random_state(state, self.model.device)

    def compute_clean_logits(self) -> Tensor:
        """Return the logits of the mean loss, with a gradient."""
        if self.logits.requires_grad:
            return self.logits
        with self.repeat():  # of a model whose loss is not that of its logits
            return self.model.compute_batch_logits(self.batch)


def compute_objectives(
    model: Any,
    batch: Batch,
    objectives: Sequence[Objective],
    unlabelled: Batch | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the logits of a training batch, and its mean loss plus all terms.

    Args:
        model: a `TextClassifier` in training mode
        unlabelled: batch of unlabelled texts; terms without labels are means over both batches
    """
    used = [objective for objective in objectives if objective.weight]
    step = TrainingPass(model, batch, any(objective.needs_gradient for objective in used))
    terms = [objective.weight * objective.compute(step) for objective in used]
    if unlabelled is not None and any(objective.reads_unlabelled for objective in used):
        second = TrainingPass(model, unlabelled, has_labels=False)
        share = len(unlabelled.ids) / (len(unlabelled.ids) + len(batch.ids))
        for number, objective in enumerate(used):
            if objective.reads_unlabelled:
                term = objective.weight * objective.compute(second)
                terms[number] = (1 - share) * terms[number] + share * term
    return step.logits, torch.stack([step.loss, *terms]).sum()


def compute_gradient(value: Tensor, vectors: Tensor, retain: bool = False) -> Tensor:
    """Return the gradient of a scalar with respect to a perturbation of word vectors.

    Raises:
        UserError: if the model does not read word vectors.
    """
    (gradient,) = torch.autograd.grad(value, [vectors], retain_graph=retain, allow_unused=True)
    if gradient is None:
        raise UserError(
            "objectives: adversarial and virtual_adversarial change word vectors, which this model "
            "does not compute in training: leave them out, or choose another model."
        )
    return gradient


def compute_divergence(reference: Tensor, logits: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of predictions from reference ones, a scalar."""
    target, predicted = map(compute_log_probabilities, (reference, logits))
    return F.kl_div(predicted, target, reduction="batchmean", log_target=True)


def _get_random_state(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random_state(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
