"""The program without seqtext predicts what the model does, for each kind of tokenizer."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from torch import nn

from seqtext.data.cleaning import TextCleaner
from seqtext.data.corpus import TokenizedCorpus, write_corpus
from seqtext.inference import export as exporting
from seqtext.inference.export import export, write_graph
from seqtext.inference.load_model import InputSpec, LoadedModel
from seqtext.inference.predictor import Predictor
from seqtext.models.fasttext import FastText
from seqtext.tokenizers.characters import CharacterTokenizer
from seqtext.tokenizers.pretrained import PretrainedTokenizer
from seqtext.tokenizers.subwords import BPETokenizer, UnigramTokenizer, WordPieceTokenizer
from seqtext.tokenizers.words import WordTokenizer
from tests.inference.onnx_only_program import Exported

TRAINING = ["a good film, don't miss it", "这部电影很好看 2 films", "<b>a</b> bad film <pad>"] * 3
TEXTS = [
    *TRAINING[:3],
    "",
    "  \n",
    "zzz 😀 中文",
    "A <b>Good</b>\u00a0FILM! [MASK] <pad> <unk> ▁ ##ilm",
    "see http://a.b/c 2,000 times, @you 看电影" * 4,
]
SIZE = 120  # rows of the table of vectors, at least those of each vocabulary
TOKENIZERS = [
    WordTokenizer(9),
    WordTokenizer(9, "right", punctuation="split", mask=["numbers", "urls"], lowercase=True),
    CharacterTokenizer(30),
    BPETokenizer(9, vocab_size=90),
    WordPieceTokenizer(9, "right", vocab_size=90),
    UnigramTokenizer(None, vocab_size=90, lowercase=True),
    PretrainedTokenizer("tokenizer.json", 9),
]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = FastText(nn.Embedding(SIZE, 3), 3, word_ngrams=1, max_n=0)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def graph(model, tmp_path_factory):
    """Export the graph once: it does not depend on the tokenizer."""
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_graph(model, path)
    return path.read_bytes()


def write_tokenizer() -> None:
    """Write a tokenizer.json with special and other added tokens, and an order of its own."""
    words = ["film", "[", "]", "MASK", "a", "good", "[MASK]", "[UNK]", "<", "pad", ">"]
    model = models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[MASK]", "<pad>"])
    tokenizer.add_tokens([AddedToken("good film")])
    tokenizer.save("tokenizer.json")


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_each_tokenizer(tokenizer, model, graph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "write_graph", lambda model, path, _: path.write_bytes(graph))
    write_tokenizer()
    cleaning = TextCleaner(["strip_html"], None)
    (tmp_path / "corpus").mkdir()
    write_corpus(iter([pa.array(TRAINING)]), None, cleaning, tmp_path / "corpus")
    tokenizer.fit(TokenizedCorpus.load(tmp_path / "corpus"), np.arange(len(TRAINING)))
    assert 10 <= len(tokenizer.vocabulary) <= SIZE
    spec = InputSpec(columns=["text"])
    loaded = LoadedModel(model, tokenizer, cleaning, ["a", "b", "c"], spec, 0.5)
    export(loaded, tmp_path / "out")
    predictor = Predictor(loaded)
    wanted = predictor.probabilities(predictor.predict_logits(pa.array(TEXTS)))
    assert wanted.std(axis=0).max() > 0.01
    found = Exported(tmp_path / "out").probabilities(TEXTS)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_an_export_without_a_tokenizer_file_is_refused(tmp_path):
    reading = {"tokenizer": None, "how": "Encode it by the class OwnTokenizer."}
    (tmp_path / "preprocessing.json").write_text(json.dumps(reading))
    with pytest.raises(NotImplementedError, match="OwnTokenizer"):
        Exported(tmp_path)
