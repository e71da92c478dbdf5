"""Unlabelled texts: files, columns, texts that are left out, the cache and messages."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqtext.data.split import Split
from seqtext.datasets.imdb import IMDB
from seqtext.datasets.spam import Spam
from seqtext.datasets.table import TableDataset
from seqtext.datasets.tweets import Tweets
from seqtext.errors import UserError

TEXTS = ["New words, here", "Text number 3!", "", "text number 4", "..."]


@pytest.fixture
def table(tmp_path):
    """Return a function that builds a table of 20 texts, with unlabelled ones."""
    lines = ["text,label", *(f"Text number {n},{n % 2}" for n in range(20))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))

    def build(name: str | None, **options) -> TableDataset:
        unlabelled = None if name is None else str(tmp_path / name)
        return TableDataset(
            path=str(tmp_path / "rows.csv"),
            unlabelled=unlabelled,
            split=Split(test_size=5, val_size=5),
            cache=str(tmp_path / "cache"),
            **options,
        )

    return build


def read(data) -> list[str]:
    """Return the cleaned texts that are used."""
    data.setup()
    texts = data.load_unlabelled()
    words = texts.corpus.dictionary
    return [
        " ".join(words.take(pa.array(codes)).to_pylist())
        for lengths, all_codes in texts.corpus.iter_rows(texts.rows)
        for codes in np.split(all_codes, np.cumsum(lengths)[:-1])
    ]


@pytest.mark.parametrize("name", ["u.csv", "u.jsonl", "u.parquet", "u.txt", "one.csv"])
def test_formats(table, tmp_path, name):
    """Texts without words are left out, and those that equal a row's of the data set."""
    if name.endswith(".csv"):
        columns = [("id", "text")[name == "u.csv" :]] if name == "u.csv" else [("title",)]
        lines = [",".join(("id", "text") if name == "u.csv" else columns[0])]
        lines += [f'1,"{t}"' if name == "u.csv" else f'"{t}"' for t in TEXTS]
        (tmp_path / name).write_text("\n".join(lines))
    elif name.endswith(".jsonl"):
        (tmp_path / name).write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    elif name.endswith(".parquet"):
        pq.write_table(pa.table({"text": TEXTS}), tmp_path / name)
    else:
        (tmp_path / name).write_text("\n".join(TEXTS))
    data = table(name)
    data.setup()
    assert read(data) == ["new words here"]


def test_texts_of_the_data_set(table, tmp_path, caplog):
    """They are left out: training texts would count twice."""
    caplog.set_level("INFO")
    texts = [f"TEXT number. {n}" for n in range(25)]
    (tmp_path / "u.txt").write_text("\n".join(texts))
    data = table("u.txt")
    kept = {int(text.split()[-1]) for text in read(data)}
    assert kept == {*range(20, 25)}
    told = "u.txt: 5 texts; left out are 0 without words and 20 with the text of a row"
    assert told in caplog.text
    assert "number 24" not in " ".join(data.vocabulary.tokens)
    assert "24" not in data.vocabulary.tokens


