"""Bad input ends in one sentence that says what to do, a non-zero status and no traceback."""

import pytest

from tests.conftest import csv_of


def told(result: tuple[int, str, str]) -> str:
    """The sentence; anything else than one line, a zero status or a traceback is a failure."""
    status, _, error = result
    lines = [line for line in error.splitlines() if line.strip()]
    assert status == 2, error
    assert len(lines) == 1, error
    assert "Traceback" not in error
    return lines[0]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.units=-3", ["model.units=-3", "at least 1"]),
        ("model.units=2.5", ["model.units=2.5", "whole number"]),
        ("model.units=many", ["model.units=many", "whole number"]),
        ("model.dropout=2", ["model.dropout=2", "less than 1"]),
        ("model.pooling=sum", ["model.pooling=sum", "last, max, mean"]),
        ("model.bidirectional=7", ["model.bidirectional=7", "true or false"]),
        ("model.unitz=3", ["model.unitz", "did you mean model.units"]),
        ("+model.unitz=3", ["model.unitz", "did you mean model.units"]),
        ("modle.units=3", ["modle"]),
        ("model=gruu", ["gruu", "gru", "lstm", "rnn"]),
        ("split.test=1.5", ["split.test=1.5", "less than 1"]),
        ("split.test=0", ["split.test=0"]),
        ("split.test=5000", ["split.test=5000", "240"]),
        ("split.official=true", ["split.official=true", "no official test part"]),
        ("dataset.max_words=0", ["dataset.max_words=0", "at least 1"]),
        ("dataset.truncate=middle", ["dataset.truncate=middle", "head, tail"]),
        ("dataset.cleaning=[lower,polish]", ["dataset.cleaning", "polish", "keep_letters"]),
        ("dataset.dir=/no/such/folder", ["dataset.dir=/no/such/folder", "no such folder"]),
        ("optimizer.lr=-1", ["optimizer", "-1"]),
        ("optimizer.lr=fast", ["optimizer.lr=fast", "number"]),
        ("trainer.max_epochs=0", ["trainer.max_epochs=0", "at least 1"]),
        ("trainer.accelerator=abacus", ["trainer", "abacus"]),
        ("+trainer.epochs=3", ["trainer.epochs"]),
        ("monitor=val/f2", ["monitor=val/f2", "val/f1"]),
        ("patience=-1", ["patience=-1", "at least 1"]),
        ("seed=-1", ["seed=-1", "at least 0"]),
        ("+epochs=3", ["epochs"]),
        ("model._target_=os.system", ["model._target_=os.system", "not allowed"]),
        ("model.units=[1", ["model.units=[1"]),
        ("resume=no/such/run", ["no/such/run", "no run"]),
    ],
)
def test_wrong_option(train, small, override, words):
    sentence = told(train(*small, override))
    assert all(word in sentence for word in words), sentence


def test_nothing_is_left_of_a_refused_run(train, small, tmp_path):
    told(train(*small, "model.units=-3"))
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not list(tmp_path.rglob("metrics.json"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["IMDB Dataset.csv", "empty"]),
        ("review,sentiment\n", ["IMDB Dataset.csv", "no rows"]),
        ("review,mood\ngood,positive\n", ["'sentiment'", "'review'", "'mood'"]),
        ("review,sentiment\ngood,positive\nso so,mixed\n", ["row 2", "'sentiment'", "'mixed'"]),
        ("review,sentiment\ngood,positive\nbad,negative,x\n", ["IMDB Dataset.csv", "CSV"]),
        ("review,sentiment\n" + "good,positive\nfine,positive\n", ["'negative'", "too few"]),
    ],
)
def test_wrong_file(train, small, kaggle_dir, content, words):
    (kaggle_dir / "IMDB Dataset.csv").write_text(content)
    sentence = told(train(*small))
    assert all(word in sentence for word in words), sentence


def test_file_that_is_not_text(train, small, kaggle_dir):
    (kaggle_dir / "IMDB Dataset.csv").write_bytes(b"review,sentiment\n\xff\xfe\xfa,positive\n")
    assert "IMDB Dataset.csv" in told(train(*small))


@pytest.mark.parametrize("name", ["IMDB Dataset.csv.zip", "aclImdb_v1.tar.gz"])
def test_damaged_archive(train, small, kaggle_dir, name):
    (kaggle_dir / "IMDB Dataset.csv").unlink()
    (kaggle_dir / name).write_bytes(b"PK\x03\x04 cut off")
    sentence = told(train(*small))
    assert name in sentence
    assert "fetch it again" in sentence


def test_class_with_a_single_row(train, small, kaggle_dir, reviews):
    rows = [row for row in reviews if row[1] == "negative"] + [("so good", "positive")]
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(rows))
    sentence = told(train(*small))
    assert "'positive'" in sentence
    assert "split.stratify=false" in sentence


def test_traceback_on_request(train, small):
    from seqtext.options import UserError

    with pytest.raises(UserError):
        train(*small, "model.units=-3", full_error="1")
