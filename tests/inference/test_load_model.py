"""Checkpoints from strangers are data: invalid ones are refused with a one-line message."""

import copy
import os
import pickle
from pathlib import Path

import pytest
import torch

from seqtext.checkpoints.files import FORMAT_VERSION, load_checkpoint, save_checkpoint
from seqtext.errors import UserError
from seqtext.inference.load_model import load_model


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def refusal(path: Path) -> str:
    """Return the error message."""
    with pytest.raises(UserError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", ["torch", "old torch", "pickle", "in place", "in the weights"])
def test_a_pickled_object_is_not_run(finished, tmp_path, form):
    evil, path = Evil(tmp_path / "mark"), tmp_path / "evil.ckpt"
    checkpoint = load_checkpoint(finished.best_checkpoint)
    if form == "in place":
        checkpoint["seqtext"]["config"]["model"]["units"] = evil
    elif form == "in the weights":
        checkpoint["state_dict"]["output.bias"] = evil
    else:
        checkpoint = {"seqtext": evil, "state_dict": {}}
    if form == "pickle":
        path.write_bytes(pickle.dumps(checkpoint))
    else:
        torch.save(checkpoint, path, _use_new_zipfile_serialization=form != "old torch")
    assert "no checkpoint of plain values" in refusal(path)
    assert not evil.mark.exists()


def test_damaged_and_other_files(finished, tmp_path):
    content = finished.best_checkpoint.read_bytes()
    for name, wrong in {
        "half": content[: len(content) // 2],
        "short": content[:-1],
        "empty": b"",
        "text": b"text,label\na,b\n",
        "noise": bytes(range(256)) * 50,
    }.items():
        (tmp_path / name).write_bytes(wrong)
        assert "damaged" in refusal(tmp_path / name)
    torch.save([1, 2], tmp_path / "list")
    assert "no checkpoint of this program" in refusal(tmp_path / "list")


DELETE = object()
HUGE = torch.empty(1).expand(10**9, 8)
PLAIN = "no checkpoint of plain values"
WRONG = {
    "seqtext": [(3, "no checkpoint of this program"), (DELETE, "no checkpoint of this program")],
    "seqtext.format": [
        (FORMAT_VERSION - 1, "another version"),
        (99, "another version"),
        (DELETE, "another version"),
        (True, "another version"),
        (torch.ones(2), "another version"),
    ],
    "seqtext.config": [(DELETE, "config"), ([], "config must be")],
    "seqtext.config.model": [(DELETE, "config.model"), ("os.system", "config.model")],
    "seqtext.config.model._target_": [
        ("os.system", "not allowed"),
        ("seqtext.models.gru.Nothing", "cannot be found"),
        ("seqtext.models.base.TextClassifier", "no option"),
        ("seqtext.layers.dense.DenseBlock", "not allowed"),
        ("seqtext.models.rnn.nn", "must be a subclass of TextClassifier"),
        ("seqtext.datasets.imdb.IMDB", "not allowed"),
        ("torch.nn.GRU", "not allowed"),
        (7, "config.model"),
        (DELETE, "config.model"),
    ],
    "seqtext.config.model.units": [
        (9, "shape"),
        (10**5, "shape"),
        (10**12, "cannot be built"),
        (-1, "at least 1"),
        ({"_target_": "os.mkdir", "path": "mark"}, "model.units"),
        (torch.tensor(8), "plain value"),
        (torch.ones(2), "plain value"),
        (True, "model.units"),
        ([[[8]]], "model.units"),
        ("${oc.env:HOME}", "is an interpolation"),
    ],
    "seqtext.config.model.layers": [(10**12, "more than")],
    "seqtext.config.model.evil": [(1, "no option")],
    "seqtext.config.embedding._target_": [("torch.nn.Embedding", "not allowed")],
    "seqtext.config.embedding": [(None, "config.embedding")],
    "seqtext.tokenizer": [(DELETE, "no tokenizer"), ([1], "tokenizer")],
    "seqtext.tokenizer.tokens": [
        (["a"], "shape"),
        ("abc", "list"),
        ([1], "list"),
        (DELETE, "list"),
        (["\ud800"], "UTF-8"),
        (["a", "a"], "different"),
        (torch.zeros(3), "list"),
    ],
    "seqtext.tokenizer.max_length": [
        (0, "positive"),
        (2**70, "positive"),
        (True, "positive"),
    ],
    "seqtext.config.tokenizer": [(DELETE, "config.tokenizer"), (None, "config.tokenizer")],
    "seqtext.config.tokenizer._target_": [("os.mkdir", "not allowed")],
    "seqtext.config.tokenizer.truncation_side": [("middle", "left, right")],
    "seqtext.class_names": [
        (["a"], "two or more"),
        (["a", "a"], "two or more"),
        (["a", "\udfff"], "UTF-8"),
        (["a", "b", "c"], "shape"),
        (DELETE, "no class_names"),
    ],
    "seqtext.cleaning": [(DELETE, "no cleaning"), ({}, "no cleaning.steps")],
    "seqtext.cleaning.steps": [
        (["polish"], "polish"),
        ("lower", "list"),
        (["lower"] * 2000, "most"),
    ],
    "seqtext.cleaning.stopwords": [(["\ud800"], "UTF-8")],
    "seqtext.config.dataset.dir": [("${oc.env:HOME}", "is an interpolation")],
    "seqtext.threshold": [(2.0, "between 0 and 1"), ("half", "number"), (float("nan"), "between")],
    "seqtext.input_spec": [([1], "input_spec"), ({"a": 1}, "input_spec.columns")],
    "state_dict": [(DELETE, "no state_dict"), ([], "no state_dict"), ({}, "state_dict has")],
    "state_dict/output.bias": [
        (DELETE, "has no output.bias"),
        (torch.zeros(2), "shape [2], not [1]"),
        (torch.tensor([float("nan")]), "not finite"),
        (torch.tensor([1]), "of type torch.int64"),
        ("text", "no tensor"),
        (torch.zeros(1).to_sparse(), PLAIN),
        (torch.zeros(1, dtype=torch.complex64), PLAIN),
        (torch.zeros(1).to(torch.float8_e4m3fn), PLAIN),
        (torch.zeros(1, device="meta"), PLAIN),
    ],
    "state_dict/embedding.weight": [(HUGE, PLAIN)],
    "state_dict/further": [(torch.zeros(1), "unknown further")],
}


@pytest.fixture(scope="session")
def checkpoint(finished):
    return load_checkpoint(finished.best_checkpoint)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [(place, *case) for place, cases in WRONG.items() for case in cases],
)
def test_what_does_not_fit_is_told(checkpoint, tmp_path, monkeypatch, place, value, words):
    monkeypatch.chdir(tmp_path)
    wrong = copy.deepcopy(checkpoint)
    keys = place.split("/") if "/" in place else place.split(".")
    within = wrong
    for key in keys[:-1]:
        within = within[key]
    if value is DELETE:
        del within[keys[-1]]
    else:
        within[keys[-1]] = value
    save_checkpoint(tmp_path / "wrong.ckpt", wrong)
    assert words in refusal(tmp_path / "wrong.ckpt")
    assert not (tmp_path / "mark").exists()


def test_what_hydra_would_listen_to_means_nothing(checkpoint, tmp_path):
    changed = copy.deepcopy(checkpoint)
    changed["seqtext"]["config"]["model"] |= {"_partial_": True, "_args_": [1], "_recursive_": True}
    save_checkpoint(tmp_path / "changed.ckpt", changed)
    assert isinstance(load_model(tmp_path / "changed.ckpt").model, torch.nn.Module)


def test_tfidf(tmp_path):
    content = {
        "seqtext": {
            "format": FORMAT_VERSION,
            "config": {
                "tokenizer": {"_target_": "seqtext.tokenizers.words.WordTokenizer"},
                "model": {"_target_": "seqtext.models.tfidf.TfIdf"},
            },
            "tokenizer": {"tokens": ["a", "b"], "max_length": None},
            "class_names": ["no", "yes"],
            "cleaning": {"steps": [], "stopwords": None},
            "input_spec": {"columns": ["text"], "drop_labels": []},
            "threshold": 0.5,
        },
        "state_dict": {
            "bigrams": torch.tensor([[0, 1]], dtype=torch.int32),
            "characters": torch.tensor([[97, 98, 0, 0, 0]], dtype=torch.int32),
            "idf": torch.ones(4),
            "weights": torch.ones(1, 4),
            "bias": torch.ones(1),
        },
    }
    save_checkpoint(tmp_path / "right.ckpt", content)
    assert load_model(tmp_path / "right.ckpt").tokenizer.vocabulary.tokens == ["a", "b"]
    for name, value, words in (
        ("bigrams", torch.tensor([[0, 2]], dtype=torch.int32), "of its words"),
        ("bigrams", torch.tensor(3), "bigrams"),
        ("characters", torch.tensor([[97]], dtype=torch.int32), "characters"),
        ("characters", torch.full((1, 5), 0xD800, dtype=torch.int32), "Unicode code points"),
        ("idf", torch.ones(2), "idf"),
        ("weights", torch.ones(2, 4), "weights"),
        ("weights", torch.ones(1, 4, dtype=torch.int64), "weights"),
    ):
        wrong = content | {"state_dict": content["state_dict"] | {name: value}}
        save_checkpoint(tmp_path / "wrong.ckpt", wrong)
        assert words in refusal(tmp_path / "wrong.ckpt")
