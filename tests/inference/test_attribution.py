"""Attributions: completeness for every model, a planted word, and attention weights."""

import sys

import numpy as np
import pyarrow as pa
import pytest
import torch

from seqtext import load
from seqtext.data.cleaning import TextCleaner
from seqtext.data.corpus import TokenizedCorpus, write_corpus
from seqtext.errors import UserError
from seqtext.inference import attribution as explaining
from seqtext.inference.attribution import (
    explain,
    integrated_gradients,
    iter_segments,
    select_target_logit,
)
from seqtext.inference.load_model import InputSpec, LoadedModel
from seqtext.inference.predictor import Predictor
from seqtext.models.base import TextClassifier
from seqtext.models.fasttext import FastText
from seqtext.models.rnn import GRU, LSTM
from seqtext.models.tfidf import TfIdf
from seqtext.tokenizers.characters import CharacterTokenizer
from seqtext.tokenizers.subwords import BPETokenizer, UnigramTokenizer
from seqtext.tokenizers.words import WordTokenizer
from tests.models import test_common as common

WORDS = [f"w{number}" for number in range(2, 50)]  # each named by its id


def predictor_of(
    model: TextClassifier | TfIdf, length: int | None = None, threshold: float = 0.5
) -> Predictor:
    """Build the predictor of a model with 48 words."""
    if isinstance(model, TextClassifier):
        model.eval().requires_grad_(False)
    names = list("abcde"[: model.classes])
    tokenizer = WordTokenizer()
    tokenizer.load_state_dict({"tokens": WORDS, "max_length": length})
    input_spec = InputSpec(["text"])
    cleaning = TextCleaner(["lower"])
    return Predictor(LoadedModel(model, tokenizer, cleaning, names, input_spec, threshold))


@pytest.mark.parametrize("config", common.cases())
def test_complete(config, monkeypatch):
    """Attributions sum to the difference of logits from a text of unknown words."""
    monkeypatch.setattr(explaining, "TOLERANCE", 1e-4)  # the logits of an untrained model are small
    model, (ids, lengths) = common.model_of(config, 3), common.texts([3, 1, 7, 2])
    batch = common.batch_of(ids, lengths)._replace(labels=torch.tensor([0, 2, 1, 1]))
    shares = integrated_gradients(model.requires_grad_(False), batch)
    if shares.abs().max() < 0.01:  # the first logits of deep networks are nearly zero
        model.output.weight *= 0.1 / shares.abs().sum(dim=1).max()
        shares = integrated_gradients(model, batch)
    with model.scale_tokens(torch.zeros(ids.shape)):
        unknown = model(ids, lengths)
    if config["_target_"].rpartition(".")[2] not in (
        "FastText",
        "WideAndDeep",
    ):  # count pairs, or terms
        torch.testing.assert_close(unknown, model(ids.clamp(max=1), lengths))
    difference = select_target_logit(model(ids, lengths) - unknown, batch.labels)
    error, size = (shares.sum(dim=1) - difference).abs(), shares.abs().sum(dim=1)
    size_or_share = size.clamp(min=0.3 * size.mean())  # a text may have hardly any effect
    assert (error <= 0.02 * size_or_share + 1.1e-4).all()
    assert size.max() > 0.01
    assert not shares[ids < 2].any(), "padding and unknown words"


def test_more_steps_where_they_are_needed(monkeypatch):
    model = common.model_of(common.config_of("cnn"))
    batch = common.batch_of(*common.texts([9, 30, 12, 7]))
    exact = integrated_gradients(model, batch)
    monkeypatch.setattr(explaining, "STEPS", (1,))
    rough = integrated_gradients(model, batch)
    monkeypatch.setattr(explaining, "STEPS", (1, 32, 128))
    again = integrated_gradients(model, batch)
    assert (rough - exact).abs().sum() > 10 * (again - exact).abs().sum()


