"""Small files are written completely or not at all, and damaged ones are named."""

import json
import os

import pytest

from seqtext.errors import UserError
from seqtext.files import read_json, replace_file, write_json, write_text


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "facts.json"
    write_json(path, {"score": 0.5})
    write_json(path, {"score": 0.7})
    assert read_json(path) == {"score": 0.7}
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]


def test_the_mode_of_a_new_file_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(TypeError), replace_file(path) as temporary:
        temporary.write_text(None)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda size: "guessed")
    other = tmp_path / "other.txt"
    other.write_text("precious")
    (tmp_path / ".guessed.new").symlink_to(other)
    with pytest.raises(FileExistsError, match=r"a\.txt"):
        write_text(tmp_path / "a.txt", "x")
    assert other.read_text() == "precious"


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a.txt"
    with replace_file(path) as first, replace_file(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b'"x"', b"[" * 10**5])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"facts\.json is damaged"):
        read_json(path)


def test_json_is_written_as_json(tmp_path):
    write_json(tmp_path / "a.json", {"名": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"名": [1, None]}
