"""What all models share: loss, metrics, optimizer, the head that gives logits."""

from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from seqtext.data.batches import Batch
from seqtext.options import UserError
from seqtext.results.metrics import loss_of, scores

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class TextClassifier(L.LightningModule):
    """Base of all models: a subclass makes layers and a `forward(ids, lengths) -> logits`.

    Adding padding to `ids` never changes a logit. For two classes the one logit [B] is that of
    class 1; for more there is one each, [B, C].

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        features: width of the vector that the subclass hands to `logits`
        optimizer: parameters → optimizer
    """

    name = ""  # in tables; a subclass gives its own

    def __init__(
        self,
        embedding: nn.Module,
        classes: int,
        features: int,
        optimizer: OptimizerFactory = torch.optim.Adam,
    ):
        super().__init__()
        self.embedding = embedding
        self.classes = classes
        self.make_optimizer = optimizer
        self.output = nn.Linear(features, 1 if classes == 2 else classes)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self._seen: dict[str, list[tuple[Tensor, Tensor]]] = {"train": [], "val": []}

    def logits(self, features: Tensor) -> Tensor:
        """[B, features] → [B] for two classes, [B, C] for more."""
        return self.output(features).squeeze(1) if self.classes == 2 else self.output(features)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer over every parameter that is to be trained."""
        return self.make_optimizer([p for p in self.parameters() if p.requires_grad])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        logits = self(batch.ids, batch.lengths)
        self._seen["train"].append((logits.detach(), batch.labels))
        return loss_of(logits, batch.labels)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the logits; the epoch's end makes the scores."""
        self._seen["val"].append((self(batch.ids, batch.lengths), batch.labels))

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Row numbers and logits."""
        return batch.rows, self(batch.ids, batch.lengths)

    def on_validation_epoch_end(self) -> None:
        """Log every metric as val/<metric>."""
        self._log_scores("val")

    def on_train_epoch_end(self) -> None:
        """Log every metric as train/<metric>, from the outputs made while training."""
        self._log_scores("train")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the outputs of an unfinished epoch, so that its scores survive a restart."""
        checkpoint["train_outputs"] = self._seen["train"]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the outputs of an unfinished epoch."""
        self._seen["train"] = checkpoint.get("train_outputs", [])

    def _log_scores(self, part: str) -> None:
        if outputs := self._seen[part]:
            logits, labels = (torch.cat(column) for column in zip(*outputs, strict=True))
            outputs.clear()
            if not logits.isfinite().all():
                raise UserError(
                    f"Training diverged: the model's outputs are not finite in epoch "
                    f"{self.current_epoch + 1}; lower optimizer.lr or trainer.gradient_clip_val."
                )
            values = scores(logits, labels, self.classes)
            self.log_dict({f"{part}/{name}": value for name, value in values.items()})
