"""Prepared data on disk, found again by what it was made from; safe for processes in parallel."""

import hashlib
import inspect
import json
import logging
import os
import shutil
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LARGE = 1 << 26  # bytes that are worth remembering a digest
SETTLED = 60  # seconds after which a change of a file shows in its time


def fingerprint(paths: Iterable[Path]) -> str:
    """A digest of the content of files; folders count with every file below them, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(b"" if file == path else file.relative_to(path).as_posix().encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return digest.hexdigest()


def digest(value: Any) -> str:
    """Return a digest of a value that JSON can hold."""
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def code_fingerprint(kind: type | Callable) -> str:
    """A digest of the code that prepares data: this package's, and where `kind` is written.

    Where that cannot be read (typed into an interpreter) it differs in each process: nothing old
    is found.
    """
    digest = hashlib.blake2b(fingerprint(sorted(Path(__file__).parent.glob("*.py"))).encode())
    digest.update(_source(kind).encode())
    return digest.hexdigest()[:32]


def _source(kind: type | Callable) -> str:
    for part in (sys.modules[kind.__module__], kind):
        try:
            return inspect.getsource(part)
        except (OSError, TypeError):
            continue
    return uuid.uuid4().hex


class Cache:
    """Folders under `root`, each named by the digest of the settings it was built from.

    An entry is built aside under a lock, then renamed: it is there whole or not at all. Its
    manifest holds the settings and each file's size, time and checksum; an entry that disagrees
    with its manifest is built again. Files of the same size and time are not read for it.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root).expanduser().absolute()

    def entry(self, kind: str, settings: dict, build: Callable[[Path], None]) -> Path:
        """The folder holding what `build(folder)` writes for these settings, built if needed."""
        settings = json.loads(json.dumps({"kind": kind, **settings}))
        name = hashlib.blake2b(json.dumps(settings).encode(), digest_size=16).hexdigest()
        folder = self.root / kind / name
        if _is_whole(folder, settings):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{name}.lock")):
            if not _is_whole(folder, settings):  # another process may have built it meanwhile
                self._build(folder, settings, build)
        return folder

    def fingerprint(self, paths: Sequence[Path]) -> str:
        """As `fingerprint`; large files are not read again while their size and time stay."""
        stats = [path.stat() for path in paths]
        is_large = sum(stat.st_size for stat in stats) > LARGE
        is_settled = all(time.time() - stat.st_mtime > SETTLED for stat in stats)
        if not (is_large and is_settled and all(path.is_file() for path in paths)):
            return fingerprint(paths)
        names = [str(path.absolute()) for path in paths]
        facts = [names, *([stat.st_size, stat.st_mtime_ns] for stat in stats)]

        def write(folder: Path) -> None:
            (folder / "digest").write_text(fingerprint(paths))

        return (self.entry("contents", {"files": facts}, write) / "digest").read_text()

    def _build(self, folder: Path, settings: dict, build: Callable[[Path], None]) -> None:
        aside, old = folder.with_suffix(".new"), folder.with_suffix(".old")
        for leftover in (aside, old):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        aside.mkdir()
        try:
            build(aside)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        files = {}
        for file in sorted(aside.iterdir()):
            stat = file.stat()
            files[file.name] = [stat.st_size, stat.st_mtime_ns, _checksum(file)]
        (aside / MANIFEST).write_text(json.dumps({"settings": settings, "files": files}))
        if folder.exists():
            log.warning("The cache entry %s is damaged: built again.", folder)
            os.replace(folder, old)  # readers that have it open keep their files
        os.replace(aside, folder)
        shutil.rmtree(old, ignore_errors=True)


def _is_whole(folder: Path, settings: dict) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return manifest["settings"] == settings and all(
            _is_as_written(folder / name, *facts) for name, facts in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return False


def _is_as_written(file: Path, size: int, time_ns: int, checksum: int) -> bool:
    stat = file.stat()
    return stat.st_size == size and (stat.st_mtime_ns == time_ns or _checksum(file) == checksum)


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            checksum = zlib.crc32(block, checksum)
    return checksum
