"""TF-IDF and logistic regression: equal to scikit-learn, fitted on the training set only."""

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqtext.checkpoints.files import load_checkpoint
from seqtext.config.instantiate import build_from_config, validate_group
from seqtext.data import corpus
from seqtext.data.corpus import split_words
from seqtext.data.split import Split
from seqtext.datasets.base import TextDataModule
from seqtext.datasets.imdb import IMDB
from seqtext.datasets.table import TableDataset
from seqtext.errors import OptionError, UserError
from seqtext.models import character_terms, word_terms
from seqtext.models.non_neural import TokenizedTexts
from seqtext.models.tfidf import CANDIDATES, TfIdf
from seqtext.run_dir import RunDir
from seqtext.tokenizers.words import WordTokenizer
from seqtext.training import fit_non_neural
from seqtext.training.fit_non_neural import fit_model, predict_logits
from seqtext.training.train import train_and_evaluate
from tests.conftest import RUN_FILES, csv_of, files_of_a_run, invented_reviews, settings_of

WORDS = {"analyzer": "words", "weighting": "tfidf", "C": 10.0}  # scikit-learn has no other
OPTIONS = [
    WORDS,
    {**WORDS, "word_ngrams": 1},
    {**WORDS, "word_ngrams": 3, "sublinear_tf": False, "min_df": 1},
    {**WORDS, "min_df": 5, "C": 0.3},
    {**WORDS, "analyzer": "chars", "sublinear_tf": False},
    {**WORDS, "analyzer": "both", "sublinear_tf": False, "min_n": 3, "max_n": 4},
]


@pytest.fixture
def data(kaggle_dir, tmp_path) -> IMDB:
    """A data set for whose other models only two words, and three per text, are known."""
    tokenizer = WordTokenizer(vocab_size=2, max_length=3)
    data = IMDB(dir=str(kaggle_dir), cache=str(tmp_path / "cache"), tokenizer=tokenizer)
    data.setup()
    return data


