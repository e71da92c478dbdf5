"""The cache detects damage, and builds once for concurrent processes."""

import json
import multiprocessing
import os
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

import seqtext.cache as cache_module
from seqtext.cache import MANIFEST, Cache, digest_files
from seqtext.errors import UserError


def build(folder: Path) -> None:
    (folder / "numbers.bin").write_bytes(bytes(range(200)))


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def refuse(folder: Path) -> None:
    pytest.fail("built although it was there")


def test_second_time_it_is_found(cache):
    first = cache.get_or_build("ids", {"length": 3}, build)
    assert cache.get_or_build("ids", {"length": 3}, refuse) == first
    assert (first / "numbers.bin").read_bytes() == bytes(range(200))


def test_other_settings_are_another_entry(cache):
    entries = {
        cache.get_or_build(kind, {"a": a}, build) for kind in ("ids", "table") for a in (1, 2, None)
    }
    assert len(entries) == 6


def flip_a_bit(file: Path) -> None:
    """Flip a bit without changing size and time, as a failing disk does."""
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


DAMAGES = {
    "truncated": lambda f: (f / "numbers.bin").write_bytes(b"\0\1"),
    "other content, same size": lambda f: (f / "numbers.bin").write_bytes(bytes(200)),
    "file lost": lambda f: (f / "numbers.bin").unlink(),
    "a bit, at the same time": lambda f: flip_a_bit(f / "numbers.bin"),
    "manifest lost": lambda f: (f / MANIFEST).unlink(),
    "manifest empty": lambda f: (f / MANIFEST).write_text(""),
    "manifest foreign": lambda f: (f / MANIFEST).write_text('{"settings": {}, "files": {}}'),
    "manifest no object": lambda f: (f / MANIFEST).write_text("[1]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry_is_built_again(cache, damage):
    folder = cache.get_or_build("ids", {}, build)
    DAMAGES[damage](folder)
    assert cache.get_or_build("ids", {}, build) == folder
    assert (folder / "numbers.bin").read_bytes() == bytes(range(200))
    cache.get_or_build("ids", {}, refuse)


def build_two(folder: Path) -> None:
    (folder / "facts.json").write_text("{}")
    build(folder)


def test_small_files_of_a_large_entry_are_read_and_all_where_that_is_wanted(cache, monkeypatch):
    monkeypatch.setattr(cache_module, "ALWAYS_CHECKED_BYTES", 100)
    folder = cache.get_or_build("ids", {}, build_two)
    flip_a_bit(folder / "numbers.bin")
    cache.get_or_build("ids", {}, refuse)
    flip_a_bit(folder / "facts.json")
    cache.get_or_build("ids", {}, build_two)
    cache.get_or_build("ids", {}, refuse, is_thorough=True)
    flip_a_bit(folder / "numbers.bin")
    cache.get_or_build("ids", {}, build_two, is_thorough=True)
    assert (folder / "numbers.bin").read_bytes() == bytes(range(200))


def test_entry_that_cannot_be_opened_is_built_again(cache, monkeypatch, caplog):
    monkeypatch.setattr(cache_module, "ALWAYS_CHECKED_BYTES", 0)
    read = lambda folder: json.loads((folder / "facts.json").read_text())  # noqa: E731
    assert cache.load("ids", {}, build_two, read) == {}
    flip_a_bit(cache.get_or_build("ids", {}, refuse) / "facts.json")
    assert cache.load("ids", {}, build_two, read) == {}
    assert "is damaged: built again" in caplog.text
    assert cache.load("ids", {}, refuse, read) == {}


def test_two_builds_without_a_lock_do_not_meet(cache, monkeypatch):
    """As on a file system without working locks."""
    monkeypatch.setattr(cache, "_lock", lambda folder: nullcontext())
    folders = []

    def build_both(folder: Path) -> None:
        if not folders:
            folders.append(folder)
            cache.get_or_build("ids", {}, build_both)
        build(folder)

    (cache.root / "ids").mkdir(parents=True)
    folder = cache.get_or_build("ids", {}, build_both)
    assert (folder / "numbers.bin").read_bytes() == bytes(range(200))
    assert [path.name for path in (cache.root / "ids").iterdir()] == [folder.name]


def test_leftovers_of_killed_processes_go_after_a_day(cache):
    folder = cache.get_or_build("ids", {}, build)
    old, new = (folder.with_name(f"{folder.name}.{name}.new") for name in ("a", "b"))
    for left in (old, new):
        left.mkdir()
    os.utime(old, (0, 0))
    flip_a_bit(folder / "numbers.bin")
    cache.get_or_build("ids", {}, build)
    assert new.exists()
    assert not old.exists()


@pytest.mark.parametrize("age", [0, 1000])
def test_files_that_change_while_they_are_read(cache, tmp_path, age):
    file = tmp_path / "a.csv"

    def write(text: str, seconds: float) -> None:
        file.write_text(text)
        os.utime(file, (seconds, seconds))

    then = time.time() - age
    write("one", then)
    files = cache.watch([file])
    files.check_unchanged()
    write("two", then + (age > 0))  # within a tick of the clock, if the file is young
    with pytest.raises(UserError, match=r"a\.csv changed while being read"):
        files.check_unchanged()
    write("one", then)
    file.rename(tmp_path / "b.csv")
    with pytest.raises(UserError, match="changed while being read"):
        files.check_unchanged()


def test_no_digest_of_a_large_file_that_changes_is_remembered(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "MIN_SIZE_TO_CACHE_DIGEST", 2)
    file = tmp_path / "a.csv"
    file.write_text("one")
    os.utime(file, (1000, 1000))

    def read_and_write(paths):
        digest = digest_files(paths)
        file.write_text("two")
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "digest_files", read_and_write)
        with pytest.raises(UserError, match="changed while being read"):
            cache.digest_files([file])
    os.utime(file, (1000, 1000))
    assert cache.digest_files([file]) == digest_files([file])


def test_killed_build_leaves_nothing_that_is_trusted(cache):
    def die(folder: Path) -> None:
        (folder / "numbers.bin").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get_or_build("ids", {}, die)
    folder = cache.get_or_build("ids", {}, build)
    assert sorted(p.name for p in folder.iterdir()) == [MANIFEST, "numbers.bin"]


def test_copied_entry_is_found(cache, tmp_path):
    folder = cache.get_or_build("ids", {}, build)
    shutil.copytree(cache.root, tmp_path / "copy", copy_function=shutil.copyfile)
    assert Cache(tmp_path / "copy").get_or_build("ids", {}, refuse).name == folder.name


def test_digest_of_a_large_file_is_remembered(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "MIN_SIZE_TO_CACHE_DIGEST", 2)
    file, read = tmp_path / "a.csv", []
    monkeypatch.setattr(
        cache_module, "digest_files", lambda paths: read.append(paths) or digest_files(paths)
    )

    def write(text: str, age: float) -> str:
        file.write_text(text)
        os.utime(file, (time.time() - age, time.time() - age))
        return cache.digest_files([file])

    first = write("one", 1000)
    assert cache.digest_files([file]) == first == digest_files([file])
    assert len(read) == 1
    assert write("two", 900) != first
    assert len(read) == 2
    assert write("six", 1) != first, "what may change within a tick of the clock"
    assert cache.digest_files([file]) == digest_files([file])
    assert len(read) == 4


def slow_build(folder: Path) -> None:
    with (folder.parent / "builds.txt").open("a") as stream:
        stream.write("built\n")
    time.sleep(0.3)
    build(folder)


def ask(root: str) -> None:
    Cache(root).get_or_build("ids", {}, slow_build)


def test_processes_in_parallel_build_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=ask, args=(str(tmp_path),)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "ids" / "builds.txt").read_text() == "built\n"


def test_fingerprint_follows_content_and_not_time(tmp_path):
    file, folder = tmp_path / "a.csv", tmp_path / "tree"
    (folder / "sub").mkdir(parents=True)
    file.write_text("one")
    (folder / "sub" / "1.txt").write_text("x")
    before = digest_files([file]), digest_files([folder])
    file.touch()
    assert (digest_files([file]), digest_files([folder])) == before
    file.write_text("two")
    (folder / "sub" / "1.txt").rename(folder / "sub" / "2.txt")
    after = digest_files([file]), digest_files([folder])
    assert before[0] != after[0]
    assert before[1] != after[1]
