"""task=lm: language models, and classifiers that start from them."""

import copy
import json
import math
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seqtext.checkpoints.files import METADATA_KEY, load_checkpoint, save_checkpoint
from seqtext.config.instantiate import build_from_config
from seqtext.embeddings.random import RandomEmbedding
from seqtext.models.language_model import LanguageModel
from seqtext.models.rnn import GRU
from seqtext.run_dir import RunDir
from seqtext.training.pretrain import pretrain
from tests.conftest import ROOT, SMALL, csv_of, invented_reviews, settings_of

TABLE = "classifier.embedding.weight"
LM = [option for option in SMALL if not option.startswith("monitor")]


def run(train, options, *more, name: str) -> RunDir:
    status, _, error = train(*options, f"name={name}", *more)
    assert status == 0, error
    return RunDir(Path("outputs") / name)


def read_result(folder: RunDir) -> dict:
    return json.loads((folder.path / "language_model.json").read_text())


@pytest.fixture
def lm_options(kaggle_dir, shared_cache) -> list[str]:
    return [f"dataset.dir={kaggle_dir}", f"paths.cache_dir={shared_cache}", *LM, "task=lm"]


def build_language_model(bidirectional: bool, units: int = 5, words: int = 30) -> LanguageModel:
    torch.manual_seed(0)
    classifier = GRU(RandomEmbedding(words, 4), units=units, bidirectional=bidirectional)
    return LanguageModel(classifier, torch.arange(words, 0, -1)).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_token_is_predicted_from_those_before_or_after_it(bidirectional):
    model = build_language_model(bidirectional)
    ids, lengths = torch.tensor([[5, 7, 9, 2], [3, 4, 0, 0]]), torch.tensor([4, 2])
    states = model.classifier.compute_states(ids, lengths)
    losses = []
    for number, softmax in enumerate(model.softmaxes):
        for text, length in enumerate(lengths.tolist()):
            for place in range(length):
                own = states[text, place].chunk(len(model.softmaxes))[number]
                other = place + 1 if number == 0 else place - 1
                target = ids[text, other] if 0 <= other < length else torch.tensor(0)
                losses.append(-softmax.log_prob(own[None])[0, model.ranks[target]])
    torch.testing.assert_close(model(ids, lengths).sort()[0], torch.stack(losses).sort()[0])
    padded = F.pad(ids, (0, 3))
    torch.testing.assert_close(model(padded, lengths), model(ids, lengths))


def test_no_direction_sees_what_it_predicts():
    model = build_language_model(bidirectional=True)
    ids, lengths = torch.tensor([[5, 7, 9, 2]]), torch.tensor([4])
    changed = ids.clone()
    changed[0, 2] = 11
    one, other = (model.classifier.compute_states(i, lengths)[0] for i in (ids, changed))
    forward, backward = (
        (a - b).abs().amax(1) > 0 for a, b in zip(one.chunk(2, 1), other.chunk(2, 1), strict=True)
    )
    assert forward.tolist() == [False, False, True, True]
    assert backward.tolist() == [True, True, True, False]


def test_frequent_tokens_come_first():
    classifier = GRU(RandomEmbedding(6, 4), units=3)
    model = LanguageModel(classifier, torch.tensor([5, 0, 9, 9, 1, 7]))
    assert model.ranks.tolist() == [3, 5, 0, 1, 4, 2]


def test_a_run(train, lm_options, script):
    lm = run(train, lm_options, "trainer.max_epochs=4", name="lm")
    result = read_result(lm)
    losses = result["curves"]["val/loss"]
    assert losses[-1] < losses[0]
    assert result["val"]["loss"] == pytest.approx(min(losses), rel=1e-6)
    assert result["val"]["perplexity"] == pytest.approx(math.exp(result["val"]["loss"]))
    assert result["val"]["perplexity"] < result["vocabulary_size"]
    assert result["texts"]["unlabelled"] == 0
    assert not lm.metrics_path.exists()
    assert not (lm.path / "predictions").exists()
    status, out, error = train(f"resume={lm.path}")
    assert status == 0, error
    assert f"model.init_from={lm.path}" in out
    status, _, error = train(f"resume={lm.path}", "trainer.max_epochs=9")
    assert status != 0
    assert "is finished" in error
    status, _, error = script("predict.py", f"run={lm.path}", "a text")
    assert status != 0
    assert "it is a language model" in error
    run(train, [o for o in lm_options if o != "task=lm"], name="plain")
    status, _, error = script("report.py", "outputs")
    assert status == 0, error
    assert "outputs/lm" not in Path("outputs/report/report.md").read_text()


