"""Files of word vectors: every format, and messages about damaged ones."""

import bz2
import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from seqtext.embeddings import vector_binary, vector_files
from seqtext.errors import UserError
from tests.conftest import VECTORS, vectors_text, write_vectors, zip_of

WORDS = ["film", "café", "unheard", "the"]


def read(path: Path, words=WORDS, dim: int = 3) -> tuple[list[bool], list[list[float]]]:
    """Return the words that are found, and the vectors of all."""
    rows, known, _ = vector_files.read_vector_file(path, words, dim)
    assert rows.dtype == np.float32
    return known.tolist(), rows.tolist()


def assert_found(got: tuple[list[bool], list[list[float]]]) -> None:
    rows = [VECTORS.get(word, [0, 0, 0]) for word in WORDS]
    assert got == ([True, True, False, True], np.array(rows, np.float32).tolist())


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.txt.bz2", "v.zip"])
def test_formats(tmp_path, name, header):
    path = write_vectors(tmp_path / name, vectors_text(VECTORS, header))
    assert_found(read(path))
    assert vector_files.read_dimension(path) == 3


@pytest.mark.parametrize(
    "text",
    [
        "the 1 2 3",
        "1 1 2 3\nat 3 1 2 3\n",
        "word\tx\ty\tz\nthe\t1\t2\t3\n",
        "new york\t1\t2\t3\nthe\t1\t2\t3",
        "\ufeffthe 1 2 3\r\nof 1 2 3 \r\n",
    ],
)
def test_dimension_of_texts(tmp_path, text):
    assert vector_files.read_dimension(write_vectors(tmp_path / "v.txt", text)) == 3


def test_dimension_of_binary_files(tmp_path):
    assert vector_files.read_dimension(write_binary(tmp_path / "v.bin", VECTORS)) == 3


@pytest.mark.parametrize("text", ["", "the", "the end of it", "\n\n1 2 3"])
def test_no_dimension(tmp_path, text):
    with pytest.raises(UserError, match=r"v\.txt, line 1: a word and its numbers"):
        vector_files.read_dimension(write_vectors(tmp_path / "v.txt", text))


@pytest.mark.parametrize("text", ["2 99999999999\nthe 1 2\n", "the" + " 1" * 100_001 + "\n"])
def test_impossible_dimension(tmp_path, text):
    with pytest.raises(UserError, match=r"v\.txt has .* numbers per word where at most 100,000"):
        vector_files.read_dimension(write_vectors(tmp_path / "v.txt", text))


def test_no_dimension_of_an_archive(tmp_path):
    members = {f"v.{dim}d.txt": "the 1" + " 2" * (dim - 1) for dim in (2, 3)}
    with pytest.raises(UserError, match=r"one of v\.2d\.txt, v\.3d\.txt"):
        vector_files.read_dimension(zip_of(tmp_path / "v.zip", members))


def test_lines_as_other_programs_end_them(tmp_path):
    text = vectors_text(VECTORS, header=True)
    assert_found(read(write_vectors(tmp_path / "a.txt", text.replace("\n", "\r\n"))))
    assert_found(read(write_vectors(tmp_path / "b.txt", text.replace("\n", " \n"))))
    assert_found(read(write_vectors(tmp_path / "c.txt", text.rstrip("\n"))))
    assert_found(read(write_vectors(tmp_path / "d.txt", text + "\n\n")))


@pytest.mark.parametrize("header", ["", "4\t3\n", "4 3\n", "word\tx\ty\tz\n", "\ufeff"])
@pytest.mark.parametrize("between", ["\t", "  ", " \t", "\t "])
def test_separators(tmp_path, between, header):
    """Separators between a word and its numbers, and between numbers."""
    text = header + vectors_text(VECTORS).replace(" ", between)
    assert_found(read(write_vectors(tmp_path / "a.txt", text)))
    lines = [line.replace(" ", between, 1) for line in vectors_text(VECTORS).splitlines()]
    assert_found(read(write_vectors(tmp_path / "b.txt", header + "\r\n".join(lines))))


def test_words_with_spaces_before_a_tab(tmp_path):
    lines = ["new york\t1\t2\t3", *vectors_text(VECTORS).replace(" ", "\t").splitlines()]
    assert_found(read(write_vectors(tmp_path / "v.txt", "\n".join(lines))))


