"""Build the embedding of a run, and find the files of its vectors."""

from pathlib import Path
from typing import Any

from torch import nn

from seqtext.config.instantiate import build_from_config, resolve_target
from seqtext.datasets.base import TextDataModule
from seqtext.embeddings.initialized import InitializedEmbedding
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS


def build_embedding(settings: dict[str, Any], data: TextDataModule) -> nn.Module:
    """Build the embedding of `settings` for prepared data, with initial weights."""
    options = _complete_options(settings["embedding"], data.data_dir)
    embedding = build_from_config("embedding", options, vocabulary_size=len(data.vocabulary))
    if isinstance(embedding, InitializedEmbedding):
        vectors = embedding.read_vectors(data)
        embedding.fill(vectors.values, vectors.known)
        embedding.fingerprint = vectors.fingerprint() if vectors.known.any() else None
        embedding.files_digest = vectors.files_digest
        if vectors.warning and vectors.warning not in data.warnings:
            data.warnings.append(vectors.warning)
    return embedding


def is_learned(settings: dict[str, Any]) -> bool:
    """Return whether word vectors are learned from the texts before training."""
    from seqtext.embeddings.learned import LearnedEmbedding

    kind = resolve_target("embedding", settings["embedding"]["_target_"])
    return issubclass(kind, LearnedEmbedding)


def list_vector_files(settings: dict[str, Any], data: TextDataModule) -> list[Path]:
    """List the files that determine the word vectors of a run with these settings.

    Args:
        data: data of the run, prepared or not

    Raises:
        UserError: if one is missing.
    """
    options = _complete_options(settings["embedding"], data.data_dir)
    kind = resolve_target("embedding", options["_target_"])
    if not issubclass(kind, InitializedEmbedding):
        return []
    embedding = build_from_config("embedding", options, vocabulary_size=len(SPECIAL_TOKENS))
    return embedding.list_files(data)


def _complete_options(options: dict[str, Any], data_dir: str) -> dict[str, Any]:
    kind = resolve_target("embedding", options["_target_"])
    is_initialized = issubclass(kind, InitializedEmbedding)
    return kind.complete_options(options, data_dir) if is_initialized else options
