"""Pretrained encoders: equal to transformers' own, in checkpoints, predictions and exports."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer

from seqtext.embeddings.encoder import EncoderEmbedding
from seqtext.errors import UserError
from seqtext.inference.attribution import explain
from seqtext.inference.export import export
from seqtext.inference.load_model import load_model
from seqtext.inference.predictor import Predictor
from seqtext.models.pretrained import Pretrained
from seqtext.tokenizers.encoder import EncoderTokenizer
from tests.conftest import BAD, GOOD, PLAIN
from tests.models.tiny_encoder import write_encoder

WORDS = [*GOOD, *BAD, *PLAIN, "no", "##s", ",", "!"]
TEXTS = ["the film was superb", "plots of an unknown kind!", "a", " ".join(PLAIN * 5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("models") / "tiny", WORDS)


def embed_by_transformers(folder, texts: list[str], pooling: str, normalize: bool) -> torch.Tensor:
    """Compute the features one text at a time, with transformers' own class and numbering."""
    from transformers import BertModel

    model = BertModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    features = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        ids = [*ids[:39], ids[-1]] if len(ids) > 40 else ids
        with torch.no_grad():
            states = model(torch.tensor([ids])).last_hidden_state[0]
        vector = states[0] if pooling == "first" else states.mean(dim=0)
        features.append(vector / vector.norm() if normalize else vector)
    return torch.stack(features)


def encode(folder, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return padded ids and lengths by our tokenizer."""
    tokenizer = EncoderTokenizer(str(folder))
    tokenizer.fit(None, np.arange(0))
    assert tokenizer.max_length == 38
    ids, lengths = tokenizer.encode(pa.array(texts))
    parts = torch.from_numpy(ids).long().split(lengths.tolist())
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), torch.from_numpy(lengths)


def build(folder, frozen: bool, **options) -> Pretrained:
    size = len(WORDS) + 4
    embedding = EncoderEmbedding(size, 6, str(folder), freeze=frozen)
    if not frozen:
        embedding.fill(embedding.read_vectors(FakeData(size)).values, np.ones(0, bool))
    return Pretrained(embedding, path=str(folder), frozen=frozen, **options).eval()


class FakeData:
    """What `EncoderEmbedding.read_vectors` reads of a data module."""

    def __init__(self, size: int):
        self.vocabulary, self.cache = range(size), self

    def digest_files(self, paths) -> str:
        return "digest"


@pytest.mark.parametrize(
    ("frozen", "pooling", "normalize"),
    [(True, "mean", False), (True, "first", True), (False, "mean", True), (False, "first", False)],
)
def test_features_are_those_of_transformers(folder, frozen, pooling, normalize):
    model = build(folder, frozen, pooling=pooling, normalize=normalize)
    expected = embed_by_transformers(folder, TEXTS, pooling, normalize)
    with torch.no_grad():
        torch.testing.assert_close(
            model.encode(*encode(folder, TEXTS)), expected, atol=1e-5, rtol=0
        )
    held = {name.partition(".")[0] for name in model.state_dict()}
    standardized = {"feature_mean", "feature_scale"}
    assert held == {"output"} | (standardized if frozen else {"encoder", "embedding"})


def test_learning_rates_decrease_to_the_word_vectors(folder):
    model = build(folder, False, encoder_lr_factor=0.1, layer_decay=0.5)
    model.configure_training(torch.optim.AdamW)
    optimizer = model.configure_optimizers()["optimizer"]
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert named["output.weight"] == pytest.approx(1e-3)
    assert named["encoder.encoder.layer.1.output.dense.bias"] == pytest.approx(1e-4)
    assert named["encoder.encoder.layer.0.output.dense.weight"] == pytest.approx(5e-5)
    assert named["encoder.embeddings.position_embeddings.weight"] == pytest.approx(2.5e-5)
    assert named["embedding.weight"] == pytest.approx(2.5e-5)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Encoders that tests of runs may change."""
    return tmp_path_factory.mktemp("bases")


def options_of(path, small, *others) -> list[str]:
    mine = [option for option in small if not option.startswith(("model.", "embedding."))]
    return [*mine, "model=pretrained", f"model.path={path}", "name=run", *others]


def assert_exported_equal(loaded, texts: list[str], target) -> None:
    import onnxruntime

    export(loaded, target)
    facts = json.loads((target / "preprocessing.json").read_text())
    tokenizer = Tokenizer.from_file(str(target / "tokenizer.json"))
    session = onnxruntime.InferenceSession(target / "model.onnx")
    for text in texts:
        cleaned = loaded.cleaning(pa.array([text])).to_pylist()[0]
        found = tokenizer.encode(cleaned, add_special_tokens=False).ids
        ids = np.array([facts["token_ids"][n] for n in found][: facts["max_length"]], np.int64)
        inputs = {"ids": ids[None], "lengths": np.array([len(ids)], np.int64)}
        (probabilities,) = session.run(None, inputs)
        predictor = Predictor(loaded)
        expected = predictor.probabilities(predictor.predict_logits(pa.array([text])))
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_frozen_run(train, script, small, tmp_path):
    base = write_encoder(tmp_path / "base", WORDS)
    status, out, errors = train(*options_of(base, small))
    assert status == 0, errors
    assert "different texts, once" in out + errors
    checkpoint = tmp_path / "outputs" / "run" / "checkpoints" / "best.ckpt"
    assert checkpoint.stat().st_size < 100_000
    loaded = load_model(checkpoint)
    predictor, texts = Predictor(loaded), pa.array(TEXTS)
    rows = pa.parquet.read_table(tmp_path / "outputs" / "run" / "predictions" / "test.parquet")
    assert len(rows)
    explained = explain(predictor, texts)
    assert explained[0].words == ["the", "film", "was", "superb"]
    assert_exported_equal(loaded, TEXTS[:2], tmp_path / "exported")
    before = predictor.predict_logits(texts)
    write_encoder(base, WORDS, seed=1)
    with pytest.raises(UserError, match="holds other weights than those that it was trained with"):
        load_model(checkpoint)
    shutil.rmtree(base)
    with pytest.raises(UserError, match=r"which a checkpoint does not hold.*no such folder"):
        load_model(checkpoint)
    write_encoder(base, WORDS)
    assert torch.equal(Predictor(load_model(checkpoint)).predict_logits(texts), before)


def test_fine_tuned_run_is_complete(train, small, tmp_path):
    base = write_encoder(tmp_path / "base", WORDS)
    status, _, errors = train(*options_of(base, small, "model.frozen=false"))
    assert status == 0, errors
    shutil.rmtree(base)
    loaded = load_model(tmp_path / "outputs" / "run" / "checkpoints" / "best.ckpt")
    assert_exported_equal(loaded, TEXTS[:2], tmp_path / "exported")
    assert explain(Predictor(loaded), pa.array(TEXTS))[0].method == "integrated gradients"
