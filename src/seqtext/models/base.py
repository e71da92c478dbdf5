"""The base class of models: loss, metrics, optimizer and the classification head."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext import speedups
from seqtext.data.loaders import Batch
from seqtext.distributed import ProcessInfo, all_gather_objects
from seqtext.embeddings.spelling import reads_spelling
from seqtext.errors import UserError
from seqtext.layers.activations import Activation
from seqtext.layers.dense import DenseBlock
from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.module_list import ModuleList
from seqtext.layers.ordinal import compute_ordinal_logits
from seqtext.losses import Distillation, Loss, cross_entropy
from seqtext.models.epoch_metrics import EpochMetricsMixin
from seqtext.models.optimization import OptimizationMixin
from seqtext.models.word_vectors import WordVectorsMixin
from seqtext.objectives.base import Objective, compute_objectives
from seqtext.optim import LRSchedule, OptimizerFactory, drop_objects, keep_run_values
from seqtext.validation import (
    DropoutRate,
    NonNegativeFloat,
    PositiveInt,
    broadcast_to_layers,
    validate_args,
)

if TYPE_CHECKING:
    from seqtext.datasets.unlabelled_batches import UnlabelledBatches
    from seqtext.metrics.custom import CustomMetrics


class TextClassifier(WordVectorsMixin, EpochMetricsMixin, OptimizationMixin, L.LightningModule):
    """Base of neural models; a subclass defines layers and `forward(ids, lengths) -> logits`.

    Adding padding to `ids` never changes a logit. For two classes the logits [B] are those of
    class 1; for more classes the shape is [B, C].

    Args:
        embedding: ids [B, T] → vectors [B, T, E]
        classes: C
        features: F, width of the text vector that the subclass passes to `compute_logits`
        word_dropout: rate at which words are replaced by the unknown token in training (Iyyer et
            al., 2015)
        head_dropout: dropout rate of the text vector
        head_units: widths of dense layers between the text vector and the output layer
        head_activation: activation of the dense layers; here and below, one value or a list
        head_units_dropout: dropout rate of a dense layer's outputs
        head_batch_norm: whether to use batch normalization after a dense layer's activation
        head_l2: factor of the L2 penalty on a dense layer's weights in the training loss
        init: weight initialization (see `Init`)

    Raises:
        UserError: if a list has another length than `head_units`.
    """

    name = ""  # shown in tables, set by a subclass
    feature_seconds = 0.0  # of computing features of all texts, see `prepare_features`
    reads_ids = True  # whether training reads the tokens of a batch, not only the rows' numbers
    is_ordinal = False  # whether the classes are ordered, see `make_ordinal`
    is_unfreezing = False  # whether some layers are not trained yet, see `GradualUnfreezing`
    class_weights: Tensor | None  # [C]
    unlabelled: "UnlabelledBatches | None" = None  # for `objectives` that read no labels
    _mixing: tuple[Tensor, float] | None = None  # see `mix_features`
    allow_zero_length_dataloader_with_multiple_devices = True  # fewer rows than processes

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int,
        features: int,
        word_dropout: DropoutRate = 0.1,
        head_dropout: DropoutRate = 0.3,
        head_units: PositiveInt | list[PositiveInt] | None = None,
        head_activation: Activation | list[Activation] = "relu",
        head_units_dropout: DropoutRate | list[DropoutRate] = 0.0,
        head_batch_norm: bool | list[bool] = False,
        head_l2: NonNegativeFloat | list[NonNegativeFloat] = 0.0,
        init: Init = "keras",
    ):
        super().__init__()
        self.embedding, self.classes = embedding, classes
        self._is_unknown_embedded = reads_spelling(embedding)
        self.class_names: Sequence[str] = [str(number) for number in range(classes)]  # in metrics
        self.custom_metrics: CustomMetrics | None = None
        self.word_dropout, self.head_dropout = word_dropout, head_dropout
        self.init = init
        widths = [head_units] if isinstance(head_units, int) else list(head_units or [])
        options = {
            "head_activation": head_activation,
            "head_units_dropout": head_units_dropout,
            "head_batch_norm": head_batch_norm,
            "head_l2": head_l2,
        }
        activations, dropouts, batch_norms, l2s = (
            broadcast_to_layers(k, v, len(widths), "head layer") for k, v in options.items()
        )
        inputs = [features, *widths]
        self.head_layers = ModuleList(
            DenseBlock(inputs[n], width, activations[n], dropouts[n], batch_norms[n], l2s[n], init)
            for n, width in enumerate(widths)
        )
        self.output = nn.Linear(inputs[-1], 1 if classes == 2 else classes)
        init_linear_(self.output, init, output=True)
        self.configure_training(torch.optim.Adam)
        self.has_constant_predictions = False  # on the validation part, in the last epoch
        self._epoch_outputs: dict[str, list[tuple[Tensor, Tensor]]] = {"train": [], "val": []}

    def __setattr__(self, name: str, value: Any) -> None:
        if not speedups.set_current_fx_name(self, name, value):
            super().__setattr__(name, value)

    def make_ordinal(self) -> None:
        """Replace the output layer by one for ordered classes, see `seqtext.layers.ordinal`.

        Of two classes, nothing changes. To be called before weights are loaded or trained.

        Raises:
            UserError: if a subclass computes logits in another way than by `compute_logits`.
        """
        if type(self).compute_logits is not TextClassifier.compute_logits:
            raise UserError(
                f"target=ordinal is not possible with {type(self).__name__}, whose logits are not "
                f"those of TextClassifier.compute_logits."
            )
        if self.classes > 2:
            self.is_ordinal = True
            self.output = nn.Linear(self.output.in_features, self.classes - 1)
            init_linear_(self.output, self.init, output=True)

    def configure_training(
        self,
        optimizer: OptimizerFactory,
        scheduler: LRSchedule | None = None,
        class_weights: Sequence[float] | None = None,
        monitor: str = "val/loss",
        loss: Loss = cross_entropy,
        objectives: Sequence[Objective] = (),
    ) -> None:
        """Set optimizer, scheduler, class weights, monitored metric and loss for `Trainer.fit`.

        Args:
            optimizer: function from parameters to an optimizer
            scheduler: learning rate schedule; None: constant rate
            class_weights: [C] weights of the training loss; None: equal weights
            monitor: name of a logged metric
            loss: function from logits, labels and class weights to a scalar
            objectives: additional terms of the training loss
        """
        self._make_optimizer, self._monitor = optimizer, monitor
        self.loss, self.objectives = loss, tuple(objectives)
        self._scheduler = scheduler or LRSchedule()
        weights = None if class_weights is None else torch.tensor(class_weights).float()
        self.register_buffer("class_weights", weights, persistent=False)

    def initialize_from_data(self, batches: Iterable[Batch]) -> None:
        """Initialize weights from the training part; by default, do nothing."""

    def prepare_features(self, data: Any) -> None:
        """Compute what stays the same in training from all texts; by default, do nothing.

        An override sets `feature_seconds` to the time that this took, now or when it was cached.

        Args:
            data: a `TextDataModule` after `setup`
        """

    def count_parameters(self) -> int:
        """Return the number of weights that are trained, or fitted before training."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def get_stored_arguments(self) -> dict[str, Any]:
        """Return arguments of the constructor, plain values, that checkpoints need besides options.

        They are given to the constructor again, and may come from an untrusted file then.
        """
        return {}

    def load_named_weights(self) -> None:
        """Load the weights that a checkpoint names but does not hold; by default, do nothing."""

    def attention_weights(self, ids: Tensor, lengths: Tensor) -> Tensor | None:
        """Return attention weights [B, T], or [B, T, F] per feature, which sum to 1 over T.

        None if the model has no attention layer.
        """
        return None

    def compute_logits(self, features: Tensor) -> Tensor:
        """Compute logits from text vectors, [B, F] → [B] for two classes, [B, C] for more."""
        if self._mixing is not None:
            order, share = self._mixing
            features = share * features + (1 - share) * features[order]
        features = F.dropout(features, self.head_dropout, self.training)
        for layer in self.head_layers:
            features = layer(features)
        logits = self.output(features)
        if self.is_ordinal:
            return compute_ordinal_logits(logits)
        return logits.squeeze(1) if self.classes == 2 else logits

    @contextmanager
    def mix_features(self, order: Tensor, share: float) -> Iterator[None]:
        """Let `compute_logits` mix each text's vector with another one's in the context.

        Args:
            order: [B] position of the other text
            share: of a text's own vector
        """
        self._mixing = order, share
        try:
            yield
        finally:
            self._mixing = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of a batch plus the penalties on weights."""
        if self.objectives:
            unlabelled = self._draw_unlabelled()
            logits, loss = compute_objectives(self, batch, self.objectives, unlabelled)
        else:
            logits, loss = self.compute_logits_and_loss(batch)
        if batch.weight:
            self._epoch_outputs["train"].append((logits.detach(), batch.labels))
        return batch.weight * loss + sum(layer.penalty() for layer in self.head_layers if layer.l2)

    def _draw_unlabelled(self) -> Batch | None:
        if self.unlabelled is None:
            return None
        process = ProcessInfo(self.global_rank, self.trainer.world_size)
        return self.unlabelled.draw(self.trainer.fit_loop.total_batch_idx, self.device, process)

    def compute_logits_and_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the logits and mean loss of a training batch; override for another step."""
        logits = self.compute_batch_logits(batch)
        return logits, self.compute_loss(logits, batch.labels, batch.rows)

    def compute_loss(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """Compute the loss of some logits, a scalar.

        Args:
            logits: [B] for two classes, [B, C] for more
            labels: [B]
            rows: [B] row numbers of the data set
        """
        if isinstance(self.loss, Distillation):
            return self.loss(logits, labels, self.class_weights, rows)
        return self.loss(logits, labels, self.class_weights)

    def compute_batch_logits(self, batch: Batch) -> Tensor:
        """Compute the logits of a prepared batch, as `forward`."""
        return self(batch.ids, batch.lengths)

    def compute_trained_logits(self, batch: Batch) -> Tensor:
        """Compute the logits from which the training loss is computed; by default `forward`'s."""
        return self.compute_batch_logits(batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Store the logits, from which metrics are computed at the end of the epoch."""
        self._epoch_outputs["val"].append((self.compute_batch_logits(batch), batch.labels))

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Return row numbers [B] and logits."""
        return batch.rows, self.compute_batch_logits(batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the outputs of an unfinished epoch, so that a resumed run has all of them."""
        drop_objects(checkpoint.get("lr_schedulers", ()))
        checkpoint["train_outputs"] = all_gather_objects(self._epoch_outputs["train"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the outputs of an unfinished epoch, on rank 0 only."""
        keep_run_values(checkpoint.get("lr_schedulers", ()))
        self._epoch_outputs["train"] = (
            [] if self.global_rank else checkpoint.get("train_outputs", [])
        )
