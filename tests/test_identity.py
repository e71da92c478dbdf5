"""Identity of runs: options that can change a result, and content, but no paths."""

import gzip
import json

import pytest

from seqtext.config.fingerprints import digest_input_files, read_fingerprints
from seqtext.identity import build_run_key, find_changed_content, has_all_fingerprints
from tests.conftest import VECTORS, csv_of, invented_reviews, settings_of, vectors_text, zip_of

PATH_OPTIONS_BY_CONTENT = {"data": "f", "vectors": None}
STORED = {"data": "1", "vectors": None, "files": PATH_OPTIONS_BY_CONTENT}


def fingerprints(tmp_path, *overrides: str) -> dict:
    return read_fingerprints(settings_of(*overrides, f"paths.cache_dir={tmp_path / 'cache'}"))


def test_files_that_are_equal_are_not_read():
    assert (
        find_changed_content(STORED, PATH_OPTIONS_BY_CONTENT, lambda: pytest.fail("read")) is None
    )
    moved = {"data": "g", "vectors": None}
    assert find_changed_content(STORED, moved, lambda: STORED) is None
    assert find_changed_content(STORED, moved, lambda: STORED | {"data": "2"}) == "data"
    assert find_changed_content(STORED, moved, lambda: STORED | {"vectors": "2"}) == "word vectors"


def test_paths_and_the_machine_do_not_count():
    one = {
        "seed": 1,
        "paths": {"data_dir": "a"},
        "dataset": {"dir": "a"},
        "trainer": {"accelerator": "cpu"},
    }
    other = {
        "seed": 1,
        "paths": {"data_dir": "b"},
        "dataset": {"dir": "b"},
        "trainer": {"accelerator": "gpu"},
    }
    assert build_run_key(one, STORED) == build_run_key(other, STORED)
    assert build_run_key(one, STORED) != build_run_key(one, STORED | {"data": "2"})
    assert build_run_key(one, STORED) != build_run_key(one, STORED | {"vectors": "2"})
    assert build_run_key(one, STORED) != build_run_key(one | {"seed": 2}, STORED)
    assert build_run_key(one, None, "a.csv") != build_run_key(one, None, "b.csv"), (
        "an earlier version's"
    )
    assert not has_all_fingerprints({"data": "1", "vectors": None})


def test_the_same_rows_however_they_are_stored(tmp_path):
    rows = csv_of(invented_reviews(60))
    places = [tmp_path / name for name in ("one", "two", "three", "four")]
    for place in places:
        place.mkdir()
    (places[0] / "IMDB Dataset.csv").write_text(rows)
    (places[1] / "IMDB Dataset.csv").write_text(rows)
    zip_of(places[2] / "IMDB Dataset.csv.zip", {"IMDB Dataset.csv": rows})
    (places[3] / "IMDB Dataset.csv").write_text(rows.replace("wonderful", "so-so", 1))
    got = [fingerprints(tmp_path, f"dataset.dir={place}") for place in places]
    assert got[0] == got[1]
    assert got[0]["data"] == got[2]["data"]
    assert got[0]["files"] != got[2]["files"]
    assert got[0]["data"] != got[3]["data"], "one word is another"
    assert json.loads(json.dumps(got[0])) == got[0]


def test_names_of_tables_do_not_count_but_their_parts_do(tmp_path):
    rows = csv_of(invented_reviews(60), header=("text", "label"))
    more = csv_of(invented_reviews(20, seed=1), header=("text", "label"))
    for name, content in {"a.csv": rows, "b.csv": rows, "more.csv": more}.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(rows.encode()))
    table = ("dataset=table", f"dataset.path={tmp_path}/a.csv")
    base = fingerprints(tmp_path, *table)["data"]
    for name in ("b.csv", "a.csv.gz"):
        path = f"dataset.path={tmp_path / name}"
        assert fingerprints(tmp_path, "dataset=table", path)["data"] == base
    parts = [
        fingerprints(tmp_path, *table, f"dataset.{part}={tmp_path}/more.csv")
        for part in ("val", "test")
    ]
    assert len({base, *(one["data"] for one in parts)}) == 3
    assert parts[0]["files"] != parts[1]["files"]


def test_stop_words_count_where_they_are_dropped(tmp_path):
    (tmp_path / "IMDB Dataset.csv").write_text(csv_of(invented_reviews(60)))
    for name, words in {"a.txt": "the film", "b.txt": "the plot", "c.txt": "film\nthe\n"}.items():
        (tmp_path / name).write_text(words)
    where = f"dataset.dir={tmp_path}"
    cleaning = "dataset.cleaning=[lower,drop_stopwords]"
    a, b, c = (
        fingerprints(tmp_path, where, cleaning, f"dataset.stopwords={tmp_path / name}.txt")
        for name in "abc"
    )
    assert a["data"] != b["data"]
    assert a == c
    kept = [
        fingerprints(tmp_path, where, f"dataset.stopwords={tmp_path / name}.txt") for name in "ab"
    ]
    assert kept[0] == kept[1]


def test_vectors_in_a_folder_packed_or_others(tmp_path):
    (tmp_path / "IMDB Dataset.csv").write_text(csv_of(invented_reviews(60)))
    vectors = {word: numbers for word, numbers in VECTORS.items() if word in ("the", "film")}
    text = vectors_text(vectors)
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "glove.6B.3d.txt").write_text(text)
    (folders[1] / "glove.6B.3d.txt.gz").write_bytes(gzip.compress(text.encode()))
    (folders[2] / "glove.6B.3d.txt").write_text(text.replace("-1.5", "1.5"))
    base = (f"dataset.dir={tmp_path}", "embedding=glove", "embedding.dim=3")
    paths = [folders[0], folders[0] / "glove.6B.3d.txt", folders[1], folders[2]]
    got = [fingerprints(tmp_path, *base, f"embedding.path={path}") for path in paths]
    assert got[0] == got[1]
    assert got[0]["vectors"] == got[2]["vectors"]
    assert got[0]["vectors"] != got[3]["vectors"]
    unused = fingerprints(tmp_path, *base, "embedding.path=/none", "model=tfidf")
    assert unused["vectors"] is None, "that model reads none"
    for embedding in ("embedding=random", "embedding.dim=8"):  # GloVe has no vectors of 8 numbers
        assert fingerprints(tmp_path, f"dataset.dir={tmp_path}", embedding)["vectors"] is None


def test_digests_of_files_are_those_of_the_run(tmp_path):
    (tmp_path / "IMDB Dataset.csv").write_text(csv_of(invented_reviews(60)))
    settings = settings_of(f"dataset.dir={tmp_path}", f"paths.cache_dir={tmp_path / 'cache'}")
    known = {}
    files = digest_input_files(settings, known)
    assert read_fingerprints(settings)["files"] == files
    (tmp_path / "IMDB Dataset.csv").unlink()
    (tmp_path / "IMDB Dataset.csv").write_text("other")
    assert digest_input_files(settings, known) == files, "read once"
    assert digest_input_files(settings, {}) != files
