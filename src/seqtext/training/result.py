"""The result of fitting a model."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from seqtext.metrics.predictions import Predictions


class TrainResult(NamedTuple):
    """Hold the validation and test predictions of the best checkpoint, and timings.

    start_time: start of training, by `time.perf_counter`
    train_seconds: training time including all restarts
    test_seconds: time of predicting the test part
    feature_seconds: time of computing features of all texts before training, in this run or in the
        one that wrote them into the cache; 0: there are none
    seconds_before_resume: training time before this process was started
    curves: values per epoch by "train/<metric>" and "val/<metric>"
    fingerprints: fingerprints of the data, see `seqtext.identity`
    chosen: values of the model's options that were chosen on the validation part
    """

    predictions: dict[str, Predictions]
    score: float
    parameters: int
    start_time: float
    train_seconds: float
    test_seconds: float
    curves: dict[str, list[float | None]]
    feature_seconds: float = 0.0
    seconds_before_resume: float = 0.0
    best_epoch: int = 1
    epochs: int = 1
    fingerprints: dict[str, Any] | None = None
    chosen: Mapping[str, float | str] = MappingProxyType({})
