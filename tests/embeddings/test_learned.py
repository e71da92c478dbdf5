"""Vectors learned from the texts: which texts, determinism, the cache, and unknown words."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from seqtext.data.split import Split
from seqtext.datasets.table import TableDataset
from seqtext.embeddings import vector_training
from seqtext.embeddings.learned import FastText, Word2Vec
from seqtext.embeddings.token_lines import digest_tokens, iter_lines
from seqtext.errors import UserError
from seqtext.inference.load_model import load_model
from seqtext.inference.predictor import Predictor
from seqtext.run_dir import RunDir
from seqtext.tokenizers.base import Tokenizer, truncate
from seqtext.tokenizers.characters import CharacterTokenizer
from seqtext.tokenizers.vocabulary import Vocabulary
from seqtext.tokenizers.words import WordTokenizer
from seqtext.training.train import train_and_evaluate
from tests.conftest import settings_of

models = pytest.importorskip("gensim.models")
TINY = {"dim": 6, "min_count": 1, "epochs": 2}
BUCKETS = 64


@pytest.fixture
def build(tmp_path):
    """Return a function that prepares 30 texts, of which 20 are for training."""
    lines = [f"the film{n} is {'good' if n % 2 else 'bad'},{n % 2}" for n in range(30)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]))

    def build_data(**options) -> TableDataset:
        options = {"cache": str(tmp_path / "cache"), "split": Split(5, 5)} | options
        data = TableDataset(path=str(tmp_path / "rows.csv"), **options)
        data.setup()
        return data

    return build_data


def learn(kind, data, **options) -> torch.Tensor:
    """Return the weights, as in a run."""
    torch.manual_seed(0)
    embedding = kind(len(data.vocabulary), **TINY, **options)
    vectors = embedding.read_vectors(data)
    embedding.fill(vectors.values, vectors.known)
    return embedding.weight.detach()


@pytest.mark.parametrize("kind", [Word2Vec, FastText])
def test_equal_to_gensim(build, tmp_path, kind):
    """On the texts of the training part in their order, and not on others."""
    data = build()
    options = {"buckets": BUCKETS} if kind is FastText else {}
    weight = learn(kind, data, **options, seed=3, skip_gram=False)
    train = set(data.dataset.parts["train"].tolist())
    lines = [f"the film{n} is {'good' if n % 2 else 'bad'}" for n in sorted(train)]
    (tmp_path / "lines.txt").write_text("\n".join([*lines, ""]))
    given = {"bucket": BUCKETS} if kind is FastText else {}
    gensim = getattr(models, kind.__name__)(
        corpus_file=str(tmp_path / "lines.txt"),
        vector_size=6,
        min_count=1,
        epochs=2,
        seed=3,
        workers=1,
        **given,
    )
    assert set(gensim.wv.index_to_key) == set(data.vocabulary.tokens)
    expected = np.array([gensim.wv[word] for word in data.vocabulary.tokens])
    assert weight[2:].numpy().tolist() == expected.tolist()
    assert not weight[0].any()


def test_cache(build, tmp_path, monkeypatch, caplog):
    """Vectors are learned once per texts and options; not again for another vocabulary."""
    caplog.set_level("INFO")
    data = build()
    first = learn(Word2Vec, data)
    (tmp_path / "more.txt").write_text("a film of film1 and film2\n" * 9)
    more = build(unlabelled=str(tmp_path / "more.txt"))
    assert "words have a vector of 6 numbers" in caplog.text
    others = [
        learn(Word2Vec, data, negative=2),
        learn(Word2Vec, data, seed=1),
        learn(Word2Vec, build(split=Split(5, 5, seed=1))),
        learn(Word2Vec, more),
    ]
    assert [torch.equal(first, other) for other in others] == [False] * len(others)
    with monkeypatch.context() as patch:
        patch.setattr(vector_training, "_train", lambda *_: pytest.fail("learned again"))
        assert torch.equal(learn(Word2Vec, data), first)
        few = learn(Word2Vec, build(tokenizer=WordTokenizer(vocab_size=3)))
    assert torch.equal(few[2:], first[2:5])
    assert torch.equal(learn(Word2Vec, build(cache=str(tmp_path / "empty"))), first)


def test_unlabelled_texts(build, tmp_path):
    """Their words have vectors, but the vocabulary stays that of the training part."""
    (tmp_path / "more.txt").write_text("entirely other words\n" * 9)
    data = build(unlabelled=str(tmp_path / "more.txt"))
    embedding = Word2Vec(len(data.vocabulary), **TINY)
    learned = embedding._learn(data)
    assert {"entirely", "other", "the"} <= set(learned.words.to_pylist())
    assert "entirely" not in data.vocabulary.tokens
    assert [path.name for path in embedding.list_files(data)] == ["more.txt"]
    assert embedding.read_vectors(data).files_digest
    assert Word2Vec(9).list_files(build()) == []
    assert embedding.read_vectors(build()).files_digest is None


def test_rare_words(build):
    """A word below min_count has no vector of word2vec; fastText spells it."""
    data = build()
    options = TINY | {"min_count": 3}
    known = Word2Vec(len(data.vocabulary), **options).read_vectors(data).known
    words = data.vocabulary.tokens
    assert {word for word, is_known in zip(words, known, strict=True) if is_known} == {
        *("the", "is", "good", "bad")
    }
    embedding = FastText(len(data.vocabulary), **options, buckets=BUCKETS)
    vectors = embedding.read_vectors(data)
    assert vectors.known.all()
    place = next(n for n, word in enumerate(words) if word.startswith("film"))
    embedding.set_unknown_tokens([words[place]])
    torch.testing.assert_close(torch.tensor(vectors.values[place]), embedding.unknown[0])


def test_unknown_words():
    """The ids from V on have the mean of the vectors of their n-grams."""
    embedding = FastText(4, dim=2, buckets=BUCKETS, freeze=False)
    torch.nn.init.normal_(embedding.ngrams)
    torch.nn.init.normal_(embedding.weight)
    ids = torch.tensor([[2, 4, 0], [5, 3, 1]])
    embedding.set_tokens(["<pad>", "<unk>", "a", "b"])
    embedding.set_unknown_tokens(["film", "café"])
    vectors = embedding(ids)
    assert torch.equal(vectors[0, 0], embedding.weight[2])
    assert torch.equal(vectors[1, 2], embedding.weight[1])
    wrapped = models.fasttext.FastTextKeyedVectors(2, 3, 6, bucket=BUCKETS)
    wrapped.vectors_ngrams = embedding.ngrams.numpy()
    expected = np.array([wrapped.get_vector("film"), wrapped.get_vector("café")])
    found = torch.stack([vectors[0, 1], vectors[1, 0]]).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert torch.equal(embedding.tabulate()(ids % 4), embedding.weight[ids % 4])
    vectors.sum().backward()
    assert embedding.weight.grad[1:].all()
    assert "unknown" not in embedding.state_dict()
    embedding.set_unknown_tokens([])
    assert embedding(ids % 4).shape == (2, 3, 2)


def test_run(small, tmp_path):
    """A whole run with unlabelled texts; its checkpoint needs neither them nor gensim."""
    (tmp_path / "more.txt").write_text("a superbly made film\n" * 30)
    options = (
        *(*small, "embedding=fasttext", "embedding.epochs=1", "embedding.buckets=64"),
        *(f"dataset.unlabelled={tmp_path / 'more.txt'}", "trainer.max_epochs=1"),
    )
    run = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*options), run)
    assert run.read_metrics()["fingerprints"]["files"]["vectors"]
    (tmp_path / "more.txt").unlink()
    predictor = Predictor(load_model(run.best_checkpoint))
    texts = ["unheardof wonders", "other mysteries"]
    first, second = predictor.predict_logits(pa.array(texts)).tolist()
    assert first != second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_count": 99}, r"No word occurs embedding\.min_count=99 times"),
        ({"min_n": 4, "max_n": 3}, r"embedding\.min_n=4 .* at most max_n=3"),
    ],
)
def test_wrong_options(build, options, message):
    with pytest.raises(UserError, match=message):
        FastText(9, **options).read_vectors(build())


def test_package_is_missing(build, monkeypatch):
    monkeypatch.setattr(vector_training, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"embedding=word2vec needs .* pip install seqtext\[embeddings\]"
    ):
        Word2Vec(9).read_vectors(build())


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (WordTokenizer(vocab_size=2), "the film-1 is bad"),
        (WordTokenizer(punctuation="split"), "the film - 1 is bad"),
        (CharacterTokenizer(max_length=2), "t h e f i l m - 1 i s b a d"),
    ],
)
def test_tokens_are_those_of_the_tokenizer(tmp_path, tokenizer, expected):
    """Whole texts, and tokens outside of the vocabulary too."""
    lines = [f"the film-{n % 3} is {'good' if n % 2 else 'bad'} {n},{n % 2}" for n in range(30)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]))
    data = TableDataset(
        path=str(tmp_path / "rows.csv"),
        cleaning=["lower"],
        tokenizer=tokenizer,
        cache=str(tmp_path / "cache"),
    )
    data.setup()
    (text,) = iter_lines(data.tokenizer, data.corpus, np.array([4]))
    assert text == f"{expected} 4\n"


def test_tokens_of_a_tokenizer_of_whole_texts(build):
    """Known tokens only; the vectors depend on its vocabulary."""

    class Halves(Tokenizer):
        def fit(self, corpus, rows):
            self.vocabulary = Vocabulary(["the", "good", "new york"])

        def encode(self, texts):
            words = [text.split() for text in texts.to_pylist()]
            ids = self.vocabulary.encode(pa.array([word for text in words for word in text]))
            lengths = np.array([len(text) for text in words])
            return truncate(ids, lengths, self.max_length, self.truncation_side)

    data = build(tokenizer=Halves(max_length=1))
    (text,) = iter_lines(data.tokenizer, data.corpus, np.array([1, 2]))
    assert [line.split() for line in text.splitlines()] == [["the", "good"], ["the"]]
    longer, digest = Halves(max_length=2), digest_tokens(data.tokenizer, data.corpus)
    longer.fit(data.corpus, np.array([1]))
    assert digest_tokens(longer, data.corpus) == digest
    longer.vocabulary.tokens.append("bad")
    assert digest_tokens(longer, data.corpus) != digest