def write_binary(path: Path, rows: dict, dim: int = 3, end: str = "\n", count: int = 0) -> Path:
    """Write word2vec's format; gensim writes no line end after a word."""
    content = f"{count or len(rows)} {dim}\n".encode()
    for word, numbers in rows.items():
        content += word.encode() + b" " + np.array(numbers, "<f4").tobytes() + end.encode()
    pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(content))
    return path


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("name", ["v.bin", "v.bin.gz", "v.txt"])
def test_binary_files(tmp_path, name, end):
    """With any file name, and any bytes in the numbers: 10 is a line end, 32 a space."""
    line_ends = np.frombuffer(b"\n\n\n\n  \n\n\n   ", "<f4").tolist()
    repeated = [("the", VECTORS["the"]), ("odd", line_ends)]
    path = write_binary(tmp_path / name, VECTORS | dict(repeated), end=end)
    assert_found(read(path))
    known, rows = read(path, words=["odd"])
    assert (known, rows) == ([True], [line_ends])


def test_large_binary_file(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_binary, "BLOCK_BYTES", 50)
    rows = {f"w{number}": [number, 0, 1] for number in range(500)}
    known, found = read(write_binary(tmp_path / "v.bin", rows), words=["w499", "none", "w7"])
    assert (known, found) == ([True, False, True], [[499, 0, 1], [0, 0, 0], [7, 0, 1]])


def test_damaged_binary_files(tmp_path):
    with pytest.raises(UserError, match=r"a\.bin ends with word 4 of the 9"):
        read(write_binary(tmp_path / "a.bin", VECTORS, count=9))
    with pytest.raises(UserError, match=r"set embedding\.dim=3"):
        read(write_binary(tmp_path / "a.bin", VECTORS), dim=4)
    with pytest.raises(UserError, match=r"a\.bin, word 1 \('the'\): not all of its 3 numbers"):
        read(write_binary(tmp_path / "a.bin", {"the": [1.0, np.nan, 0.0]}))
    (tmp_path / "a.bin").write_bytes(b"9 3\n" + b"\xff" * (1 << 18))
    with pytest.raises(UserError, match="or is damaged"):
        read(tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", r"no fastText model, or is damaged"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (b"PAR1\x15\x04", "a Parquet file"),
        ("the 1 2 3".encode("utf-16"), "UTF-16: save it as UTF-8"),
        (gzip.compress(b"the 1 2 3"), r"let its name end in \.gz"),
        (b"the\0\1\2", "neither text nor a binary file"),
    ],
    ids=["fastText", "pickle", "npy", "parquet", "utf-16", "gzip", "other"],
)
def test_other_formats_are_named(tmp_path, start, what):
    (tmp_path / "v.bin").write_bytes(start + bytes(200))
    with pytest.raises(UserError, match=rf"v\.bin is .*{what}|v\.bin is {what}"):
        read(tmp_path / "v.bin")


def test_fasttext_vectors_in_an_archive(tmp_path):
    text = vectors_text(VECTORS, header=True)
    path = zip_of(tmp_path / "wiki-news.vec.zip", {"wiki-news.vec": text})
    assert_found(read(path))


def test_first_of_a_repeated_word_counts(tmp_path):
    text = vectors_text(VECTORS) + vectors_text({word: [8.0, 8.0, 8.0] for word in VECTORS})
    assert_found(read(write_vectors(tmp_path / "v.txt", text)))


def test_words_with_spaces_are_left_out(tmp_path):
    spaced = {". . .": [1, 2, 3], "film of 1999": [1, 2, 3], "the @ the": [1, 2, 3]}
    assert_found(read(write_vectors(tmp_path / "a.txt", vectors_text(spaced | VECTORS))))
    assert_found(
        read(
            write_vectors(
                tmp_path / "b.txt", vectors_text(spaced | VECTORS | {"the end": [1, 2, 3]})
            )
        )
    )


def test_case_matters(tmp_path):
    got = read(
        write_vectors(tmp_path / "v.txt", vectors_text({"Film": [1.0, 1.0, 1.0], **VECTORS})),
        ["Film", "The"],
    )
    assert got == ([True, False], [[1, 1, 1], [0, 0, 0]])


