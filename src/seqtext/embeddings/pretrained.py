"""Pretrained word vectors as an embedding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from seqtext.embeddings.initialized import InitializedEmbedding
from seqtext.embeddings.vector_files import read_dimension
from seqtext.embeddings.vectors import (
    FILE,
    GLOVE,
    NUMBERBATCH,
    EmbeddingSource,
    WordVectors,
    locate_vectors,
    read_vectors,
)
from seqtext.errors import UserError
from seqtext.validation import PositiveInt, validate_args


class PretrainedEmbedding(InitializedEmbedding):
    """Base class of embeddings with pretrained vectors; zeros until `fill` is called.

    The constructor does not read files, so that a model can be rebuilt from a checkpoint only. A
    subclass sets `source`.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors
        path: file of the vectors, or its folder; None: <paths.data_dir>/<source>
        download: download the file if it is missing
        freeze: do not train the vectors
        oov_init: see `InitializedEmbedding`
    """

    source: EmbeddingSource

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt = 300,
        path: str | None = None,
        download: bool = False,
        freeze: bool = True,
        oov_init: Literal["zeros", "random"] = "zeros",
    ):
        super().__init__(vocabulary_size, dim, freeze, oov_init)
        self.path, self.download = path, download

    def list_files(self, data: Any) -> list[Path]:
        """See `InitializedEmbedding.list_files`."""
        options = self.embedding_dim, self.path, self.download
        return locate_vectors(self.source, *options, data.data_dir)[1]

    def read_vectors(self, data: Any) -> WordVectors:
        """See `InitializedEmbedding.read_vectors`."""
        return read_vectors(
            self.source,
            data.vocabulary,
            self.embedding_dim,
            self.path,
            self.download,
            data.cache,
            data.data_dir,
        )


class GloVe(PretrainedEmbedding):
    """GloVe (Pennington et al., 2014, "GloVe: Global Vectors for Word Representation")."""

    source = GLOVE

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 100, **options: Any):
        super().__init__(vocabulary_size, dim, **options)


class Numberbatch(PretrainedEmbedding):
    """ConceptNet Numberbatch (Speer et al., 2017, "ConceptNet 5.5: An Open Multilingual Graph of
    General Knowledge").
    """

    source = NUMBERBATCH


class FileEmbedding(PretrainedEmbedding):
    """Word vectors of the user's own file, in any format of `read_vector_file`.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors; None in a configuration: that of the file
        path: file of the vectors
        freeze: do not train the vectors
        oov_init: see `InitializedEmbedding`

    Raises:
        UserError: if `dim` is None.
    """

    source = FILE

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt | None = None,
        path: str | None = None,
        freeze: bool = True,
        oov_init: Literal["zeros", "random"] = "zeros",
    ):
        if dim is None:
            raise UserError("FileEmbedding needs dim: the numbers in each vector of the file.")
        super().__init__(vocabulary_size, dim, path, False, freeze, oov_init)

    @classmethod
    def complete_options(cls, options: Mapping[str, Any], data_dir: str) -> dict[str, Any]:
        """Return the options with the dimension of the file, if they have none."""
        if options.get("dim") is not None:
            return dict(options)
        _, (file, *_) = locate_vectors(cls.source, 0, options.get("path"), False, data_dir)
        return {**options, "dim": read_dimension(file)}