@pytest.mark.parametrize(
    "precision", ["bf16-mixed", pytest.param("64-true", marks=pytest.mark.slow)]
)
def test_precisions(train, lm_options, precision):
    lm = run(train, lm_options, f"trainer.precision={precision}", "trainer.max_epochs=1", name="lm")
    assert read_result(lm)["val"]["perplexity"] < read_result(lm)["vocabulary_size"]


def test_a_killed_run_resumes(train, lm_options):
    lm_options = [*lm_options, "scheduler=none"]  # a schedule would depend on the number of epochs
    whole = run(train, lm_options, "trainer.max_epochs=2", name="whole")
    part = run(train, lm_options, "trainer.max_epochs=1", name="part")
    (part.path / "language_model.json").unlink()
    status, _, error = train(f"resume={part.path}", "trainer.max_epochs=2")
    assert status == 0, error
    assert read_result(part)["curves"]["val/loss"] == read_result(whole)["curves"]["val/loss"]


@pytest.mark.parametrize(
    "more",
    [
        ["model.bidirectional=true"],
        pytest.param(["model=mingru", "model.layers=2"], marks=pytest.mark.slow),
    ],
)
def test_a_classifier_starts_from_it(train, lm_options, more):
    lm = run(train, lm_options, *more, "trainer.max_epochs=1", name="lm")
    options = [o for o in lm_options if o != "task=lm"]
    frozen = ["optimizer=sgd", "optimizer.lr=1e-12"]
    folder = run(train, options, *more, f"model.init_from={lm.path}", *frozen, name="classifier")
    own = load_checkpoint(folder.best_checkpoint)["state_dict"]
    pretrained = load_checkpoint(lm.best_checkpoint)["state_dict"]
    names = [name for name in own if name.startswith(("embedding.", "layers."))]
    assert len(names) > 2
    for name in names:
        torch.testing.assert_close(own[name], pretrained[f"classifier.{name}"], atol=1e-6, rtol=0)
    assert folder.read_metrics()["parameters"] == sum(v.numel() for v in own.values())


@pytest.mark.slow
def test_word_vectors_go_with_their_words(train, lm_options):
    lm = run(train, lm_options, "trainer.max_epochs=1", name="lm")
    options = [o for o in lm_options if o != "task=lm"]
    small = ("tokenizer.vocab_size=20", f"model.init_from={lm.path}", "optimizer=sgd")
    folder = run(train, options, *small, "optimizer.lr=1e-12", name="classifier")
    one, other = (load_checkpoint(each.best_checkpoint) for each in (folder, lm))
    tokens = [c[METADATA_KEY]["tokenizer"]["tokens"] for c in (one, other)]
    assert len(tokens[0]) == 20 < len(tokens[1])
    for number, token in enumerate(tokens[0]):
        torch.testing.assert_close(
            one["state_dict"]["embedding.weight"][2 + number],
            other["state_dict"]["classifier.embedding.weight"][2 + tokens[1].index(token)],
        )


def test_unlabelled_texts_are_learned_from(train, lm_options, tmp_path):
    (tmp_path / "more.txt").write_text("\n".join(t for t, _ in invented_reviews(90, seed=5)))
    lm = run(train, lm_options, "dataset.unlabelled=more.txt", "trainer.max_epochs=1", name="lm")
    result = read_result(lm)
    assert 0 < result["texts"]["unlabelled"] <= 90
    assert not result["warnings"]


