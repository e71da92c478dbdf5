"""A program without seqtext computes the model's predictions from the exported files."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from seqtext import load
from seqtext.config.instantiate import build_from_config
from seqtext.data.cleaning import TextCleaner
from seqtext.data.loaders import Batch
from seqtext.errors import UserError
from seqtext.inference import export as exporting
from seqtext.inference.export import ProbabilityModel, build_onnx_program, export
from seqtext.inference.load_model import InputSpec, LoadedModel
from seqtext.inference.predictor import Predictor
from seqtext.layers.normalization import BatchNorm
from seqtext.metrics.scores import compute_probabilities
from seqtext.models.base import TextClassifier
from seqtext.models.fitted_linear import FittedNgramLinear
from seqtext.models.tfidf import TfIdf
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.tokenizers.words import WordTokenizer
from tests.conftest import BAD, GOOD, PLAIN, ROOT
from tests.inference.conftest import REVIEWS
from tests.inference.onnx_only_program import Exported
from tests.models.test_common import NAMES, config_of

WORDS = GOOD + BAD + PLAIN
TEXTS = [
    *(text for text, _ in REVIEWS[:9]),
    "",
    "zzz",
    "superb",
    "Wonderful film, <b>a</b> dreadful plot",
    " ".join(WORDS * 9),
]
LENGTHS = ([1], [1, 1], [2, 1], [3, 9, 1, 4], [40])  # the example of the export has others

ONE = {  # of each file in conf/model, what a whole export is tried with
    "rnn": {"bidirectional": True, "layers": 2, "pooling": "last", "head_units": 4},
    "lstm": {"batch_norm": True, "pooling": "max_mean", "recurrent_activation": "hard_sigmoid"},
    "gru": {"units": [4, 3], "bidirectional": True, "pooling": "attention", "batch_norm": True},
    "cnn": {"filters": [4, 5], "kernel_sizes": [3, 2], "pool_size": 3},
    "text_cnn": {"filters": 4, "head_units": [4, 3], "head_batch_norm": True},
    "attention": {"pooling": "attention_per_feature"},
    "wide_and_deep": {"buckets": 500},
    "fasttext": {"buckets": 500},
    "char_cnn": {"head_units": 4},
    "vdcnn": {"shortcut": True},
    "char_rnn": {"cell": "gru", "pooling": "max_mean"},
}
OTHERS = [  # further corners of the options, and numbers of classes
    ("gru", 2, {"pooling": "last", "head_units": [4, 3], "head_activation": ["tanh", "softmax"]}),
    ("dual_rnn", 2, {"cell": "lstm"}),
    ("vdcnn", 3, {"halving": "k_max"}),
    ("vdcnn", 2, {"halving": "convolution", "shortcut": True}),
    ("wide_and_deep", 3, {"cell": None, "buckets": 500}),
    ("fasttext", 2, {"word_ngrams": 1, "head_units": 3, "head_activation": "selu"}),
]


def network_of(name: str, classes: int, **options: Any) -> nn.Module:
    """Build a network with random weights and batch norm statistics, as after training."""
    torch.manual_seed(0)
    table = nn.Embedding(len(WORDS) + 2, 5)
    model = build_from_config("model", config_of(name, **options), embedding=table, classes=classes)
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.5)
        for norm in model.modules():
            if isinstance(norm, BatchNorm):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)
    if isinstance(getattr(model, "terms", None), FittedNgramLinear):
        fit_linear(model, classes)
    return model.eval().requires_grad_(False)


def fit_linear(model: Any, classes: int) -> None:
    """Fit the linear part to random texts."""
    for module in model.modules():
        if hasattr(module, "set_tokens"):
            module.set_tokens([*SPECIAL_TOKENS, *WORDS])
    ids = torch.randint(2, len(WORDS) + 2, (50, 9))
    rows = torch.arange(len(ids))
    model.initialize_from_data([Batch(ids, torch.full((50,), 9), rows % classes, rows)])


def tfidf_of(classes: int, **options: Any) -> TfIdf:
    """Build a TF-IDF model of all words and some pairs."""
    random = np.random.default_rng(0)
    pairs = random.permutation(len(WORDS) ** 2)[:60]
    model, outputs = TfIdf(classes, "words", **options), 1 if classes == 2 else classes
    ngrams = {
        "bigrams": np.stack(np.divmod(pairs, len(WORDS)), axis=1).astype(np.int32),
        "trigrams": np.stack(np.divmod(pairs, len(WORDS)), axis=1).astype(np.int32),
    }
    ngrams["trigrams"][:, 0] %= len(pairs)
    ngrams = {name: ngrams[name] for name in list(ngrams)[: model.features.word_ngrams - 1]}
    terms = len(WORDS) + sum(map(len, ngrams.values()))
    arrays = {
        **ngrams,
        "idf": random.uniform(1, 5, terms).astype(np.float32),
        "weights": random.normal(0, 4, (outputs, terms)).astype(np.float32),
        "bias": random.normal(size=outputs).astype(np.float32),
    }
    model.load_state_dict(WORDS, {n: torch.from_numpy(a.copy()) for n, a in arrays.items()})
    return model


def loaded_model_of(model: Any, classes: int, length: int | None = 60) -> LoadedModel:
    cleaning = TextCleaner(["strip_html", "keep_letters", "lower", "drop_stopwords"], ["of", "no"])
    tokenizer = WordTokenizer()
    tokenizer.load_state_dict({"tokens": WORDS, "max_length": length})
    input_spec = InputSpec(columns=["review"])
    return LoadedModel(model, tokenizer, cleaning, list("abcd"[:classes]), input_spec, 0.3)


def check(loaded_model: LoadedModel, folder: Path) -> None:
    """Check that the exported files give the model's probabilities, with any padding."""
    onnx.checker.check_model(folder / "model.onnx", full_check=True)
    wanted = Predictor(loaded_model)
    wanted = wanted.probabilities(wanted.predict_logits(pa.array(TEXTS)))
    assert wanted.std(axis=0).max() > 1e-3  # it tells texts apart, by far more than the tolerance
    exported = Exported(folder)
    for padding in (0, 7):
        shares = exported.probabilities(TEXTS, padding)
        assert shares.dtype == np.float32
        np.testing.assert_allclose(shares, wanted, rtol=0, atol=1e-5)
    for number in (0, TEXTS.index(""), TEXTS.index("superb")):
        alone = exported.probabilities([TEXTS[number]])
        np.testing.assert_allclose(alone, wanted[number : number + 1], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMES if n != "pretrained"])  # see test_pretrained