@pytest.fixture
def stars(tmp_path) -> TableDataset:
    """Three classes, one of them rare; some texts are empty, or have one word."""
    rng = np.random.default_rng(0)
    words = np.array([[f"{star}w{n}" for n in range(20)] for star in "abc"])
    rows = []
    for n in range(240):
        star = 2 if n % 8 == 0 else n % 2
        shown = rng.choice(words[(star + rng.integers(0, 3, 9) // 2) % 3].ravel(), 9)
        rows.append((" ".join(shown) + f" {n}" if n % 50 else "…", "xyz"[star]))
    (tmp_path / "stars.csv").write_text(csv_of(rows, ("text", "label")))
    data = TableDataset(
        path=str(tmp_path / "stars.csv"), cache=str(tmp_path / "cache"), duplicates="keep"
    )
    data.setup()
    return data


def cleaned(data: TextDataModule, rows: np.ndarray) -> list[str]:
    """Return the words of the texts, joined by spaces."""
    lengths, words = split_words(data.cleaning(data.texts.combine_chunks().take(pa.array(rows))))
    ends = np.cumsum(lengths)
    words = words.to_pylist()
    return [" ".join(words[end - n : end]) for n, end in zip(lengths, ends, strict=True)]


def sklearns(data: TextDataModule, weights: dict | None = None, **options) -> dict:
    """Fit scikit-learn on the same words: [rows, C] probabilities of each split, terms."""
    options = {**WORDS, "word_ngrams": 2, "min_n": 2, "max_n": 5, "min_df": 2, **options}
    shared = {
        "lowercase": False,
        "min_df": options["min_df"],
        "sublinear_tf": options.get("sublinear_tf", True),
    }
    words = TfidfVectorizer(
        tokenizer=str.split,
        token_pattern=None,
        ngram_range=(1, options["word_ngrams"]),
        **shared,
    )
    orders = options["min_n"], options["max_n"]
    chars = TfidfVectorizer(analyzer="char_wb", ngram_range=orders, **shared)
    kinds = {"words": [words], "chars": [chars], "both": [words, chars]}[options["analyzer"]]
    union = FeatureUnion([(str(number), kind) for number, kind in enumerate(kinds)])
    parts = data.dataset.parts
    features = union.fit_transform(cleaned(data, parts["train"]))
    fit = LogisticRegression(
        C=options["C"], class_weight=weights, solver="newton-cg", max_iter=1000, tol=1e-7
    )
    fit.fit(features, data.labels[parts["train"]])
    said = {
        part: fit.predict_proba(union.transform(cleaned(data, rows)))
        for part, rows in parts.items()
    }
    return {**said, "terms": [term for kind in kinds for term in kind.vocabulary_]}


def probabilities(model: TfIdf, data: TextDataModule, part: str) -> np.ndarray:
    logits = predict_logits(model, data, part).double()
    if logits.ndim == 1:
        logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
    return logits.softmax(dim=1).numpy()


def terms(model: TfIdf) -> list[str]:
    known = model.features.terms
    numbers = [row for order in known.list_ngram_words() for row in order]
    spelled = [" ".join(known.words[number] for number in row) for row in numbers]
    return known.words + spelled + model.features.characters.ngrams.to_pylist()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("block", [corpus.READ_ROWS, 7])
def test_equals_scikit_learn(data, options, block, monkeypatch):
    """With one block of texts, and with many."""
    monkeypatch.setattr(corpus, "READ_ROWS", block)
    monkeypatch.setattr(word_terms, "BLOCK_TEXTS", block)
    monkeypatch.setattr(character_terms, "PRODUCT_ROWS", block)
    monkeypatch.setattr(character_terms, "BLOCK_WORDS", block)
    model, expected = TfIdf(**options), sklearns(data, **options)
    fit_model(model, data)
    assert sorted(terms(model)) == sorted(expected["terms"])
    for part in ("train", "val", "test"):
        np.testing.assert_allclose(probabilities(model, data, part), expected[part], atol=1e-5)


def test_equals_scikit_learn_with_more_classes(stars):
    model, expected = TfIdf(classes=3, **WORDS), sklearns(stars)
    fit_model(model, stars)
    assert sorted(terms(model)) == sorted(expected["terms"])
    for part in ("train", "val", "test"):
        np.testing.assert_allclose(probabilities(model, stars, part), expected[part], atol=1e-5)


@pytest.mark.parametrize("weighting", ["balanced", [1.0, 2.0, 30.0]])
def test_class_weights(stars, weighting):
    stars.sampling, stars.weighting = "class_weights", weighting
    weights = stars.class_weights()
    model, expected = TfIdf(classes=3, **WORDS), sklearns(stars, dict(enumerate(weights)))
    fit_model(model, stars)
    np.testing.assert_allclose(probabilities(model, stars, "test"), expected["test"], atol=1e-5)
    plain, stars.sampling = TfIdf(classes=3, **WORDS), "none"
    fit_model(plain, stars)
    rare = [probabilities(m, stars, "test")[:, 2].mean() for m in (model, plain)]
    assert rare[0] > rare[1] + 0.001


@pytest.mark.parametrize("sampling", ["undersample", "oversample"])
def test_resampled_rows_are_what_it_learns_from(kaggle_dir, tmp_path, sampling):
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(invented_reviews(240)[:150:2][:60]
        + invented_reviews(240)[1::2]))  # fmt: skip
    options = {"dir": str(kaggle_dir), "cache": str(tmp_path / "cache")}
    biases = []
    for each in ("none", sampling):
        data = IMDB(sampling=each, **options)
        data.setup()
        model = TfIdf(**WORDS)
        fit_model(model, data)
        biases.append(float(model.bias[0]))
    assert biases[1] < biases[0], "the rarer class, negative, has gained"


def test_terms_come_from_the_training_part_alone(data):
    model = TfIdf(**WORDS, min_df=1)
    fit_model(model, data)
    of_part = {part: set(" ".join(cleaned(data, rows)).split()) for part, rows in
               data.dataset.parts.items()}  # fmt: skip
    assert set(model.words) == of_part["train"]
    pairs = {
        f"{left} {right}"
        for text in cleaned(data, data.dataset.parts["train"])
        for left, right in zip(text.split(), text.split()[1:], strict=False)
    }
    assert set(terms(model)) - set(model.words) == pairs


def test_other_parts_change_nothing_that_is_learned(kaggle_dir, tmp_path, reviews):
    """Other words and labels outside the training set do not change the model."""
    learned = []
    rows = list(reviews)
    for name in ("a", "b"):
        (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(rows))
        split = Split(stratify=False)
        data = IMDB(dir=str(kaggle_dir), cache=str(tmp_path / name), split=split)
        data.setup()
        model = TfIdf(**WORDS, min_df=1)
        fit_model(model, data)
        learned.append((model.words, model.state_dict()))
        for part in ("val", "test"):
            for row in data.dataset.parts[part][1:]:
                label = "negative" if rows[row][1] == "positive" else "positive"
                own = "".join("abcdefghij"[int(digit)] for digit in f"{row:03}")
                rows[row] = (f"unheard unseen {own} {'zz' * (row % 7 + 1)}", label)
    assert learned[0][0] == learned[1][0]
    for name, array in learned[0][1].items():
        assert torch.equal(array, learned[1][1][name]), name


def test_whole_texts_count(data):
    """Not only the words within tokenizer.max_length and tokenizer.vocab_size."""
    model = TfIdf(**WORDS)
    fit_model(model, data)
    assert len(data.vocabulary.tokens) == 2
    assert {"wonderful", "dreadful", "the film"} <= set(terms(model))
    assert data.dataset.texts.lengths.max() == 3


@pytest.mark.parametrize("most", [1, 5, 40, 10_000])
def test_max_features(data, most):
    kept = {**WORDS, "word_ngrams": 3}
    model, everything = TfIdf(**kept, max_features=most), TfIdf(**kept)
    fit_model(model, data)
    fit_model(everything, data)
    assert len(terms(model)) == len(model.features.idf) == min(most, len(terms(everything)))
    texts = " ".join(cleaned(data, data.dataset.parts["train"])).split()
    counts = pd.Series(texts).value_counts()
    if most == 5:
        assert set(model.words) <= set(counts.index[:8])
    assert set(terms(model)) <= set(terms(everything))


def test_unknown_and_empty_texts(data):
    model = TfIdf(**WORDS)
    fit_model(model, data)
    words = pa.array(["unheard", "wonderful"]).dictionary_encode()
    logits = model.predict_logits(
        TokenizedTexts(np.array([0, 1, 1]), np.array([0, 1]), words.dictionary)
    )
    assert logits[0] == logits[1] == pytest.approx(float(model.bias[0]))
    assert logits[2] > logits[0]
    assert model.predict_logits(
        TokenizedTexts(np.array([0]), np.zeros(0, int), words.dictionary)
    ).shape == (1,)


def test_a_class_without_rows(tmp_path):
    """A class of dataset.classes without rows is never predicted."""
    rows = [(f"{'sun' if n % 2 else 'snow'} number {n}", "yz"[n % 2]) for n in range(60)]
    (tmp_path / "few.csv").write_text(csv_of(rows, ("text", "label")))
    split = Split(stratify=False)
    data = TableDataset(
        path=str(tmp_path / "few.csv"),
        cache=str(tmp_path / "cache"),
        classes=["x", "y", "z"],
        split=split,
    )
    data.setup()
    model = TfIdf(classes=3, **WORDS)
    fit_model(model, data)
    said = probabilities(model, data, "test")
    assert said[:, 0].max() < 1e-6
    assert (said.argmax(axis=1) == data.labels[data.dataset.parts["test"]]).all()


def test_nothing_frequent_enough(data):
    with pytest.raises(UserError, match=r"model\.min_df=1000 leaves no word"):
        fit_model(TfIdf(**WORDS, min_df=1000), data)


def test_no_word_left_after_cleaning(kaggle_dir, tmp_path, reviews):
    rows = [(f"{n} 1234", label) for n, (_, label) in enumerate(reviews)]
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(rows))
    data = IMDB(dir=str(kaggle_dir), cache=str(tmp_path / "cache"))
    data.setup()
    with pytest.raises(UserError, match=r"None of the 172 training texts has a word left"):
        fit_model(TfIdf(**WORDS, min_df=1), data)


def test_balanced_batches_are_refused(data):
    data.sampling = "balanced_batches"
    with pytest.raises(UserError, match="class_weights"):
        fit_model(TfIdf(**WORDS), data)


RUN = ("model=tfidf", "trainer=cpu", "monitor=val/auroc")


@pytest.fixture
def start(kaggle_dir, shared_cache) -> list[str]:
    return [f"dataset.dir={kaggle_dir}", f"paths.cache_dir={shared_cache}", *RUN]


_finished: list[tuple[Path, str]] = []


@pytest.fixture
def finished(train, start, tmp_path) -> tuple[RunDir, str]:
    """Return a copy of a finished run, which is trained once, and its terminal output."""
    if not _finished:
        status, output, error = train(*start)
        assert status == 0, error
        (folder,) = (tmp_path / "outputs").iterdir()
        _finished.append((folder, output))
    folder, output = _finished[0]
    return RunDir(Path(shutil.copytree(folder, tmp_path / "finished"))), output


def test_run_folder(finished, start, tmp_path):
    """The run folder and the output are those of any other model."""
    folder, output = finished
    assert files_of_a_run(folder) == RUN_FILES - {"checkpoints/last.ckpt"}
    assert "tfidf on imdb" in output
    assert "poch" not in output, "it has none"
    other = RunDir(tmp_path / "other")
    small = ["model.units=4", "embedding.dim=4", "trainer.max_epochs=1"]
    train_and_evaluate(settings_of(*start, "model=gru", *small), other)
    one, two = folder.read_metrics(), other.read_metrics()
    assert [key for key in one if key != "chosen"] == list(two)
    assert one["chosen"]["C"] in CANDIDATES
    assert load_checkpoint(folder.best_checkpoint)["seqtext"]["chosen"] == one["chosen"]
    assert f"model.C is {one['chosen']['C']:g}, the best on the validation part" in output
    for key in ("val", "test", "seconds", "rows"):
        assert list(one[key]) == list(two[key])
    assert one["rows"] == two["rows"]
    assert one["test"]["auroc"] > 0.95
    assert one["score"] == one["val"]["auroc"]
    assert (one["epochs"], one["best_epoch"]) == (1, 1)
    tables = [pd.read_parquet(f.predictions("test")) for f in (folder, other)]
    assert list(tables[0]) == list(tables[1])
    assert tables[0][["row", "label"]].equals(tables[1][["row", "label"]])


def test_tensorboard(finished):
    events = EventAccumulator(str(finished[0].path), size_guidance={"tensors": 0}).Reload()
    for part in ("train", "val"):
        for name in finished[0].read_metrics()["val"]:
            assert [e.step for e in events.Scalars(f"{part}/{name}")] == [0]
    assert "test/confusion_matrix" in events.Tags()["images"]
    assert any("mistakes" in tag for tag in events.summary_metadata)
    hparams = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"model.min_df" in hparams


def test_checkpoint_is_plain_and_says_the_same(finished, reviews):
    """The checkpoint alone gives the probabilities that the run saved."""
    folder = finished[0]
    checkpoint = load_checkpoint(folder.best_checkpoint)
    content = checkpoint["seqtext"]
    model = build_from_config(
        "model", content["config"]["model"], classes=len(content["class_names"])
    )
    model.load_state_dict(content["tokenizer"]["tokens"], checkpoint["state_dict"])
    saved = pd.read_parquet(folder.predictions("test"))
    from seqtext.data.cleaning import TextCleaner

    cleaning = TextCleaner(content["cleaning"]["steps"], content["cleaning"]["stopwords"])
    texts = pa.array([reviews[row][0] for row in saved["row"]])
    lengths, words = split_words(cleaning(texts))
    logits = model.predict_logits(
        TokenizedTexts(lengths, words.indices.to_numpy(), words.dictionary)
    )
    said = logits.double().sigmoid().numpy()
    np.testing.assert_allclose(said, saved["probability_positive"], atol=1e-6)
    assert model.num_parameters == folder.read_metrics()["parameters"] == len(terms(model)) + 1


def test_same_numbers_again(finished, start, tmp_path):
    again = RunDir(tmp_path / "again")
    train_and_evaluate(settings_of(*start), again)
    assert again.read_metrics()["test"] == finished[0].read_metrics()["test"]


def test_test_part_is_read_once_after_fitting(start, tmp_path, monkeypatch):
    parts_read = []
    read = fit_non_neural.read_texts
    monkeypatch.setattr(
        fit_non_neural, "read_texts", lambda data, part: parts_read.append(part) or read(data, part)
    )
    train_and_evaluate(settings_of(*start), RunDir(tmp_path / "run"))
    assert parts_read == ["val", "train", "train", "val", "test"], "val: to choose C"


def test_finished_run_is_shown_again(train, finished, monkeypatch):
    before = finished[0].metrics_path.read_bytes()
    monkeypatch.setattr(TfIdf, "fit", lambda *_: pytest.fail("fitted again"))
    status, output, error = train(f"resume={finished[0].path}")
    assert status == 0, error
    assert "finished already" in output
    assert finished[0].metrics_path.read_bytes() == before


@pytest.mark.slow
def test_unfinished_run_starts_over(train, finished):
    folder = finished[0]
    wanted = folder.read_metrics()["test"]
    folder.metrics_path.unlink()
    status, _, error = train(f"resume={folder.path}")
    assert status == 0, error
    assert folder.read_metrics()["test"] == wanted


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.C=0", ["model.C=0", "more than 0, or one of auto"]),
        ("model.min_n=6", ["model.min_n=6", "at most max_n=5"]),
        ("model.word_ngrams=4", ["model.word_ngrams=4", "at most 3"]),
        ("model.min_df=0", ["model.min_df=0", "at least 1"]),
        ("model.min_df=900", ["model.min_df=900", "lower it"]),
        ("+model.units=3", ["no option model.units"]),
        ("+model.words=3", ["no option model.words"]),
        ("monitor=val/f2", ["monitor=val/f2", "val/f1"]),
        ("sampling=balanced_batches", ["sampling=balanced_batches", "no batches"]),
        ("tokenizer=characters", ["CharacterTokenizer", "tokenizer=words", "analyzer=chars"]),
        ("dataset.unlabelled=u.txt", ["dataset.unlabelled=u.txt", "not read", "tfidf"]),
    ],
)
def test_what_cannot_be_is_said(train, start, override, words, tmp_path):
    status, _, error = train(*start, override)
    assert status == 2
    assert all(word in error for word in words), error
    assert "Traceback" not in error
    assert not list(Path(tmp_path).glob("outputs/*/metrics.json"))


