"""Compute the digests of what a run reads: see `seqtext.identity`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from seqtext.config.embedding import build_embedding
from seqtext.config.run_config import (
    build_checked_datamodule,
    build_datamodule,
    is_non_neural,
    validate_config,
)
from seqtext.datasets.base import TextDataModule
from seqtext.embeddings.initialized import InitializedEmbedding


def digest_input_files(
    settings: dict[str, Any], contents: dict[tuple[Path, ...], str]
) -> dict[str, str | None]:
    """Validate `settings`, locate the files of a run, and return digests of their content.

    Rows are not parsed; files are downloaded if the options allow it.

    Args:
        contents: known digests of files by path, which are not read again; new ones are added

    Returns:
        Digests by the keys of `PATH_OPTIONS_BY_CONTENT`; None where no files are read.

    Raises:
        UserError: if an option is invalid or a file is missing.
    """
    options, split = validate_config(settings)
    data, vectors = build_checked_datamodule(settings, options, split)

    def digest(paths: Sequence[Path]) -> str:
        known = tuple(paths)
        if known not in contents:
            contents[known] = data.cache.digest_files(paths)
        return contents[known]

    return {
        "data": data.digest_sources(digest(data.locate_files()[1])),
        "vectors": digest(vectors) if vectors else None,
    }


def collect_fingerprints(data: TextDataModule, model: nn.Module | None = None) -> dict[str, Any]:
    """Return the fingerprints of what a run reads: see `seqtext.identity`.

    Args:
        data: prepared data
        model: model with the embedding; None: without word vectors
    """
    modules = () if model is None else model.modules()
    kinds = (module for module in modules if isinstance(module, InitializedEmbedding))
    vectors = next(kinds, None)
    return {
        "data": data.fingerprint(),
        "vectors": vectors and vectors.fingerprint,
        "files": {"data": data.files_digest, "vectors": vectors and vectors.files_digest},
    }


def read_fingerprints(settings: dict[str, Any]) -> dict[str, Any]:
    """Prepare the data of `settings`, or load it from the cache, and return its fingerprints."""
    options, split = validate_config(settings)
    data = build_datamodule(settings, options, split)
    embedding = None if is_non_neural(settings) else build_embedding(settings, data)
    return collect_fingerprints(data, embedding)