def test_every_network(name, tmp_path):
    classes = 2 + NAMES.index(name) % 2
    model = network_of(name, classes, **ONE.get(name, {}))
    if name == "lstm":  # as of trainer.precision=64-true
        model.double()
    before = copy.deepcopy(model.state_dict())
    loaded_model = loaded_model_of(model, classes)
    export(loaded_model, tmp_path / "out")
    check(loaded_model, tmp_path / "out")
    for key, tensor in model.state_dict().items():  # the model stays as it was, in its type too
        torch.testing.assert_close(tensor, before[key], atol=0, rtol=0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "options", [{}, {"sublinear_tf": False}, {"word_ngrams": 1}, {"word_ngrams": 3}]
)
def test_tfidf(classes, options, tmp_path):
    loaded_model = loaded_model_of(
        tfidf_of(classes, **options), classes, length=3
    )  # it takes whole texts
    export(loaded_model, tmp_path / "out")
    check(loaded_model, tmp_path / "out")


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_tfidf_of_ordered_classes(temperature, tmp_path):
    model = tfidf_of(4)
    model.weights, model.bias = model.weights[:3].copy(), model.bias[:3].copy()
    model.make_ordinal()
    loaded_model = loaded_model_of(model, 4)._replace(temperature=temperature)
    export(loaded_model, tmp_path / "out")
    check(loaded_model, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_a_calibrated_network_of_ordered_classes(classes, tmp_path):
    torch.manual_seed(0)
    embedding = nn.Embedding(len(WORDS) + 2, 4)
    model = build_from_config(
        "model", config_of("gru"), embedding=embedding, classes=classes
    ).eval()
    model.make_ordinal()
    loaded_model = loaded_model_of(model, classes)._replace(temperature=0.5)
    export(loaded_model, tmp_path / "out")
    check(loaded_model, tmp_path / "out")


def test_tfidf_of_characters_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"train with model\.analyzer=words"):
        export(loaded_model_of(TfIdf(), 2), tmp_path / "out")
    assert not list(tmp_path.iterdir())