def test_cache_and_digest(table, tmp_path, monkeypatch):
    (tmp_path / "u.txt").write_text("some texts\nmore texts")
    first = table("u.txt")
    first.setup()
    digest = first.load_unlabelled().digest
    again = table("u.txt", batch_size=3)
    again.setup()
    monkeypatch.setattr(again, "read_unlabelled_file", lambda path: pytest.fail("read again"))
    assert again.load_unlabelled().digest == digest
    (tmp_path / "u.txt").write_text("some texts\nmore and more texts")
    changed = table("u.txt")
    changed.setup()
    assert changed.load_unlabelled().digest != digest
    none = table(None)
    none.setup()
    assert none.load_unlabelled() is None


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("none.csv", None, {}, r"dataset\.unlabelled=.*none\.csv is not there"),
        (".", None, {}, r"dataset\.unlabelled=.* is a folder: name the file"),
        ("u.csv", "a,b\n1,2", {}, r"no column 'text' but 'a', 'b': name .*unlabelled_column"),
        ("u.csv", "a,b\n1,2", {"unlabelled_column": "c"}, r"'c'"),
        ("u.csv", "text\n...\n", {}, "holds no text to use: give another file"),
        ("u.txt", "", {}, r"u\.txt cannot be read: it is empty"),
        ("u.xyz", "a", {}, r"u\.xyz must end in one of"),
    ],
)
def test_bad_files(table, tmp_path, name, content, options, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    data = table(name, **options)
    data.setup()
    with pytest.raises(UserError, match=message):
        data.load_unlabelled()


def test_named_column(table, tmp_path):
    (tmp_path / "u.csv").write_text("a,b\nyes please,no thanks")
    assert read(table("u.csv", unlabelled_column="b")) == ["no thanks"]


def test_column_of_a_table_without_header(table, tmp_path):
    """A file of the same kind has the format of the data set's files."""
    (tmp_path / "rows.csv").write_text("\n".join(f"{n % 2};Text {n}" for n in range(20)))
    (tmp_path / "u.csv").write_text("0;more text\n1;other text")
    data = table("u.csv", text=1, label=0, header=False, separator=";")
    assert read(data) == ["more text", "other text"]


def test_own_texts_of_tweets(tmp_path):
    """The file test.csv has no labels: it is not the test part."""
    rows = [f"{n},{n % 2},tweet number {n}" for n in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(["id,label,tweet", *rows]))
    options = {"dir": str(tmp_path), "unlabelled": "auto", "cache": str(tmp_path / "cache")}
    with pytest.raises(UserError, match=r"dataset\.unlabelled=auto: .* does not hold 'test\.csv'"):
        Tweets(**options).locate_unlabelled()
    (tmp_path / "test.csv").write_text("id,tweet\n21,an unlabelled tweet\n")
    assert read(Tweets(**options)) == ["an unlabelled tweet"]


def test_no_texts_of_its_own(tmp_path):
    with pytest.raises(
        UserError, match="unlabelled=auto is not possible: dataset=spam has no unlabelled"
    ):
        Spam(dir=str(tmp_path), unlabelled="auto").locate_unlabelled()


@pytest.mark.parametrize("is_archive", [True, False])
def test_own_texts_of_imdb(tmp_path, is_archive):
    """The folder train/unsup of the archive, beside any file of the labelled reviews."""
    reviews = [f"review {chr(97 + n) * 3},{'positive' if n % 2 else 'negative'}" for n in range(20)]
    (tmp_path / "IMDB Dataset.csv").write_text("\n".join(["review,sentiment", *reviews]))
    members = {f"aclImdb/train/unsup/{n}_0.txt": f"An unlabelled review {n}" for n in range(3)}
    members["aclImdb/train/pos/0_9.txt"] = "labelled"
    members["aclImdb/train/urls_unsup.txt"] = "address"

    def write(names) -> None:
        if not is_archive:
            for name in names:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(members[name])
            return
        with tarfile.open(tmp_path / "aclImdb_v1.tar.gz", "w:gz") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(members[name])
                archive.addfile(member, io.BytesIO(members[name].encode()))

    options = {"dir": str(tmp_path), "unlabelled": "auto", "cache": str(tmp_path / "cache")}
    with pytest.raises(UserError, match=r"does not hold 'aclImdb_v1\.tar\.gz' or 'aclImdb/'"):
        IMDB(**options).locate_unlabelled()
    write(["aclImdb/train/pos/0_9.txt"])
    data = IMDB(**options)
    data.setup()
    with pytest.raises(UserError, match="holds no unlabelled reviews: aclImdb/train/unsup"):
        data.load_unlabelled()
    write(list(members))
    assert read(IMDB(**options)) == ["an unlabelled review"] * 3


def test_cache_tells_formats_apart(table, tmp_path):
    (tmp_path / "u.csv").write_text("text;b\nsome;thing\n")
    assert read(table("u.csv", unlabelled_column="text;b")) == ["some thing"]
    (tmp_path / "rows.csv").write_text("\n".join(f"{n % 2};Text {n}" for n in range(20)))
    options = {"label": 0, "header": False, "separator": ";"}
    assert read(table("u.csv", text=1, **options)) == ["b", "thing"]
    (tmp_path / "u.csv").write_text("0;text one\n1;text two")
    assert read(table("u.csv", text=1, **options)) == ["text one", "text two"]


def test_texts_that_nothing_reads(table, tmp_path, caplog):
    (tmp_path / "u.txt").write_text("some texts\nmore texts")
    data = table("u.txt")
    data.setup()
    data.warn_if_unlabelled_is_unused()
    (warning,) = [told for told in data.warnings if "u.txt" in told]
    assert "was not read: embedding=word2vec, embedding=fasttext, objectives=" in warning
    data = table("u.txt")
    data.setup()
    data.load_unlabelled()
    data.warn_if_unlabelled_is_unused()
    assert not [told for told in data.warnings if "u.txt" in told]