@pytest.mark.parametrize("classes", [2, 4])
def test_a_planted_word(classes):
    """It supports one class and opposes the others, and the value follows from its weights."""
    model = FastText(common.RandomEmbedding(50, 3), classes, word_ngrams=1, max_n=0)
    for parameter in model.requires_grad_(False).parameters():
        torch.nn.init.zeros_(parameter)
    model.embedding.weight[7, 0] = 3.0
    model.embedding.weight[8, 0] = -1.0
    model.output.weight[-1, 0] = 2.0  # of the last class
    for_it, against_it = explain(predictor_of(model), pa.array(["w9 w7 W8 zzz", "w8 w9"]))
    assert for_it.words == ["w9", "w7", "w8", "zzz"]
    assert for_it.known.tolist() == [True, True, True, False]
    assert (for_it.class_name, for_it.method) == ("abcd"[classes - 1], "integrated gradients")
    np.testing.assert_allclose(for_it.weights, [0, 6 / 4, -2 / 4, 0], atol=1e-6)
    assert for_it.probability == pytest.approx(np.e / (np.e + classes - 1))
    assert against_it.class_name == "a"
    wanted = [1, 0] if classes == 2 else [0, 0]
    np.testing.assert_allclose(against_it.weights, wanted, atol=1e-6)


def test_a_threshold_decides_what_is_explained():
    model = common.model_of(common.config_of("gru"))
    texts = pa.array(["w5 w6 w7"])
    sure, strict = (explain(predictor_of(model, threshold=t), texts)[0] for t in (0.0, 1.0))
    assert (sure.class_name, strict.class_name) == ("b", "a")
    assert sure.probability == pytest.approx(1 - strict.probability)
    np.testing.assert_allclose(sure.weights, -strict.weights, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LSTM, {"pooling": "attention", "bidirectional": True}),
        (LSTM, {"pooling": "attention_per_feature"}),
        (GRU, {"pooling": "attention", "layers": 2, "bidirectional": True}),
    ],
    ids=str,
)
def test_attention_is_the_models_own(kind, options, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)  # it is not needed
    model = kind(common.RandomEmbedding(50, 6), units=4, **options)
    torch.nn.init.normal_(model.embedding.weight)
    texts = pa.array(["w5 w6 w7", "w9", "w4 w5 zzz w5 w6"])
    found = explain(predictor_of(model), texts)
    ids = torch.tensor([[5, 6, 7, 0, 0], [9, 0, 0, 0, 0], [4, 5, 1, 5, 6]])
    wanted = model.attention_weights(ids, torch.tensor([3, 1, 5]))
    wanted = wanted.mean(dim=2) if wanted.ndim == 3 else wanted
    for one, row in zip(found, wanted.numpy(), strict=True):
        assert one.method == "attention"
        np.testing.assert_allclose(one.weights, row[: len(one.words)], atol=1e-6)
        assert one.weights.sum() == pytest.approx(1)
    assert found[2].weights.std() > 0.001


def test_a_linear_model():
    model = TfIdf(2, "words", word_ngrams=1, sublinear_tf=False)
    state = {"idf": np.ones(48, np.float32)}
    state |= {"weights": np.arange(48, dtype=np.float32)[None], "bias": np.full(1, -9, np.float32)}
    model.load_state_dict(WORDS, {name: torch.from_numpy(array) for name, array in state.items()})
    found = explain(predictor_of(model, length=1), pa.array(["w5 zzz w6", "", "w2"]))
    assert [one.words for one in found] == [["w5", "zzz", "w6"], [], ["w2"]], "it cuts nothing"
    assert {(one.method, one.class_name) for one in found} == {("linear", "a")}
    np.testing.assert_allclose(found[0].weights, np.array([-3, 0, -4]) / np.sqrt(2), rtol=1e-6)