def test_allow_list():
    validate_group("model", {"_target_": "seqtext.models.tfidf.TfIdf", "C": 3})
    for target in ("seqtext.models.tfidf.TokenizedTexts", "seqtext.models.tfidf.torch.load"):
        with pytest.raises(UserError, match="NonNeuralClassifier"):
            build_from_config("model", {"_target_": target})
    with pytest.raises(OptionError, match="max_features"):
        TfIdf(max_features=0)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("fixture", ["data", "stars"])
def test_contributions_of_words_add_up_to_the_logits(options, fixture, request):
    data = request.getfixturevalue(fixture)
    model = TfIdf(len(data.class_names), **options)
    fit_model(model, data)
    texts = ["", "wonderful film film, wonderful", "zzz", "cw1 cw2 cw1 cw2", "aw1"]
    lengths, words = split_words(data.cleaning(pa.array(texts)))
    read = TokenizedTexts(lengths, words.indices.to_numpy(), words.dictionary)
    added, logits = model.word_attributions(read), model.predict_logits(read)
    assert added.shape == (sum(lengths), len(model.bias))
    ends = np.cumsum(lengths)
    sums = [model.bias + added[a:b].sum(axis=0) for a, b in zip(ends - lengths, ends, strict=True)]
    np.testing.assert_allclose(sums, logits.numpy().reshape(len(texts), -1), atol=1e-5)


