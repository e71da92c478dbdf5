"""Files of word vectors: every format, and what is said of bad ones."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from seqtext.data import vector_files
from seqtext.options import UserError
from tests.conftest import VECTORS, vectors_text, write_vectors, zip_of

WORDS = ["film", "café", "unheard", "the"]


def read(path: Path, words=WORDS, dim: int = 3) -> tuple[list[bool], list[list[float]]]:
    """Which words there are, and the rows of all."""
    rows, known = vector_files.read_text(path, words, dim)
    assert rows.dtype == np.float32
    return known.tolist(), rows.tolist()


def assert_found(got: tuple[list[bool], list[list[float]]]) -> None:
    rows = [VECTORS.get(word, [0, 0, 0]) for word in WORDS]
    assert got == ([True, True, False, True], np.array(rows, np.float32).tolist())


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.txt.bz2", "v.zip"])
def test_formats(tmp_path, name, header):
    assert_found(read(write_vectors(tmp_path / name, vectors_text(VECTORS, header))))


def test_lines_as_other_programs_end_them(tmp_path):
    text = vectors_text(VECTORS, header=True)
    assert_found(read(write_vectors(tmp_path / "a.txt", text.replace("\n", "\r\n"))))
    assert_found(read(write_vectors(tmp_path / "b.txt", text.replace("\n", " \n"))))
    assert_found(read(write_vectors(tmp_path / "c.txt", text.rstrip("\n"))))
    assert_found(read(write_vectors(tmp_path / "d.txt", text + "\n\n")))


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
    seen, numbers = [], vector_files._numbers
    monkeypatch.setattr(
        vector_files, "_numbers", lambda line, *rest: seen.append(line) or numbers(line, *rest)
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
    _, known = vector_files.read_text(path, ["w5", "w2999"], 300)
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
        ({"notes.md": "about", "__MACOSX/a.txt": "\0"}, "no .txt file"),
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