@pytest.mark.slow
def test_pretraining_goes_on_from_a_language_model(train, lm_options):
    first = run(train, lm_options, "trainer.max_epochs=2", name="first")
    second = run(
        train, lm_options, f"model.init_from={first.path}", "trainer.max_epochs=1", name="second"
    )
    assert (
        read_result(second)["curves"]["val/loss"][0] < read_result(first)["curves"]["val/loss"][0]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["state_dict"].update({TABLE: torch.full((9, 8), torch.nan)}), "finite"),
        (lambda c: c["state_dict"].update({TABLE: torch.ones(9, 8, dtype=torch.int64)}), "finite"),
        (lambda c: c[METADATA_KEY].update({"tokenizer": "x"}), "its tokens are not"),
        (lambda c: c[METADATA_KEY]["tokenizer"].update({"tokens": [["a"]]}), "its tokens are not"),
        (lambda c: c.update({"state_dict": 3}), "no state_dict"),
        (lambda c: c[METADATA_KEY].update({"config": 3}), "is no language model"),
    ],
)
def test_a_damaged_language_model(train, lm_options, tmp_path, lm_checkpoint, change, words):
    checkpoint = copy.deepcopy(lm_checkpoint)
    change(checkpoint)
    save_checkpoint(tmp_path / "damaged.ckpt", checkpoint)
    options = [o for o in lm_options if o != "task=lm"]
    status, _, error = train(*options, "model.init_from=damaged.ckpt")
    assert status != 0
    assert words in error


@pytest.fixture(scope="module")
def lm_checkpoint(tmp_path_factory) -> dict:
    """Return the checkpoint of a language model."""
    folder = tmp_path_factory.mktemp("lm")
    (folder / "imdb").mkdir()
    (folder / "imdb" / "IMDB Dataset.csv").write_text(csv_of(invented_reviews(240)))
    where = f"dataset.dir={folder / 'imdb'}", f"paths.cache_dir={folder / 'cache'}"
    run_dir = RunDir(folder / "run")
    pretrain(settings_of(*where, *LM, "task=lm", "trainer.max_epochs=1"), run_dir)
    return load_checkpoint(run_dir.best_checkpoint)


@pytest.mark.slow
def test_unfreezing_and_rates(train, lm_options):
    lm = run(train, lm_options, "trainer.max_epochs=1", name="lm")
    options = [o for o in lm_options if o != "task=lm"]
    more = [f"model.init_from={lm.path}", "model.layer_decay=0.5", "callbacks=[gradual_unfreezing]"]
    more.append("scheduler=none")  # a schedule would depend on the number of epochs
    whole = run(train, options, *more, "patience=1", name="whole")
    rows = sum(whole.read_metrics()["rows"]["train"].values())
    count = -(-rows // 16)  # steps of an epoch
    start, states = load_checkpoint(lm.best_checkpoint)["state_dict"], []
    for steps in (1, 2):  # epochs
        limit = ("trainer.max_epochs=-1", f"trainer.max_steps={steps * count}")
        folder = run(train, options, *more, *limit, name=f"epochs-{steps}")
        states.append(load_checkpoint(folder.last_checkpoint)["state_dict"])
    for state, moved in zip(states, ((), ("layers",)), strict=True):
        for name, tensor in state.items():
            part = name.partition(".")[0]
            if part in ("embedding", "layers"):
                is_equal = torch.equal(tensor, start[f"classifier.{name}"])
                assert is_equal == (part not in moved), name
    limit = ("trainer.max_epochs=-1", f"trainer.max_steps={count}")
    part = run(train, options, *more, *limit, name="part")
    part.metrics_path.unlink()
    status, _, error = train(f"resume={part.path}", "trainer.max_epochs=3", "trainer.max_steps=-1")
    assert status == 0, error
    assert part.read_metrics()["test"] == whole.read_metrics()["test"]
    assert part.read_metrics()["parameters"] == whole.read_metrics()["parameters"]


def test_the_rates_of_layers():
    embedding = {"_target_": "seqtext.embeddings.random.RandomEmbedding", "dim": 4}
    options = {"_target_": "seqtext.models.rnn.LSTM", "units": [3, 2], "layer_decay": 0.5}
    model = build_from_config(
        "model",
        options,
        embedding=build_from_config("embedding", embedding, vocabulary_size=9),
        classes=2,
    )
    model.configure_training(lambda parameters: torch.optim.Adam(parameters, lr=0.08))
    optimizer = model.configure_optimizers()["optimizer"]
    rate_of = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert rate_of[id(model.embedding.weight)] == pytest.approx(0.01)
    assert rate_of[id(next(model.layers[0].parameters()))] == pytest.approx(0.02)
    assert rate_of[id(next(model.layers[1].parameters()))] == pytest.approx(0.04)
    assert rate_of[id(model.output.weight)] == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["model=cnn"], "choose a model of stacked recurrent layers"),
        (["model=tfidf"], "needs a recurrent network"),
        (["model.layers=2", "model.bidirectional=true"], "model.layers=1"),
        pytest.param(["-m", "seed=1,2"], "in a sweep", marks=pytest.mark.slow),
        (["trainer.devices=2"], "on one device"),
        (["task=translation"], "task=translation"),
        (["calibration=temperature"], "calibration has no effect with task=lm"),
        (["target=ordinal"], "target has no effect with task=lm"),
        (["loss=focal"], "loss has no effect with task=lm"),
        (["threshold=0.3"], "threshold has no effect with task=lm"),
        (["callbacks=[gradual_unfreezing]"], "not for the language model of task=lm"),
        (["model.init_from=nowhere"], "there is no such run"),
    ],
)
def test_messages(train, lm_options, options, words):
    if options[0].startswith("model="):
        lm_options = [o for o in lm_options if not o.startswith("model.")]
    status, out, error = train(*lm_options, *options)
    assert status != 0
    assert words in error + out


