"""Compute the digests of what a run reads: see `seqtext.identity`."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
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
from seqtext.errors import UserError


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
        "held_out": digest_held_out_rows(data),
        "vectors": vectors and vectors.fingerprint,
        "files": {"data": data.files_digest, "vectors": vectors and vectors.files_digest},
    }


def digest_held_out_rows(data: TextDataModule) -> str:
    """Return a digest of the row numbers of the validation and the test part."""
    val, test = data.dataset.parts["val"], data.dataset.parts["test"]
    parts = [np.asarray(rows, np.int64).tobytes() for rows in (val, test)]
    return hashlib.blake2b(b"/".join(parts), digest_size=16).hexdigest()


def check_held_out_rows(option: str, trained: Any, data: TextDataModule) -> None:
    """Check that another run did not learn from the validation or test part of prepared data.

    Of a run with other data, nothing is known: a warning is added to `data.warnings`.

    Args:
        option: that names the other run
        trained: its fingerprints, which may be untrusted

    Raises:
        UserError: if it had the same rows and another validation or test part.
    """
    known = trained if isinstance(trained, Mapping) else {}
    if known.get("data") != data.fingerprint():
        data.warnings.append(
            f"The model of {option} was trained on other data: if texts of this run's test part "
            f"were among them, the test scores may be too high."
        )
    elif known.get("held_out") != digest_held_out_rows(data):
        raise UserError(
            f"{option} was trained with another validation or test part of the same data, so that "
            f"it may know the answers: train it with the same split.* options, dataset.cleaning "
            f"and dataset.duplicates."
        )


def read_fingerprints(settings: dict[str, Any]) -> dict[str, Any]:
    """Prepare the data of `settings`, or load it from the cache, and return its fingerprints."""
    options, split = validate_config(settings)
    data = build_datamodule(settings, options, split)
    embedding = None if is_non_neural(settings) else build_embedding(settings, data)
    return collect_fingerprints(data, embedding)
