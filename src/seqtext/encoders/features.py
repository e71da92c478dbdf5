"""Compute the features of texts by an encoder once, and keep them in the cache."""

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqtext.cache import Cache
from seqtext.data.arrow_io import open_array
from seqtext.data.loaders import EncodedDataset, iter_batches_by_length
from seqtext.files import read_json, write_json

log = logging.getLogger(__name__)

BATCH_TEXTS, BATCH_TOKENS = 64, 4096  # largest batch; larger ones leave the processor's cache
LOG_SECONDS = 30  # between messages

Encode = Callable[[Tensor, Tensor], Tensor]  # ids [B, T], lengths [B] → features [B, F]


def load_features(
    cache: Cache,
    settings: dict[str, Any],
    texts: EncodedDataset,
    rows: np.ndarray,
    width: int,
    build_encode: Callable[[], Encode],
) -> tuple[np.ndarray, float]:
    """Return features [N, F] float32 of the texts of `rows` [N], and the seconds that they took.

    Those of equal texts are computed once; those in the cache took the seconds of the process that
    computed them.

    Args:
        settings: what determines the features besides the texts, as plain values
        width: F
        build_encode: returns the function that computes them; called if the cache lacks them
    """
    settings = {**settings, "texts": digest_texts(texts, rows), "width": width}

    def build(folder: Path) -> None:
        start_time = time.perf_counter()
        compute_features(build_encode(), texts, rows, width).tofile(folder / "features.bin")
        write_json(folder / "seconds.json", {"seconds": time.perf_counter() - start_time})

    def load(folder: Path) -> tuple[np.ndarray, float]:
        features = open_array(folder / "features.bin", np.float32).reshape(len(rows), width)
        return features, float(read_json(folder / "seconds.json")["seconds"])

    return cache.load("features", settings, build, load)


def digest_texts(texts: EncodedDataset, rows: np.ndarray) -> str:
    """Return a digest of the ids of some texts."""
    digest = hashlib.blake2b(texts.lengths[rows].astype(np.int64).tobytes(), digest_size=16)
    for start, stop in zip(texts.offsets[rows], texts.offsets[rows + 1], strict=True):
        digest.update(texts.ids[start:stop].astype(np.int32).tobytes())
    return digest.hexdigest()


def compute_features(
    encode: Encode, texts: EncodedDataset, rows: np.ndarray, width: int
) -> np.ndarray:
    """Compute features [N, F] of the texts of `rows` [N], in batches of like length."""
    first_of: dict[bytes, int] = {}
    of_row = np.empty(len(rows), np.int64)  # number of its text among the different ones
    for number, row in enumerate(rows):
        content = np.asarray(texts.ids[texts.offsets[row] : texts.offsets[row + 1]]).tobytes()
        of_row[number] = first_of.setdefault(content, len(first_of))
    different = rows[np.unique(of_row, return_index=True)[1]]
    log.info("Encoding %s different texts, once.", f"{len(different):,}")
    features = np.empty((len(different), width), np.float32)
    batches = list(iter_batches_by_length(texts.lengths[different], BATCH_TEXTS, BATCH_TOKENS))
    tokens = texts.lengths[different].sum()
    done, logged_at = 0, time.monotonic()
    with torch.inference_mode():
        for positions in reversed(batches):  # memory is short at once, or never
            batch = texts.batch(different[positions])
            features[positions] = encode(batch.ids, batch.lengths).float().cpu().numpy()
            done += int(batch.lengths.sum())
            if time.monotonic() - logged_at > LOG_SECONDS:
                log.info("%.0f %% of them are encoded.", 100 * done / tokens)
                logged_at = time.monotonic()
    return features[of_row]


class PackedLinear(nn.Module):
    """A linear layer whose weights oneDNN has reordered for its products; without gradients."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., D] → [..., D']"""
        product = torch.ops.mkldnn._linear_pointwise
        return product(inputs, self.weight, self.bias, "none", [], "")


def pack_linear_layers(module: nn.Module) -> None:
    """Replace the linear layers of a module on the CPU, in place, if oneDNN is there.

    Products are about a quarter faster than those of MKL, and equal but for rounding.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for name, child in module.named_children():
        if type(child) is nn.Linear and child.weight.dtype == torch.float32:
            setattr(module, name, PackedLinear(child))
        else:
            pack_linear_layers(child)