def test_only_wanted_lines_are_parsed(tmp_path, monkeypatch):
    seen, numbers = [], vector_files._parse_numbers
    monkeypatch.setattr(
        vector_files,
        "_parse_numbers",
        lambda line, *rest: seen.append(line) or numbers(line, *rest),
    )
    rows = {f"word{n}": [0.0, 0.0, 0.0] for n in range(500)}
    read(write_vectors(tmp_path / "v.txt", vectors_text(rows)), ["word7", "word3"])
    assert [line.split()[0] for line in seen] == [b"word3", b"word7", b"word499"]


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.txt.bz2", "v.zip"])
def test_a_file_is_never_held_whole(tmp_path, name):
    path = write_vectors(
        tmp_path / name, vectors_text({f"w{n}": ["0.0625"] * 300 for n in range(3_000)})
    )
    tracemalloc.start()
    known = vector_files.read_vector_file(path, ["w5", "w2999"], 300).known
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert known.all()
    assert peak < 3.5e6  # bytes, of 6.3e6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 1 2 3\nthe 1 2\n", ["line 2", "2 numbers where 3"]),
        ("a 1 2 3\nthe\nb 1 2 3\n", ["line 2", "0 numbers where 3"]),
        ("2 3\na 1 2 3\nthe 1 2 x\n", ["line 3", "finite"]),
        ("the 1 2 x\n", ["line 1", "finite"]),
        ("a 1 2 3\nthe 1 nan 3\n", ["line 2", "finite"]),
        ("a 1 2 3\nthe 1 inf 3\n", ["line 2", "finite"]),
        ("a 1 2 3\nthe 1 1e39 3\n", ["line 2", "finite"]),
        ("a 1 2 3\nb 1 2 3\nc 1 2", ["line 3", "2 numbers where 3"]),
        ("5 3\na 1 2 3\nthe 1 2 3\n", ["line 3", "2 of the 5 words", "fetch it again"]),
        ("a 1 2\nthe 1 2\n", ["2 numbers per word", "embedding.dim=3", "set embedding.dim=2"]),
        ("a b c 1 2\nthe 1 2\n", ["2 numbers per word", "set embedding.dim=2"]),
        ("9 4\na 1 2 3 4\n", ["4 numbers per word", "embedding.dim=3", "set embedding.dim=4"]),
        ("", ["line 1", "GloVe"]),
        ("some text of another kind\n", ["line 1", "GloVe"]),
    ],
)
@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.zip"])
def test_damaged_content(tmp_path, name, text, words):
    path = write_vectors(tmp_path / name, text)
    with pytest.raises(UserError) as failure:
        read(path)
    assert all(word in str(failure.value) for word in [str(path), *words]), failure.value


@pytest.mark.parametrize("name", ["v.txt.gz", "v.txt.bz2", "v.zip"])
@pytest.mark.parametrize("harm", ["cut off", "changed", "another format"])
def test_damaged_archive(tmp_path, name, harm):
    numbers = np.random.default_rng(0).normal(size=(3_000, 3)).tolist()
    path = write_vectors(
        tmp_path / name, vectors_text({f"w{n}": row for n, row in enumerate(numbers)})
    )
    content = bytearray(path.read_bytes())
    if harm == "cut off":
        del content[len(content) // 2 :]
    elif harm == "changed":
        middle = len(content) // 2
        content[middle : middle + 64] = bytes(255 - byte for byte in content[middle : middle + 64])
    else:
        content = b"the 1 2 3\n"
    path.write_bytes(content)
    with pytest.raises(UserError) as failure:
        read(path, ["unheard"])
    assert str(path) in str(failure.value)
    assert "fetch it again" in str(failure.value)


def test_member_of_the_right_width(tmp_path):
    wide, other = vectors_text({"the": [7.0] * 13}), vectors_text({"the": [7.0, 7.0]})
    members = {"__MACOSX/._glove.6B.3d.txt": "\0", "glove.6B.13d.txt": wide, "readme.txt": "about"}
    members |= {"glove.6B.3d.txt": vectors_text(VECTORS), "glove.6B.2d.txt": other}
    path = zip_of(tmp_path / "glove.6B.zip", members)
    assert_found(read(path))
    assert read(path, words=["the"], dim=13) == ([True], [[7] * 13])
    with pytest.raises(UserError, match=r"embedding\.dim=4.*glove\.6B\.13d\.txt") as failure:
        read(path, dim=4)
    assert "MACOSX" not in str(failure.value)


def test_only_text_of_an_archive(tmp_path):
    members = {"__MACOSX/._own.txt": "\0", "notes.md": "about", "own.txt": vectors_text(VECTORS)}
    assert_found(read(zip_of(tmp_path / "v.zip", members)))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"notes.md": "about", "__MACOSX/a.txt": "\0"}, "no .txt, .vec or .bin file"),
        ({"../glove.6B.3d.txt": vectors_text(VECTORS)}, "points outside of it"),
        ({"/glove.6B.3d.txt": vectors_text(VECTORS)}, "points outside of it"),
        (
            {"x.3d.txt": vectors_text(VECTORS), "y.3d.txt": vectors_text(VECTORS)},
            "exactly one file",
        ),
    ],
)
def test_archive_without_a_fitting_member(tmp_path, members, words):
    path = zip_of(tmp_path / "v.zip", members)
    with pytest.raises(UserError, match=words) as failure:
        read(path)
    assert str(path) in str(failure.value)
