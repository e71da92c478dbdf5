"""Compare a run with what needs no network: the class shares of the training part, and tfidf."""

import hashlib
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqtext.cache import digest_json
from seqtext.config.run_config import RunConfig
from seqtext.data.code_fingerprint import digest_code
from seqtext.data.split import PARTS, Part
from seqtext.datasets.base import TextDataModule
from seqtext.files import read_json, write_json
from seqtext.metrics.predictions import Predictions
from seqtext.models.tfidf import TfIdf
from seqtext.tokenizers.words import WordTokenizer
from seqtext.training.fit_non_neural import fit_model, predict_logits

log = logging.getLogger(__name__)

SCORED_PARTS: tuple[Part, ...] = ("val", "test")
LARGEST_SHARE = 0.05  # of the training time that "auto" spends on tfidf
SECONDS_PER_WORD = 1e-5  # of fitting and applying tfidf, estimated on two cores
NOT_READ = ("max_length", "truncation_side", "vocab_size", "fit_rows")  # by tfidf, of a tokenizer


def compute_baselines(
    data: TextDataModule, options: RunConfig, train_seconds: float, with_tfidf: bool = True
) -> dict[str, Any]:
    """Return the scores of baselines on the validation and the test part.

    Args:
        train_seconds: training time of the run, of which ``baseline=auto`` may add a share
        with_tfidf: whether tfidf is to be compared with, if the options allow it

    Returns:
        "majority": its scores and the name of the class, which is given to every row with the
        probabilities of the training part; "tfidf": its scores with its default options, and the
        seconds that they took when they were computed.
    """
    found = {"majority": _score_class_shares(data, options)}
    if not with_tfidf or options.baseline is False:
        return found
    if data.sampling == "balanced_batches":
        if options.baseline is True:
            log.warning("baseline=true is not possible with sampling=balanced_batches.")
        return found
    settings = _describe_tfidf(data, options)
    is_cheap = _count_words(data) * SECONDS_PER_WORD <= LARGEST_SHARE * train_seconds
    if options.baseline is True or is_cheap or data.cache.contains("baselines", settings):
        found["tfidf"] = _load_tfidf(data, options, settings)
    return found


def _score_class_shares(data: TextDataModule, options: RunConfig) -> dict[str, Any]:
    counts = np.bincount(data.labels[data.dataset.parts["train"]], minlength=len(data.class_names))
    logits = torch.from_numpy(np.log(counts.clip(1))).float()
    if len(counts) == 2:
        logits = logits[1] - logits[0]
    scores: dict[str, Any] = {}
    for part in SCORED_PARTS:
        count = len(data.dataset.parts[part])
        found = _build_predictions(data, options, part, logits.expand(count, *logits.shape))
        scores |= {part: found.compute_metrics(), "class": data.class_names[found.predicted[0]]}
    return scores


def _build_predictions(
    data: TextDataModule, options: RunConfig, part: Part, logits: Tensor
) -> Predictions:
    rows = np.array(data.dataset.parts[part])
    is_ordinal = options.target == "ordinal" and len(data.class_names) > 2
    return Predictions(rows, data.labels[rows], logits, data.class_names, is_ordinal=is_ordinal)


def _load_tfidf(
    data: TextDataModule, options: RunConfig, settings: dict[str, Any]
) -> dict[str, Any]:
    def build(folder: Path) -> None:
        start_time = time.perf_counter()
        model = TfIdf(classes=len(data.class_names))
        if options.target == "ordinal":
            model.make_ordinal()
        fit_model(model, data, _get_monitor(options))
        scores: dict[str, Any] = {}
        threshold = options.threshold
        for part in SCORED_PARTS:
            found = _build_predictions(data, options, part, predict_logits(model, data, part))
            if threshold == "tuned":  # on the validation part, which is the first
                threshold = found.find_best_threshold()
            scores[part] = found.with_threshold(float(threshold)).compute_metrics()
        scores["seconds"] = time.perf_counter() - start_time
        write_json(folder / "scores.json", scores)

    return data.cache.load("baselines", settings, build, lambda f: read_json(f / "scores.json"))


def _describe_tfidf(data: TextDataModule, options: RunConfig) -> dict[str, Any]:
    """Return what the scores of tfidf depend on, as plain values."""
    digest = hashlib.blake2b(data.dataset.rows.digest.encode(), digest_size=16)
    for rows in (*(data.dataset.parts[part] for part in PARTS), data.training_rows):
        digest.update(np.ascontiguousarray(rows).data)
    tokenizer = None
    if isinstance(data.tokenizer, WordTokenizer):
        tokenizer = {k: v for k, v in data.tokenizer.settings().items() if k not in NOT_READ}
    return {
        "code": digest_code(TfIdf),
        "rows": digest.hexdigest(),
        "cleaning": data.cleaning.settings(),
        "tokenizer": digest_json(tokenizer),
        "class_weights": data.class_weights(),
        "target": options.target,
        "monitor": _get_monitor(options),
        "threshold": options.threshold,
    }


def _get_monitor(options: RunConfig) -> str:
    """Return the metric by which tfidf chooses its options: the run's, unless it is a user's."""
    is_own = options.monitor.removeprefix("val/") in options.custom_metrics
    return "val/loss" if is_own else options.monitor


def _count_words(data: TextDataModule) -> int:
    rows = np.concatenate([data.dataset.parts[part] for part in PARTS])
    return int(np.diff(data.corpus.offsets)[rows].sum())
