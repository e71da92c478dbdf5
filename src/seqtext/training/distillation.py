"""Let trained models predict the training part, from which ``loss=distill`` learns."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from seqtext.cache import digest_json
from seqtext.config.fingerprints import check_held_out_rows
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError
from seqtext.files import read_json, write_json
from seqtext.inference.ensemble import Ensemble, load_predictor
from seqtext.inference.load_model import find_checkpoint
from seqtext.inference.predictor import TextPredictor
from seqtext.losses import Distillation, compute_log_probabilities
from seqtext.models.base import TextClassifier

log = logging.getLogger(__name__)


def prepare_teacher(model: TextClassifier, data: TextDataModule) -> tuple[float, str | None]:
    """Give the loss of a model the teacher's predictions; do nothing with other losses.

    The predictions are kept in the cache.

    Args:
        data: prepared data

    Returns:
        The seconds that they took, now or when they were cached, and a digest of the teacher.

    Raises:
        UserError: if the teacher cannot be loaded, has other classes, or was trained on rows of
            this run's validation or test part.
    """
    loss = model.loss
    if not isinstance(loss, Distillation):
        return 0.0, None
    paths = [find_checkpoint(run, "loss.teacher") for run in loss.teachers]
    digest = data.cache.digest_files(paths)
    rows = np.unique(data.training_rows)
    described = {"teacher": digest, "data": data.fingerprint(), "rows": digest_json(rows.tolist())}

    def build(folder: Path) -> None:
        start_time = time.perf_counter()
        log.info("The teacher predicts the %s training texts, once.", f"{len(rows):,}")
        texts: pa.Array = pa.chunked_array(data.texts).take(pa.array(rows)).combine_chunks()
        logits = compute_log_probabilities(predictor.predict_logits(texts)).float()
        logits.numpy().tofile(folder / "logits.bin")
        write_json(folder / "seconds.json", {"seconds": time.perf_counter() - start_time})

    predictor = load_predictor(paths)
    _check_teacher(predictor, data)

    def load(folder: Path) -> tuple[np.ndarray, float]:
        shape = len(rows), len(data.class_names)
        logits = np.fromfile(folder / "logits.bin", np.float32).reshape(shape)
        return logits, float(read_json(folder / "seconds.json")["seconds"])

    logits, seconds = data.cache.load("teacher", described, build, load)
    of_all = np.full((len(data.labels), logits.shape[1]), np.nan, np.float32)
    of_all[rows] = logits
    loss.teacher_logits = torch.from_numpy(of_all)
    return seconds, digest


def _check_teacher(predictor: TextPredictor, data: TextDataModule) -> None:
    if list(predictor.class_names) != list(data.class_names):
        raise UserError(
            f"loss.teacher has the classes {', '.join(predictor.class_names)}, and the data set "
            f"{', '.join(data.class_names)}: name a model of the same classes, in the same order."
        )
    models: list[Any] = [predictor]
    if isinstance(predictor, Ensemble):
        models = [member.predictor for member in predictor.members]
    for model in models:
        check_held_out_rows("loss.teacher", model.loaded_model.fingerprints, data)
