"""The word vectors of a pretrained encoder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seqtext.embeddings.initialized import InitializedEmbedding
from seqtext.embeddings.vectors import WordVectors
from seqtext.encoders.architecture import describe_encoder, load_word_vectors
from seqtext.encoders.files import CONFIG, DEFAULT_ENCODER, locate_encoder
from seqtext.errors import UserError
from seqtext.validation import PositiveInt, validate_args


class EncoderEmbedding(InitializedEmbedding):
    """Word vectors of a pretrained encoder, for `Pretrained`.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors; None in a configuration: the encoder's
        path: see `locate_encoder`
        download: whether the encoder may be downloaded from the Hugging Face hub
        freeze: leave the vectors to the frozen encoder: this module has none

    Raises:
        UserError: if `dim` is None.
    """

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt | None = None,
        path: str = DEFAULT_ENCODER,
        download: bool = False,
        freeze: bool = True,
    ):
        if dim is None:
            raise UserError("EncoderEmbedding needs dim: the numbers in each word vector.")
        super().__init__(0 if freeze else vocabulary_size, dim, freeze)
        if freeze:
            self.register_parameter("weight", None)
        self.path, self.download, self.freeze = path, download, freeze
        self.vocabulary_size = vocabulary_size
        self.table: Tensor | None = None  # [V, E], of the frozen encoder

    def forward(self, ids: Tensor) -> Tensor:
        """[...] → [..., E]"""
        return super().forward(ids) if self.table is None else F.embedding(ids, self.table)

    @classmethod
    def complete_options(cls, options: Mapping[str, Any], data_dir: str) -> dict[str, Any]:
        """Return the options with the dimension of the encoder, if they have none."""
        if options.get("dim") is not None:
            return dict(options)
        files = locate_encoder(options.get("path", DEFAULT_ENCODER), options.get("download", False))
        try:
            config = json.loads(files.read(CONFIG))
            dim = next(config[n] for n in ("embedding_size", "hidden_size", "dim") if config.get(n))
        except (ValueError, AttributeError, StopIteration, RecursionError) as error:
            raise UserError(
                f"model.path={files.name}: {CONFIG} does not tell the size of word vectors."
            ) from error
        return {**options, "dim": dim}

    def list_files(self, data: Any) -> list[Path]:
        """See `InitializedEmbedding.list_files`."""
        return locate_encoder(self.path, self.download).list_paths()

    def read_vectors(self, data: Any) -> WordVectors:
        """Return the vectors of all tokens [V, E]; of a frozen encoder, the digest of its weights.

        Args:
            data: a `TextDataModule` after `setup`

        Raises:
            UserError: if they cannot be read, or the tokens are not those of the encoder.
        """
        files = locate_encoder(self.path, self.download)
        description = describe_encoder(files)
        if len(data.vocabulary) != description["vocabulary_size"]:
            raise build_other_tokenizer_error(files.name)
        known = np.ones(0, bool)
        if self.freeze:
            values = np.frombuffer(bytes.fromhex(files.digest), np.uint8)
        else:
            values = load_word_vectors(files, description["config"]).numpy()
        digest = data.cache.digest_files(files.list_paths())
        return WordVectors(values, known, files_digest=digest)

    @torch.no_grad()
    def fill(self, vectors: np.ndarray, known: np.ndarray) -> None:
        """Copy vectors [V, E] into the weight, unless the encoder is frozen."""
        if not self.freeze:
            self.weight.copy_(torch.from_numpy(vectors))


def build_other_tokenizer_error(name: str) -> UserError:
    """Return the error of data that was not split by the tokenizer of the encoder."""
    return UserError(
        f"model=pretrained reads the tokens of its encoder {name}: leave tokenizer= out, or give "
        f"tokenizer=encoder."
    )