def test_contributions_by_hand():
    """Words 1 and 2, and the pair 0-1 with 4, half for each of its words at each position."""
    model = TfIdf(2, "words", sublinear_tf=False)
    state = {"bigrams": [[0, 1]], "idf": [1, 1, 1], "weights": [[1, 2, 4]], "bias": [7]}
    kinds = {"bigrams": torch.int32}
    tensors = {n: torch.tensor(v, dtype=kinds.get(n, torch.float32)) for n, v in state.items()}
    model.load_state_dict(["not", "good"], tensors)
    words = pa.array(["good", "zzz", "not"])
    added = model.word_attributions(
        TokenizedTexts(np.array([6]), np.array([2, 0, 1, 2, 0, 0]), words)
    )
    norm = math.sqrt(2**2 + 3**2 + 2**2)  # how often each stands
    expected = np.array([1 + 2, 2 + 2, 0, 1 + 2, 2 + 2, 2]) / norm
    np.testing.assert_allclose(added[:, 0], expected, rtol=1e-6)


def test_naive_bayes(stars):
    """Each feature is multiplied by the class's log-count ratio: equal to scikit-learn."""
    rows = stars.dataset.parts["train"]
    keep = stars.labels[rows] < 2
    texts = [text for text, is_kept in zip(cleaned(stars, rows), keep, strict=True) if is_kept]
    labels = stars.labels[rows][keep]
    lengths, words = split_words(pa.array(texts))
    read = TokenizedTexts(lengths, words.indices.to_numpy(), words.dictionary)
    model = TfIdf(analyzer="words", word_ngrams=1, C=4.0)
    model.fit(read, labels)
    vectorizer = TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, lowercase=False, min_df=2, sublinear_tf=True
    )
    features = vectorizer.fit_transform(texts)
    shares = []
    for label in (0, 1):
        counts = 1 + (features[labels == label] > 0).sum(axis=0)
        shares.append(np.asarray(counts / counts.sum())[0])
    weighted = features.multiply(np.log(shares[1] / shares[0])).tocsr()
    expected = LogisticRegression(C=4.0, tol=1e-7, solver="newton-cg").fit(weighted, labels)
    said = model.predict_logits(read)
    np.testing.assert_allclose(said, expected.decision_function(weighted), rtol=1e-4)