class Together(nn.Module):
    """Several networks as one module, since each export takes half a second."""

    def __init__(self, networks: list[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(map(ProbabilityModel, networks))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, sum of C]"""
        return torch.cat([network(ids, lengths) for network in self.networks], dim=1)


@pytest.mark.slow
def test_other_options():
    networks = [network_of(name, classes, **options) for name, classes, options in OTHERS]
    program = build_onnx_program(Together(networks))
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for lengths in map(torch.tensor, LENGTHS):
        ids = torch.randint(1, len(WORDS) + 2, (len(lengths), int(lengths.max()) + 2))
        ids = ids.masked_fill(torch.arange(ids.shape[1]) >= lengths[:, None], 0)
        inputs = {"ids": ids.numpy(), "lengths": lengths.numpy()}
        wanted = torch.cat([compute_probabilities(each(ids, lengths)) for each in networks], dim=1)
        np.testing.assert_allclose(session.run(None, inputs)[0], wanted, rtol=0, atol=1e-5)


def test_the_command_and_a_program_without_seqtext(predict, finished, tmp_path):
    status, shown, error = predict(f"run={finished.path}", "export=out/film")
    assert (status, error) == (0, "")
    assert re.sub(r"\d+\.\d\d", "…", shown) == (
        "out/film/model.onnx: … MB\nout/film/preprocessing.json: … MB\n"
        "out/film/tokenizer.json: … MB\n"
    )
    content = (tmp_path / "out" / "film" / "model.onnx").read_bytes()
    assert str(ROOT).encode() not in content  # no places of this machine
    assert b".py" not in content
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["film"]
    texts = [*TEXTS, *(text for text, _ in REVIEWS)]
    wanted = load(finished.path).predict_proba(texts)
    exported = Exported(tmp_path / "out" / "film")
    np.testing.assert_allclose(exported.probabilities(texts), wanted, rtol=0, atol=1e-5)
    assert exported.reading["class_names"] == ["negative", "positive"]
    assert exported.reading["text_columns"] == ["review"]
    assert exported.reading["vocabulary"]["wonderful"] >= 2


def test_a_reading_is_plain_and_whole(tmp_path):
    export(loaded_model_of(tfidf_of(3), 3), tmp_path / "new" / "out")
    reading = json.loads((tmp_path / "new" / "out" / "preprocessing.json").read_text("utf-8"))
    assert reading["threshold"] == 0.3
    assert reading["max_length"] is None
    assert reading["vocabulary"] == {word: number for number, word in enumerate(WORDS, 2)}
    assert {step["step"] for step in reading["cleaning"]} == {
        *("strip_html", "keep_letters", "lower", "drop_stopwords")
    }
    assert (reading["padding"], reading["unknown"], reading["empty_text"]) == (0, 1, [1])


def test_an_earlier_export_gives_way(tmp_path):
    for classes in (2, 3):
        loaded_model = loaded_model_of(tfidf_of(classes), classes)
        files = export(loaded_model, tmp_path / "out")
        assert [path.name for path in files] == [
            "model.onnx",
            "preprocessing.json",
            "tokenizer.json",
        ]
        check(loaded_model, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_something_else_stays(tmp_path):
    loaded_model = loaded_model_of(tfidf_of(2), 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("text")
    with pytest.raises(UserError, match=r"export=.*mine holds thesis\.tex"):
        export(loaded_model, tmp_path / "mine")
    with pytest.raises(UserError, match=r"export=.*file is a file"):
        export(loaded_model, tmp_path / "file")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "file"}


def test_a_failure_leaves_the_earlier_export(tmp_path, monkeypatch):
    loaded_model = loaded_model_of(tfidf_of(2), 2)
    export(loaded_model, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def replace(source: Path, target: Path) -> None:
        if source.suffix == ".new":
            raise OSError("disk full")
        source.rename(target)

    for name, failing in (
        ("write_graph", _failing),
        ("describe_preprocessing", _failing),
        ("os", replace),
    ):
        with monkeypatch.context() as patch:
            place = (exporting.os, "replace") if name == "os" else (exporting, name)
            patch.setattr(*place, failing)
            with pytest.raises(OSError, match="disk"):
                export(loaded_model, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_a_network_that_onnx_cannot_run(tmp_path, capfd):
    class Halving(TextClassifier):
        name = "halving"

        def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
            """As many steps as the shortest text has words: no graph knows them."""
            vectors = self.embed(ids).mean(dim=1)
            for _ in range(int(lengths.min())):
                vectors = vectors / 2
            return self.compute_logits(vectors)

    model = Halving(nn.Embedding(len(WORDS) + 2, 5), classes=2, features=5).eval()
    with pytest.raises(UserError, match=r"^model=halving cannot be exported to ONNX: .+") as told:
        export(loaded_model_of(model, 2), tmp_path / "out")
    assert ("\n" not in str(told.value), capfd.readouterr()) == (True, ("", ""))
    assert not list(tmp_path.iterdir())


def _failing(*arguments: Any) -> None:
    raise OSError("disk full")


def test_without_the_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"onnx: run pip install -e '\.\[export\]'"):
        export(loaded_model_of(tfidf_of(2), 2), tmp_path / "out")
    assert not list(tmp_path.iterdir())
