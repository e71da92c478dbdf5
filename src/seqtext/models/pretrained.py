"""Encoders that others have trained: frozen, or fine-tuned."""

import logging
from typing import Annotated, Any, Final, Literal

import numpy as np
import torch
from annotated_types import Gt, Le
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.data.loaders import Batch
from seqtext.embeddings.dimension import get_embedding_dim
from seqtext.embeddings.encoder import EncoderEmbedding, build_other_tokenizer_error
from seqtext.encoders.architecture import (
    build_encoder,
    check_description,
    count_text_tokens,
    describe_encoder,
    load_encoder,
    load_word_vectors,
    number_positions,
)
from seqtext.encoders.features import Encode, load_features, pack_linear_layers
from seqtext.encoders.files import DEFAULT_ENCODER, EncoderFiles, locate_encoder
from seqtext.encoders.learning_rates import compute_lr_factors
from seqtext.encoders.logistic_head import CANDIDATES, fit_logistic_head
from seqtext.encoders.special_tokens import add_special_tokens
from seqtext.errors import OptionError, UserError
from seqtext.layers.low_rank import add_low_rank
from seqtext.layers.pooling import mean_over_time
from seqtext.models.base import TextClassifier
from seqtext.validation import DropoutRate, PositiveFloat, PositiveInt, validate_args

log = logging.getLogger(__name__)

AUTO: Final = "auto"
# Names of these layers in transformers.
QUERIES_AND_VALUES = "query", "value", "q_lin", "v_lin", "q", "v", "query_proj", "value_proj"
FITTED_LR_FACTOR = 0.01  # learning rate of a fitted head relative to that of a random one
MIN_DEVIATION = 1e-6  # of a feature that is standardized


