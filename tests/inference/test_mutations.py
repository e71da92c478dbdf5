"""Checkpoints with one or several invalid values work, or are refused with a one-line message."""

import copy
import json
import math
import random
import resource
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from seqtext.checkpoints.files import METADATA_KEY, build_metadata, save_checkpoint
from seqtext.config.instantiate import build_from_config
from seqtext.errors import UserError
from seqtext.inference.export import describe_preprocessing
from seqtext.inference.load_model import load_model
from seqtext.inference.predictor import Predictor
from tests.conftest import BAD, GOOD, settings_of

MODELS = ("gru", "cnn", "wide_and_deep", "attention", "fasttext", "tfidf", "dual_rnn")
NUMBERS = [0, -1, 1, 2, 1.5, math.nan, math.inf, 10**6, 2**31, 2**40, 2**63, 2**70, -(2**70)]
OTHERS = [
    *(None, True, False, "", "a", "\ud800", "x\0y", "${oc.env:HOME}", "a" * 100_000),
    *([], ["a"], ["\udfff"], [[]], [None], ["a"] * 1000, [[[[1]]]], {}, {1: 2}, {"": 3}),
    *({"_target_": "os.system"}, bytearray(b"x"), {1, 2}, 1j, torch.float32, torch.Size([1])),
    *(torch.zeros(3), torch.tensor(5), torch.zeros(0), torch.tensor(math.nan)),
    *(torch.zeros(3, dtype=torch.complex64), torch.zeros(3).to(torch.float8_e4m3fn)),
    *(torch.zeros(3).to_sparse(), torch.empty(3, device="meta"), torch.empty(1).expand(10**9, 8)),
    torch.zeros(6, dtype=torch.int64),
]
VALUES = [*NUMBERS, *OTHERS, *([number] for number in NUMBERS), *([1, n] for n in NUMBERS)]
IN_CONFIG = ("tokenizer", "model", "embedding", "trainer", "dataset")  # groups that are looked at
MEMORY = 1 << 20  # KiB by which the process may grow


def build_checkpoint(model: str, classes: int) -> dict:
    settings = settings_of(f"model={model}", "embedding.dim=6")
    settings = {name: settings[name] for name in IN_CONFIG}
    words = GOOD + BAD
    if model == "tfidf":
        outputs = 1 if classes == 2 else classes
        state = {
            "bigrams": torch.tensor([[0, 1]], dtype=torch.int32),
            "characters": torch.tensor([[32, 97, 0, 0, 0]], dtype=torch.int32),
            "idf": torch.ones(14),
            "weights": torch.ones(outputs, 14),
            "bias": torch.ones(outputs),
        }
    else:
        if "buckets" in settings["model"]:
            settings["model"]["buckets"] = 50
        table = build_from_config(
            "embedding", settings["embedding"], vocabulary_size=len(words) + 2
        )
        state = build_from_config(
            "model", settings["model"], embedding=table, classes=classes
        ).state_dict()
    metadata = build_metadata(
        settings,
        {"tokens": words, "max_length": 5},
        class_names=list("abc"[:classes]),
        cleaning={"steps": ["lower", "drop_stopwords"], "stopwords": ["the"]},
        data="",
        input_spec={"columns": ["text"], "drop_labels": []},
    )
    return {METADATA_KEY: metadata, "state_dict": dict(state)}


def places(value, above=()):
    """Return the keys that lead to each value."""
    if above:
        yield above
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*above, name))
    elif isinstance(value, list):
        for number in range(min(2, len(value))):
            yield from places(value[number], (*above, number))


def mutate(checkpoint: dict, rng: random.Random) -> None:
    place = rng.choice([*places(checkpoint), ("further",)])
    within = checkpoint
    for key in place[:-1]:
        within = within[key]
    value, what = copy.deepcopy(rng.choice(VALUES)), rng.random()
    if what < 0.1 and place != ("further",):
        del within[place[-1]]
    elif what < 0.15 and isinstance(within, dict):
        within[rng.choice([1, "evil", "\ud800", "_target_", "_args_"])] = value
    else:
        within[place[-1]] = value


def refusal(path: Path, texts: pa.Array) -> str | None:
    """Return the error message; None if the checkpoint can be used."""
    try:
        predictor = Predictor(load_model(path))
        predictor.predict_classes(predictor.predict_logits(texts))
        json.dumps(describe_preprocessing(predictor.loaded_model)).encode()
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("count", [20, pytest.param(800, marks=pytest.mark.slow)])
def test_one_sentence_or_it_works(tmp_path, count):
    rng, path = random.Random(0), tmp_path / "wrong.ckpt"
    whole = [build_checkpoint(model, classes) for model in MODELS for classes in (2, 3)]
    refused, texts = 0, pa.array(["superb awful the", "", None])
    for _ in range(count):
        checkpoint = copy.deepcopy(rng.choice(whole))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            mutate(checkpoint, rng)
        save_checkpoint(path, checkpoint)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if message := refusal(path, texts):
            refused += 1
            assert "\n" not in message
            assert message.encode()
            assert len(message) < 700
            assert path.name in message
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + MEMORY
    assert count / 2 < refused < count