def test_what_is_chosen_by_validation(data):
    """The best by the monitored metric; a number gives the same weights."""
    tried = {}
    for weighting in ("tfidf", "naive_bayes"):
        for C in CANDIDATES:
            model = TfIdf(weighting=weighting, C=C)
            fit_model(model, data)
            logits, labels = predict_logits(model, data, "val"), data.labels
            labels = torch.from_numpy(labels[data.dataset.parts["val"]]).double()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.double(), labels)
            tried[weighting, C] = float(loss), model
    model = TfIdf(weighting="auto")
    fit_model(model, data, "val/loss")
    best = min(tried, key=lambda options: tried[options][0])
    assert model.chosen == {"weighting": best[0], "C": best[1]}
    np.testing.assert_allclose(model.weights, tried[best][1].weights, rtol=0.01, atol=0.001)


def test_nothing_to_choose_by():
    texts = TokenizedTexts(np.array([1, 1]), np.array([0, 0]), pa.array(["a"]))
    with pytest.raises(UserError, match=r"set model\.C to a number"):
        TfIdf().fit(texts, np.array([0, 1]))


def test_unknown_words_have_known_characters(data):
    model = TfIdf(analyzer="chars", C=10.0)
    fit_model(model, data)
    words = pa.array(["wonderfulness", "ζξ"])
    read = TokenizedTexts(np.array([1, 1]), np.array([0, 1]), words)
    assert model.find_known(read).tolist() == [True, False]
    logits = model.predict_logits(read).numpy() - model.bias
    assert logits[0] > 0.1
    assert logits[1] == 0