class Pretrained(TextClassifier):
    """Encodes texts by a pretrained Transformer (Devlin et al., 2019) and classifies its features.

    The features of a text are the mean of the encoder's outputs (Reimers and Gurevych, 2019), or
    that for the first special token. Those of a frozen encoder are computed once per text and
    standardized by the training part; the head starts as logistic regression on them. The learning
    rate of a fine-tuned one decreases to its word vectors (Howard and Ruder, 2018).

    Args:
        embedding: ids [B, T] → vectors [B, T, E], the encoder's own: `EncoderEmbedding`
        classes: C
        path: see `locate_encoder`
        frozen: train the head only; a checkpoint names the encoder by its digest
        pooling: "mean" over all tokens, or "first": of the first token, such as [CLS]
        normalize: scale the features of each text to length 1, as sentence-transformers does
        C: inverse strength of the L2 regularization of a frozen encoder's logistic regression;
            "auto": the best of `CANDIDATES` by the loss on the validation part; None, or head
            layers: the head starts with random weights, and is trained at full rate
        encoder_lr_factor: learning rate of the encoder's last layer relative to the head's
        layer_decay: learning rate of each layer relative to the next one's
        lora_rank: fine-tune only products of this rank that are added to the layers of queries and
            values (Hu et al., 2021), and the head; None: fine-tune all weights
        download: whether the encoder may be downloaded from the Hugging Face hub
        word_dropout, head_dropout, head: see `TextClassifier`
        description: of the encoder, see `describe_encoder`; None: that of its files

    Raises:
        UserError: if there is no such encoder, or options do not go together.
    """

    name = "pretrained"
    encoder: nn.Module
    feature_mean: Tensor  # [F]
    feature_scale: Tensor  # [F]

    @validate_args
    def __init__(
        self,
        embedding: nn.Module,
        classes: int = 2,
        path: str = DEFAULT_ENCODER,
        frozen: bool = True,
        pooling: Literal["mean", "first"] = "mean",
        normalize: bool = False,
        C: PositiveFloat | Literal["auto"] | None = AUTO,
        encoder_lr_factor: PositiveFloat = 0.1,
        layer_decay: Annotated[float, Gt(0), Le(1)] = 0.8,
        lora_rank: PositiveInt | None = None,
        download: bool = False,
        word_dropout: DropoutRate = 0.0,
        head_dropout: DropoutRate = 0.1,
        description: dict[str, Any] | None = None,
        **head: Any,
    ):
        files = None
        if description is None:
            files = locate_encoder(path, download)
            description = describe_encoder(files)
        check_description(description)
        words = getattr(embedding, "vocabulary_size", getattr(embedding, "num_embeddings", None))
        if words not in (None, description["vocabulary_size"]):
            raise build_other_tokenizer_error(path)
        if frozen and word_dropout:
            raise OptionError("word_dropout", word_dropout, "0 with model.frozen=true")
        if frozen and lora_rank:
            raise OptionError("lora_rank", lora_rank, "null with model.frozen=true")
        if frozen is not getattr(embedding, "freeze", frozen and None):
            raise UserError(
                "model.frozen=true needs embedding=encoder embedding.freeze=true, and "
                "model.frozen=false embedding.freeze=false: leave embedding= out."
            )
        config = description["config"]
        width = config.get("hidden_size") or config.get("dim")
        if not isinstance(width, int):
            raise UserError("The encoder's config has no hidden_size.")
        super().__init__(
            embedding, classes, width, word_dropout=word_dropout, head_dropout=head_dropout, **head
        )
        self.path, self.pooling, self.normalize = path, pooling, normalize
        self.frozen, self.reads_ids = frozen, not frozen
        self.C, self.encoder_lr_factor, self.layer_decay = C, encoder_lr_factor, layer_decay
        self._is_head_fitted = False
        self.description, self.width = description, width
        self.max_tokens = count_text_tokens(description)
        self._base: list[nn.Module] = []  # a frozen encoder: no module, so not in checkpoints
        self._features: tuple[np.ndarray, np.ndarray] | None = None  # of rows, and their positions
        if frozen:
            for name, value in (("feature_mean", 0.0), ("feature_scale", 1.0)):
                self.register_buffer(name, torch.full((width,), value))
            return
        inputs = config.get("embedding_size", width)
        if get_embedding_dim(embedding) != inputs:
            raise OptionError("embedding.dim", get_embedding_dim(embedding), f"{inputs}, as here")
        self.encoder = load_encoder(files, config) if files else build_encoder(config)
        self.encoder.train()
        if lora_rank:
            embedding.requires_grad_(False)
            if not add_low_rank(self.encoder, QUERIES_AND_VALUES, lora_rank):
                expected = "null: this encoder has no layers of queries"
                raise OptionError("lora_rank", lora_rank, expected)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits, ids [B, T], lengths [B] → [B] for two classes, [B, C] for more."""
        return self._classify(self.encode(ids, lengths))

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute features, ids [B, T], lengths [B] → [B, F]; further tokens are not read."""
        if self.frozen and not self._base and not hasattr(self, "encoder"):
            self._load_base(locate_encoder(self.path))
        encoder = self._place_base(ids.device) if self._base else self.encoder
        vectors = self.embed(ids)
        if not torch.compiler.is_exporting():  # a graph gets texts that the tokenizer has cut
            vectors, lengths = vectors[:, : self.max_tokens], lengths.clamp(max=self.max_tokens)
        special = self.description["first"], self.description["last"]
        vectors, lengths = add_special_tokens(vectors, lengths, self.embedding, *special)
        steps = torch.arange(vectors.shape[1], device=ids.device)
        mask = (steps < lengths[:, None]).long()
        inputs = {"inputs_embeds": vectors, "attention_mask": mask}
        if torch.compiler.is_exporting():
            inputs |= number_positions(encoder, self.description["config"], mask)
        states = encoder(**inputs)[0]  # [B, T', F]
        features = states[:, 0] if self.pooling == "first" else mean_over_time(states, lengths)
        return F.normalize(features, dim=1) if self.normalize else features

    def _classify(self, features: Tensor) -> Tensor:
        if self.frozen:
            features = (features - self.feature_mean) / self.feature_scale
        return self.compute_logits(features)

    def summarize(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits for a summary of the layers: a frozen encoder is not loaded for it."""
        if self.frozen:
            return self._classify(self.feature_mean.expand(len(ids), -1))
        return self(ids, lengths)

    def compute_batch_logits(self, batch: Batch) -> Tensor:
        """See `TextClassifier.compute_batch_logits`."""
        if self._features is None:
            return self(batch.ids, batch.lengths)
        features, positions = self._features
        chosen = torch.from_numpy(features[positions[batch.rows.cpu().numpy()]])
        return self._classify(chosen.to(self.feature_mean))

    def prepare_features(self, data: Any) -> None:
        """Compute the features of a frozen encoder for all parts, or load them from the cache."""
        if not self.frozen:
            return
        texts, rows = data.dataset.texts, np.unique(np.concatenate([*data.dataset.parts.values()]))
        options = {"pooling": self.pooling, "normalize": self.normalize}
        settings = {"encoder": self.description, **options}
        found, self.feature_seconds = load_features(
            data.cache, settings, texts, rows, self.width, self.build_encode
        )
        positions = np.full(len(texts.lengths), -1, np.int64)
        positions[rows] = np.arange(len(rows))
        self._features = found, positions
        train = found[positions[data.training_rows]]
        scale = train.std(axis=0, dtype=np.float64)
        scale[scale < MIN_DEVIATION] = 1  # of features without information
        self.feature_mean.copy_(torch.from_numpy(train.mean(axis=0, dtype=np.float64)))
        self.feature_scale.copy_(torch.from_numpy(scale))
        self._fit_head(data, train)

    @torch.no_grad()
    def _fit_head(self, data: Any, train: np.ndarray) -> None:
        """Fit the output layer, if it is the head, to features [N, F] of the training part."""
        labels, rows = data.labels[data.training_rows], data.dataset.parts["val"]
        has_own_head = bool(self.head_layers) or self.is_ordinal
        if not self.C or has_own_head or len(np.unique(labels)) < self.classes:
            return
        features, positions = self._features  # type: ignore[misc]
        mean, scale = self.feature_mean.numpy(), self.feature_scale.numpy()
        val = (features[positions[rows]] - mean) / scale, data.labels[rows]
        weights = None if self.class_weights is None else self.class_weights.tolist()
        candidates = CANDIDATES if self.C == AUTO else (float(self.C),)
        head = fit_logistic_head(((train - mean) / scale, labels), val, candidates, weights)
        self.output.weight.copy_(torch.from_numpy(head.weights))
        self.output.bias.copy_(torch.from_numpy(head.bias))
        self._is_head_fitted = True
        if self.C == AUTO:
            log.info("model.C is %g, the best on the validation part by its loss.", head.C)

    def build_encode(self) -> Encode:
        """Return `encode` of a copy with the frozen encoder, as fast as possible."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        embedding = EncoderEmbedding(self.description["vocabulary_size"], 1, self.path)
        copy = Pretrained(
            embedding,
            path=self.path,
            pooling=self.pooling,
            normalize=self.normalize,
            description=self.description,
        ).to(device)
        copy._load_base(locate_encoder(self.path))
        if device.type == "cpu":
            pack_linear_layers(copy._base[0])
        return lambda ids, lengths: copy.eval().encode(ids.to(device), lengths.to(device))

    def get_stored_arguments(self) -> dict[str, Any]:
        """See `TextClassifier.get_stored_arguments`."""
        return {"description": self.description}

    def load_named_weights(self) -> None:
        """Load a frozen encoder; give a fine-tuned one what no checkpoint holds, such as positions.

        Raises:
            UserError: if the frozen encoder is not there, or is not the one of the checkpoint.
        """
        if not self.frozen:
            small = self.description["config"] | {"pad_token_id": 0}  # of which no buffer depends
            built = dict(build_encoder(small).named_buffers())
            for name, buffer in self.encoder.named_buffers():
                if buffer.is_meta:
                    owner, _, own = name.rpartition(".")
                    self.encoder.get_submodule(owner)._buffers[own] = built[name]
            return
        try:
            files = locate_encoder(self.path)
        except UserError as error:
            raise UserError(
                f"it was trained on the features of an encoder, which a checkpoint does not hold: "
                f"{error}"
            ) from error
        if files.digest != self.description["digest"]:
            raise UserError(
                f"model.path={self.path} holds other weights than those that it was trained with "
                f"(SHA-256 {self.description['digest'][:16]}…): put those back."
            )
        if describe_encoder(files) != self.description:  # what is built is what the files describe
            raise UserError(f"its description is not that of model.path={self.path}.")
        self._load_base(files)

    @torch.inference_mode(False)  # a later `explain` needs tensors with gradients
    def _load_base(self, files: EncoderFiles) -> None:
        """Load a frozen encoder and its word vectors."""
        config = self.description["config"]
        self._base = [load_encoder(files, config).eval().requires_grad_(False)]
        self.embedding.table = load_word_vectors(files, config)

    @torch.inference_mode(False)
    def _place_base(self, device: torch.device) -> nn.Module:
        """Return the frozen encoder on a device, in the precision of the head."""
        self.embedding.table = self.embedding.table.to(device, self.feature_mean.dtype)
        return self._base[0].to(device, self.feature_mean.dtype)

    def prepare_for_export(self) -> None:
        """Make a frozen encoder a part of the network."""
        if self._base:
            self.encoder = self._place_base(self.feature_mean.device)
            self.embedding = nn.Embedding.from_pretrained(self.embedding.table)
            self._base = []

    def get_lr_factors(self) -> dict[int, float]:
        """Return the factors of the encoder's layers and word vectors, or of a fitted head."""
        if self.frozen:
            fitted = self.output.parameters() if self._is_head_fitted else ()
            return {id(parameter): FITTED_LR_FACTOR for parameter in fitted}
        modules = self.encoder, self.embedding
        return compute_lr_factors(*modules, self.encoder_lr_factor, self.layer_decay)
