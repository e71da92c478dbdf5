"""A language model made of a classifier's word vectors and recurrent layers, to pretrain them."""

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.models.optimization import OptimizationMixin
from seqtext.models.stacked import StackedClassifier
from seqtext.optim import LRSchedule, OptimizerFactory, drop_objects, keep_run_values
from seqtext.token_ids import PAD

CUTOFFS = (2_000, 10_000, 50_000)  # ranks at which the groups of rarer tokens begin
USED = ("embedding", "layers", "norms")  # parts of the classifier
END = PAD  # id of the token after the last one, and before the first


class LanguageModel(OptimizationMixin, L.LightningModule):
    """Predicts each text's next token from the states of a classifier's layers (Dai and Le, 2015).

    With a bidirectional layer, the backward direction predicts the previous token, by an output
    layer of its own. Output layers are adaptive softmax (Grave et al., 2017), in which rare tokens
    have few weights. Dropout rates are those of the classifier; its pooling and head stay as they
    are.

    Args:
        classifier: model with recurrent layers
        counts: [V] occurrences of each id in the training texts

    Raises:
        UserError: if the classifier has no such layers, or its upper layers read later tokens.
    """

    name = "the language model of task=lm"
    has_constant_predictions = is_unfreezing = False  # see `TieBreakingEarlyStopping`
    ranks: Tensor  # [V] position of each id among those sorted by falling count

    def __init__(self, classifier: TextClassifier, counts: Tensor):
        super().__init__()
        if not isinstance(classifier, StackedClassifier):
            raise UserError(
                f"task=lm is not possible with model={classifier.name}: choose a model of stacked "
                f"recurrent layers, such as lstm, gru or mingru."
            )
        if classifier.directions > 1 and len(classifier.layers) > 1:
            raise UserError(
                "task=lm is not possible with several bidirectional layers, because the second one "
                "would read the token that it predicts: set model.layers=1, or "
                "model.bidirectional=false."
            )
        self.classifier = classifier
        self.register_buffer("ranks", counts.argsort(descending=True, stable=True).argsort())
        size = len(counts)
        cutoffs = [cutoff for cutoff in CUTOFFS if cutoff < size - 1] or [max(1, size // 2)]
        width = classifier.widths[-1]
        div_value = min(4.0, width ** (1 / len(cutoffs)))  # no group is left without features
        self.softmaxes = nn.ModuleList(
            nn.AdaptiveLogSoftmaxWithLoss(width, size, cutoffs, div_value=div_value)
            for _ in range(classifier.directions)
        )
        for name, module in classifier.named_children():
            if name not in USED:
                module.requires_grad_(False)
        self._sums = [0.0, 0]  # loss and tokens of the validation part

    def configure_training(self, optimizer: OptimizerFactory, scheduler: LRSchedule) -> None:
        """Set optimizer and learning rate schedule for `Trainer.fit`."""
        self._make_optimizer, self._scheduler, self._monitor = optimizer, scheduler, "val/loss"

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute the negative log-likelihood of each token, in nats.

        Args:
            ids: [B, T]
            lengths: [B]

        Returns:
            One value per token and direction, in any order, [directions × sum of lengths].
        """
        states = self.classifier.compute_states(ids, lengths)
        states = F.dropout(states, self.classifier.head_dropout, self.training)
        with torch.autocast(states.device.type, enabled=False):  # which torch's softmax lacks
            return self._compute_losses(
                states.to(self.classifier.output.weight.dtype), ids, lengths
            )

    def _compute_losses(self, states: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute the losses from the states of the last layer, [B, T, U × directions]."""
        known = self.classifier.hide_unknown_tokens(ids)
        targets = [F.pad(known[:, 1:], (0, 1), value=END), F.pad(known[:, :-1], (1, 0), value=END)]
        is_token = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]  # [B, T]
        losses = [
            -softmax(of_direction[is_token], self.ranks[target[is_token]]).output
            for softmax, of_direction, target in zip(
                self.softmaxes,
                states.chunk(len(self.softmaxes), dim=2),
                targets[: len(self.softmaxes)],
                strict=True,
            )
        ]
        return torch.cat(losses)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of a batch's tokens."""
        return self(batch.ids, batch.lengths).mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Sum the losses of the tokens."""
        losses = self(batch.ids, batch.lengths)
        self._sums[0] += float(losses.sum(dtype=torch.float64))
        self._sums[1] += len(losses)

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss per token, and the perplexity."""
        (total, count), self._sums = self._sums, [0.0, 0]
        loss = total / count
        self.log_dict({"val/loss": loss, "val/perplexity": math.exp(min(loss, 700))})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what a checkpoint cannot hold."""
        drop_objects(checkpoint.get("lr_schedulers", ()))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what a resumed run may change."""
        keep_run_values(checkpoint.get("lr_schedulers", ()))