def test_characters_and_subwords_are_marked_in_the_original_text():
    model = common.model_of(common.config_of("gru"))
    text = "<b>W9</b> w5  W7!"
    characters = CharacterTokenizer(max_length=6)
    characters.load_state_dict({"tokens": list(" w5679"), "max_length": 6})
    for tokenizer, marked in (
        (characters, ["</b>", "w", "5", " ", "W", "7"]),
        (WordTokenizer(2, "right", punctuation="split"), ["W9", "w5"]),
    ):
        predictor = predictor_of(model)
        if not isinstance(tokenizer, CharacterTokenizer):
            tokenizer.load_state_dict({"tokens": WORDS, "max_length": 2})
        cleaning = TextCleaner(["strip_html", "lower", "keras_filter"])
        predictor.loaded_model = predictor.loaded_model._replace(
            tokenizer=tokenizer, cleaning=cleaning
        )
        (found,) = explain(predictor, pa.array([text]))
        segments = list(iter_segments(found))
        assert "".join(part for part, _ in segments) == text
        words = [part for part, number in segments if number is not None]
        assert [" ".join(word.split()) or " " for word in words] == marked
        assert len(found.weights) == len(marked)


@pytest.mark.parametrize("kind", [BPETokenizer, UnigramTokenizer])
def test_an_unknown_character_is_not_known_by_the_mark_before_it(kind, tmp_path):
    write_corpus(iter([pa.array(["w5 ww 5w55"])]), None, TextCleaner([], None), tmp_path)
    tokenizer = kind(vocab_size=8)
    tokenizer.fit(TokenizedCorpus.load(tmp_path), np.array([0]))
    predictor = predictor_of(common.model_of(common.config_of("gru")))
    predictor.loaded_model = predictor.loaded_model._replace(tokenizer=tokenizer)
    (found,) = explain(predictor, pa.array(["😀 w 中文"]))
    known = {word: bool(each) for word, each in zip(found.words, found.known, strict=True)}
    assert known.pop("w")
    assert not any(known.values())
    assert "".join(known) == "😀中文"
    assert (found.spans[1:, 0] >= found.spans[:-1, 1]).all()
    assert len(found.weights) == len(found.words)


def test_words_are_those_that_the_model_reads():
    """The last three words, in lower case; an empty text has none."""
    model = common.model_of(common.config_of("lstm"))
    texts = pa.array(["w9 W5 w6 W7", "", None, "W5 w6  w7", " \n"])
    first, *empty, same, blank = explain(predictor_of(model, length=3), texts)
    assert first.words == same.words == ["w5", "w6", "w7"]
    np.testing.assert_allclose(first.weights, same.weights, rtol=1e-5)
    for one in (*empty, blank):
        assert (one.words, one.weights.shape, one.known.shape) == ([], (0,), (0,))
        assert 0 < one.probability < 1
    assert explain(predictor_of(model), pa.array([], pa.string())) == []


def test_company_changes_nothing():
    """Many texts of all lengths, in several batches."""
    predictor = predictor_of(common.model_of(common.config_of("cnn")))
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, n % 13)) for n in range(70)]
    together = explain(predictor, pa.array(texts))
    assert [one.words for one in together] == [text.split() for text in texts]
    for number in (0, 12, 25, 69):
        (alone,) = explain(predictor, pa.array([texts[number]]))
        np.testing.assert_allclose(together[number].weights, alone.weights, atol=1e-5)
        assert together[number].probability == pytest.approx(alone.probability)


def test_a_trained_model(finished):
    """Opinion words of a trained model support their class and oppose the other."""
    model = load(finished.path)
    texts = ["the superb film", "the dreadful film", "a superb and dreadful plot"]
    found = model.explain(texts)
    assert [one.class_name for one in found] == model.predict(texts).tolist()
    assert [one.probability for one in found] == model.predict_proba(texts).max(axis=1).tolist()
    good, bad, both = (one.weights * (1 if one.class_name == "positive" else -1) for one in found)
    assert good.argmax() == bad.argmin() == 1
    assert good[1] > 0 > bad[1]
    assert both[1] > both[3]
    with pytest.raises(UserError, match="list"):
        model.explain("one text")


def test_without_captum(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    predictor = predictor_of(common.model_of(common.config_of("gru")))
    with pytest.raises(UserError, match=r"pip install -e '\.\[explain\]'"):
        explain(predictor, pa.array(["w5"]))