def test_tokens_of_words(tmp_path):
    """Terms are the tokenizer's tokens; character n-grams are those of white-space words."""
    rows = [(f"{'Good!' if n % 2 else 'bad!!'} #ab{n % 3}", "xy"[n % 2]) for n in range(60)]
    (tmp_path / "marks.csv").write_text(csv_of(rows, ("text", "label")))
    data = TableDataset(
        path=str(tmp_path / "marks.csv"),
        cache=str(tmp_path / "cache"),
        cleaning=[],
        duplicates="keep",
        tokenizer=WordTokenizer(punctuation="split", lowercase=True),
    )
    data.setup()
    model = TfIdf(C=10.0)
    fit_model(model, data)
    assert set(model.words) == {"good", "bad", "!", "#", "ab0", "ab1", "ab2"}
    assert {"good !", "! !", "! #", "# ab0"} <= set(terms(model))
    assert {" Goo", " #ab0", "d! "} <= set(terms(model))
    read = fit_non_neural.read_texts(data, "val")
    assert model.find_known(read).all()
    contributions = read.split(model.word_attributions(read)[:, 0])
    sums = [model.bias[0] + part.sum() for part in contributions]
    np.testing.assert_allclose(sums, predict_logits(model, data, "val").numpy(), atol=1e-5)