@pytest.mark.slow
def test_messages_of_init_from(train, lm_options, tmp_path):
    lm = run(train, lm_options, "trainer.max_epochs=1", name="lm")
    options = [o for o in lm_options if o != "task=lm"]
    plain = run(train, options, name="plain")
    given = f"model.init_from={lm.path}"
    for more, words in (
        (["model.init_from=nowhere"], "there is no such run"),
        ([f"model.init_from={plain.path}"], "is no language model"),
        ([given, "model.units=9"], "layers.0.0.weight_ih_l0 is [27, 8], not [24, 8]"),
        ([given, "model=lstm"], "does not go with this model"),
        ([given, "split.seed=1"], "may know the answers"),
        ([given, "model.layer_decay=2"], "model.layer_decay=2"),
        (["model=cnn", "callbacks=[gradual_unfreezing]"], "not for cnn"),
        ([given, "model.layers=2"], "it has no layers.1"),
        (["callbacks=[gradual_unfreezing]", "trainer.max_epochs=2"], "are from epoch 3 on"),
    ):
        typed = [o for o in options if not ("model=cnn" in more and o.startswith("model."))]
        status, _, error = train(*typed, *more)
        assert status != 0, more
        assert words in error
    rows = invented_reviews(60, seed=7)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "IMDB Dataset.csv").write_text(csv_of(rows))
    other = run(train, options, given, f"dataset.dir={tmp_path / 'else'}", name="other")
    assert any("trained on other data" in text for text in other.read_metrics()["warnings"])
    assert np.isfinite(other.read_metrics()["test"]["loss"])


@pytest.mark.slow
def test_the_commands_of_the_docs(train, lm_options):
    page = (ROOT / "docs" / "pretraining.md").read_text()
    commands = re.findall(r"^python train.py (.*)$", page, re.MULTILINE)
    assert len(commands) == 6
    Path("more.txt").write_text("\n".join(text for text, _ in invented_reviews(30, seed=5)))
    options = [o for o in lm_options if not o.startswith(("task", "model.", "trainer.max"))]
    linear = [o for o in options if o.startswith(("dataset.dir", "paths"))]
    for command in commands:
        arguments = shlex.split(command.replace("400", "20"))
        epochs = [] if "max_epochs" in command else ["trainer.max_epochs=1"]
        given = linear if "model=tfidf" in arguments else [*options, *epochs]
        status, _, error = train(*given, *arguments)
        assert status == 0, error
